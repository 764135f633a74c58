"""A pytest plugin, which comes with the package: tests on simulated time, and a small world under faults for the code of your own.

    @pytest.mark.simulated
    async def test_a_day_passes_at_once(sim_loop):
        await asyncio.sleep(86_400)
        assert sim_loop.time() == 86_400

    def test_orders_survive_the_loss_of_an_instance(lab):
        lab.services(orders={"code": Orders, "instances": 3})
        lab.workload(to="orders", send="GET /orders/1", rate="50/s")
        lab.fault("instance.kill", target={"instance": "orders-0"}, at="5s")
        assert lab.run("20s").measure("success_ratio") > 0.99

`plugin` has what pytest calls, `lab` what a test does, `draft` how it writes down its world, `story` what a failing test tells.
Importing this package, which pytest does in every session, loads nothing else; `Lab` and `LabResult` are here for annotations.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.testing.lab import Lab
    from sim.testing.result import LabResult

_HOMES = {"Lab": "sim.testing.lab", "LabResult": "sim.testing.result"}
__all__ = ["Lab", "LabResult"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sim.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
