"""Searching for the smallest fault that breaks a system's steady state.

    good run ──▶ what carries good outcomes ──▶ strikes, the most promising first ──▶ one breaks it ──▶ shrink ──▶ explain
                     ▲                                   │ it holds
                     └── what was absorbed, what took over ◀┘

After lineage-driven fault injection (Alvaro, Rosen, Hellerstein, SIGMOD 2015): where to strike follows from how a good outcome came
about, and a fault that was survived shows by which other way. What was found is then made as small as it can be while it still breaks
the system, as property-based testing does.
"""

from sim.lab.explore.search import Exploration, explore

__all__ = ["Exploration", "explore"]
