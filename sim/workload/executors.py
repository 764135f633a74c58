"""k6's executors by name: open load sends at a rate whatever happens, closed load has users who wait for their answers."""

from __future__ import annotations

from typing import Annotated

from sim.spec import ByKind
from sim.workload.closed_load import ConstantVus, RampingVus
from sim.workload.open_load import ConstantArrivalRate, RampingArrivalRate
from sim.workload.traces import Trace
from sim.workload.workload import WorkloadSpec

AnyWorkload = Annotated[
    WorkloadSpec, ByKind("workload", lambda: EXECUTORS, default="constant-arrival-rate", group="executors", key="executor")]

EXECUTORS: dict[str, type[WorkloadSpec]] = {
    "constant-arrival-rate": ConstantArrivalRate,
    "ramping-arrival-rate": RampingArrivalRate,
    "constant-vus": ConstantVus,
    "ramping-vus": RampingVus,
    "trace": Trace,
}
