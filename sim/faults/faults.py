"""The table of all faults; a new one is a line here."""

from __future__ import annotations

from typing import Annotated

from sim.faults.fault import Fault
from sim.spec import ByKind

FAULTS: dict[str, type[Fault]] = {}

AnyFault = Annotated[Fault, ByKind("fault", lambda: FAULTS)]
