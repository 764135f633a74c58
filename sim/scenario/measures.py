"""Measures, and what is asked of them."""

from __future__ import annotations

from sim.spec import Spec


class SteadyState(Spec):
    """Must hold before, during and after the faults."""


class Check(Spec):
    """Judged once, over a window."""


class AbortIf(Spec):
    """Stops the run."""
