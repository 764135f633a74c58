"""The shop: its invariants under every fault plan, the story that its scenario tells, and what its services answer."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from scenarios.ecommerce.invariants import Books, violations
from sim.lab.run import run
from sim.scenario.load import read, validated
from sim.scenario.scenario import FaultPlan, Scenario

HERE = Path("scenarios/ecommerce")
PLANS = sorted(path.stem for path in HERE.glob("*.yaml") if not path.stem.startswith(("checkout", "monolith")))
RATE, BUSY, QUIET = 3, 110, 80  # orders a second, seconds with load, seconds in which everything is to settle
LINES = [{"sku": "p-{zipf:1000}", "quantity": 1}, {"sku": "p-{uniform:1000}", "quantity": "{uniform:3}"}]
ORDER = {"customer_id": "u-{uniform:1000}", "items": LINES}
MIX = [{"weight": 9, "send": "POST /api/orders", "headers": {"authorization": "Bearer demo-token"}, "json": ORDER},
       {"weight": 1, "send": "POST /api/users", "json": {"email": "{seq}@example.org"}}]


def faults_of(plan):
    """What is in a fault plan, as it would be written in a scenario."""
    return validated(read(HERE / f"{plan}.yaml"), FaultPlan).model_dump(mode="json", by_alias=True, exclude_none=True)["faults"]


def scenario(plan=None, variant=None, name="checkout", busy=BUSY, quiet=QUIET, **services):
    """The shop with orders for *busy* seconds and then quiet, under a fault plan; *services* are merged into the config of services."""
    document = read(HERE / f"{name}.yaml", variant=variant)
    data = document.data
    stages = [{"duration": f"{busy}s", "target": f"{RATE}/s"}, {"duration": "1ms", "target": "0/s"}]
    load = {"executor": "ramping-arrival-rate", "start_rate": f"{RATE}/s", "stages": stages, "to": "gateway", "mix": MIX}
    data["workloads"] = {"shoppers": load}
    data |= {"duration": f"{busy + quiet}s", "warmup": "0s", "checks": [], "steady_state": [], "abort_if": [], "variants": {}}
    for service, config in services.items():
        data["services"][service.replace("_", "-")].setdefault("config", {}).update(config)
    if plan is not None:
        data["faults"] = faults_of(plan)
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
    return Counter(order.status.value for order in books.orders.values())


@pytest.mark.parametrize("plan", PLANS)
def test_no_invariant_is_broken_under_any_fault_plan(plan):
    """Money, stock, events and sagas add up once everything has settled; no order is left over, and most are confirmed."""
    _, books = books_after(plan)
    assert not books.orders_db["open-sagas"] and not books.orders_db["deferred-payments"] and not books.orders_db["outbox"]
    assert statuses(books)["confirmed"] > 0.5 * len(books.orders) > 100


@pytest.mark.parametrize(("plan", "options"), [
    ("lost-answers", {"variant": "choreography"}), ("crashes", {"variant": "choreography"}),
    ("slow-payments", {"name": "monolith"}), (None, {"name": "monolith"}),
])
def test_nor_by_choreography_nor_in_a_monolith(plan, options):
    """The same books, kept in other ways; an order that nobody works on any more would be found here."""
    _, books = books_after(plan, **options)
    assert not books.orders_db["outbox"] and "placed" not in statuses(books)
    assert statuses(books)["confirmed"] > 0.6 * len(books.orders) > 100


def test_nothing_is_sold_that_is_not_there():
    """Twenty of each article: the popular ones run out, those orders are refused with 409, and nobody pays for them."""
    result, books = books_after(busy=60, quiet=10, inventory={"opening_stock": 3})
    refused = result.summary["workloads"]["shoppers"]["by_status"]["409"]
    assert refused > 5 and statuses(books)["cancelled"] >= refused


def test_the_same_seed_gives_the_same_run():
    """Digest and books, saga by saga."""
    first, one = books_after("crashes", busy=60, quiet=10)
    second, other = books_after("crashes", busy=60, quiet=10)
    assert first.digest == second.digest and one.orders == other.orders


# the story

@cache
def story(variant=None):
    """The scenario of steps, at a third of its size, under slow payments."""
    document = read(HERE / "checkout-steps.yaml", variant=variant,
                    overrides=["services.orders.instances=1", "workloads.shoppers.rate=66/s", "workloads.trackers.rate=4/s", "checks=[]"])
    data = document.data
    data["faults"] = faults_of("slow-payments")
    return run(Scenario.model_validate(data))


def orders_per_second(result, outcome, start, until):
    """How many requests a second ended in that way."""
    rows = result.requests
    return ((rows.outcome == outcome) & (rows.start >= start) & (rows.start < until)).sum() / (until - start)


def test_healthy_degraded_recovered():
    """With policies the verdict is pass: while the provider is slow orders are taken and charged later, and then all is as before."""
    result = story()
    assert result.summary["verdict"] == "pass"
    ok, degraded = 0, 1
    before, during, after = ((20, 60), (65, 100), (110, 180))
    assert orders_per_second(result, degraded, *before) < 0.1 < 10 < orders_per_second(result, degraded, *during)
    assert orders_per_second(result, degraded, *after) < 0.1
    assert abs(orders_per_second(result, ok, *after) - orders_per_second(result, ok, *before)) < 3


def test_without_a_breaker_others_suffer():
    """One long timeout: the workers of orders are all taken, and requests that never needed the provider fail with the rest."""
    with_policies, without = story(), story("no-breaker")
    assert without.summary["verdict"] == "fail"
    trackers = [result.summary["workloads"]["trackers"]["success_ratio"] for result in (with_policies, without)]
    assert trackers[0] > 0.999 and trackers[1] < 0.9
    busy = without.series("orders", "busy")
    assert busy.mean[(busy.at > 70) & (busy.at < 100)].min() > 15  # of 16 workers
