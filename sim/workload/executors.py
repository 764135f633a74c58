"""k6's executors by name: open load sends at a rate whatever happens, closed load has users who wait for their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from sim.spec import ByKind, LateTable
from sim.workload.workload import WorkloadSpec

EXECUTORS: Mapping[str, type[WorkloadSpec]] = LateTable({
    "constant-arrival-rate": ("sim.workload.open_load", "ConstantArrivalRate"),
    "ramping-arrival-rate": ("sim.workload.open_load", "RampingArrivalRate"),
    "constant-vus": ("sim.workload.closed_load", "ConstantVus"),
    "ramping-vus": ("sim.workload.closed_load", "RampingVus"),
    "trace": ("sim.workload.traces", "Trace"),
})

AnyWorkload = Annotated[
    WorkloadSpec, ByKind("workload", lambda: EXECUTORS, default="constant-arrival-rate", group="executors", key="executor")]
