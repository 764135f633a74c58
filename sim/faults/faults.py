"""The table of all faults; a new one is a line here."""

from __future__ import annotations

from typing import Annotated

from sim.faults.fault import Fault
from sim.faults.http import HttpAbort
from sim.faults.instances import InstanceKill, InstancePause, InstanceSlow, InstanceUnavailable
from sim.faults.load import LoadSurge
from sim.faults.network import NetworkDelay, NetworkPartition
from sim.faults.zones import ZoneOutage
from sim.spec import ByKind

FAULTS: dict[str, type[Fault]] = {
    "network.delay": NetworkDelay,
    "network.partition": NetworkPartition,
    "instance.kill": InstanceKill,
    "instance.unavailable": InstanceUnavailable,
    "instance.pause": InstancePause,
    "instance.slow": InstanceSlow,
    "zone.outage": ZoneOutage,
    "http.abort": HttpAbort,
    "load.surge": LoadSurge,
}

AnyFault = Annotated[Fault, ByKind("fault", lambda: FAULTS)]
