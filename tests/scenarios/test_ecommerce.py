"""The shop: its invariants under every fault plan, the story that its scenario tells, and what its services answer."""

from pathlib import Path

import pytest

from scenarios.ecommerce.invariants import Books, violations
from sim.lab.run import run
from sim.scenario.load import read, validated
from sim.scenario.scenario import FaultPlan, Scenario

HERE = Path("scenarios/ecommerce")
PLANS = sorted(path.stem for path in HERE.glob("*.yaml") if not path.stem.startswith(("checkout", "monolith")))
RATE, BUSY, QUIET = 6, 110, 90  # orders a second, seconds with load, seconds in which everything is to settle
ORDER = {"customer_id": "u-{uniform:1000}", "items": [{"sku": "p-{zipf:1000}", "quantity": 1}, {"sku": "p-{uniform:1000}", "quantity": "{uniform:3}"}]}
MIX = [{"weight": 9, "send": "POST /api/orders", "headers": {"authorization": "Bearer demo-token"}, "json": ORDER},
       {"weight": 1, "send": "POST /api/users", "json": {"email": "{seq}@example.org"}}]


def scenario(plan=None, variant=None, name="checkout", **services):
    """The shop with orders for a while and then quiet, under a fault plan; *services* are merged into the configuration of services."""
    document = read(HERE / f"{name}.yaml", variant=variant)
    data = document.data
    stages = [{"duration": f"{BUSY}s", "target": f"{RATE}/s"}, {"duration": "1ms", "target": "0/s"}]
    data["workloads"] = {"shoppers": {"executor": "ramping-arrival-rate", "start_rate": f"{RATE}/s", "stages": stages, "to": "gateway", "mix": MIX}}
    data |= {"duration": f"{BUSY + QUIET}s", "warmup": "0s", "checks": [], "steady_state": [], "abort_if": [], "variants": {}}
    for service, config in services.items():
        data["services"][service.replace("_", "-")].setdefault("config", {}).update(config)
    if plan is not None:
        data["faults"] = validated(read(HERE / f"{plan}.yaml"), FaultPlan).model_dump(mode="json", by_alias=True, exclude_none=True)["faults"]
    return Scenario.model_validate(data)


def books_after(*args, seed=1, **options):
    """The result and the books of a run, which has broken no invariant."""
    seen = []
    result = run(scenario(*args, **options), seed=seed, on_end=lambda world: seen.append((violations(world), Books(world))))
    wrong, books = seen[0]
    assert wrong == []
    return result, books


def statuses(books):
    """How many orders are in which status."""
    from collections import Counter

    return Counter(order.status.value for order in books.orders.values())


@pytest.mark.parametrize("plan", PLANS)
def test_no_invariant_is_broken_under_any_fault_plan(plan):
    """Money, stock, events and sagas add up once everything has settled; no order is left over, and most are confirmed."""
    result, books = books_after(plan)
    assert not books.orders_db["open-sagas"] and not books.orders_db["deferred-payments"] and not books.orders_db["outbox"]
    assert statuses(books)["confirmed"] > 0.5 * len(books.orders) > 200
