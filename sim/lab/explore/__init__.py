"""Searching for the smallest fault that breaks a system's steady state.

    good run ──▶ which parts carry the users' requests ──▶ strikes, the most promising first ──▶ one breaks it ──▶ shrink ──▶ explain

After lineage-driven fault injection (Alvaro, Rosen, Hellerstein, SIGMOD 2015): where to strike follows from how a good outcome
came about. What was found is then made as small as it can be while it still breaks the system, as property-based testing does.
"""

from sim.lab.explore.search import Exploration, explore

__all__ = ["Exploration", "explore"]
