"""Base of all faults."""

from __future__ import annotations

from sim.spec import Spec


class Fault(Spec):
    """Something that goes wrong, at times that its schedule says."""

    kind: str
    name: str | None = None
