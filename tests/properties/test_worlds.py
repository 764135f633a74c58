"""Laws that hold in every world: any services, steps, policies, load and faults, drawn by hypothesis and run for a second and a half.

A run checks its own books and ends with an error where code of ours raises; here its rows are looked at as well.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import Outcome, SpanKind
from sim.telemetry.result import RunResult

NAMES = ["front", "middle", "back"]


def milliseconds(low: int, high: int) -> st.SearchStrategy[str]:
    """A duration."""
    return st.integers(low, high).map(lambda number: f"{number}ms")


def steps(callees: list[str]) -> st.SearchStrategy[list[Any]]:
    """What an endpoint may do; steps inside steps included."""
    calls = [st.booleans().map(lambda optional, to=to: {"call": {"to": to, "optional": optional}}) for to in callees]
    simple = st.one_of(
        milliseconds(1, 20).map(lambda mean: {"work": {"exponential": mean}}),
        milliseconds(0, 20).map(lambda time: {"sleep": time}),
        st.sampled_from([404, 500, 503]).map(lambda status: {"fail": {"share": "10%", "status": status}}),
        st.just({"query": "db"}),
        *calls,
    )

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner, max_size=2)
        branches = st.lists(some, min_size=1, max_size=3)
        return st.one_of(
            branches.flatmap(lambda all_of: st.integers(1, len(all_of)).map(lambda quorum: {"parallel": all_of, "quorum": quorum})),
            st.lists(some, min_size=1, max_size=2).map(lambda ways: {"choose": [{"weight": 1, "do": way} for way in ways]}),
            st.tuples(st.integers(0, 2), some).map(lambda one: {"repeat": {"times": one[0], "do": one[1]}}),
        )

    return st.lists(st.recursive(simple, nested, max_leaves=4), max_size=3)


POLICIES = st.lists(st.one_of(
    st.just({"fallback": {"status": 202, "on": ["any"], "degraded": True}}),
    milliseconds(20, 200).map(lambda time: {"deadline": time}),
    st.integers(2, 3).map(lambda attempts: {"retry": {"max_attempts": attempts, "backoff": {"initial": "5ms"}}}),
    milliseconds(1, 20).map(lambda delay: {"hedge": {"delay": delay}}),
    st.just({"circuit_breaker": {"minimum_number_of_calls": 5, "wait_duration_in_open_state": "200ms"}}),
    st.just({"bulkhead": {"max_concurrent_calls": 2, "max_queued_calls": 1, "max_wait_duration": "10ms"}}),
    milliseconds(5, 80).map(lambda time: {"timeout": time}),
), max_size=3, unique_by=lambda policy: next(iter(policy)))

BALANCERS = st.sampled_from(["round_robin", "random", "least_request", "p2c"])
USE = st.fixed_dictionaries({"protocol": st.sampled_from(["http", "grpc"]), "balancer": BALANCERS, "policies": POLICIES})


def service(number: int) -> st.SearchStrategy[dict[str, Any]]:
    """The service of that number calls those with larger ones."""
    callees = NAMES[number + 1 :]
    return st.fixed_dictionaries({
        "instances": st.integers(1, 3), "workers": st.integers(1, 5), "zone": st.just("spread"), "startup": milliseconds(0, 100),
        "queue": st.fixed_dictionaries({"limit": st.integers(0, 8), "order": st.sampled_from(["fifo", "lifo", "priority", "codel"])}),
        "on_caller_gone": st.sampled_from(["continue", "cancel"]), "endpoints": st.fixed_dictionaries({"GET /": steps(callees)}),
        "uses": st.fixed_dictionaries(dict.fromkeys(callees, USE)),
    }, optional={"cpu": st.just({"cores": 1})})


def fault(kind: str, **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Some time within the run, for a while, on one service or all of its instances."""
    targets = st.tuples(st.sampled_from(NAMES), st.sampled_from(["one", "all"]))
    return st.tuples(milliseconds(0, 1000), milliseconds(50, 600), targets).map(lambda one: {
        "kind": kind, "schedule": {"at": one[0], "for": one[1]}, "target": {"service": one[2][0], "mode": one[2][1]}, **more})


def link_fault(kind: str, **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    """On messages between the users and the first service."""
    return fault(kind, **more).map(lambda one: {**one, "target": {"link": "users->front", "direction": "both"}})


FAULTS = st.lists(st.one_of(
    fault("instance.kill"), fault("instance.pause"), fault("instance.unavailable"), fault("instance.slow", factor=4.0),
    link_fault("network.delay", latency="20ms", jitter="30ms"), link_fault("network.loss", loss="20%"), link_fault("network.partition"),
    link_fault("network.partition", how="reject"), link_fault("network.reset", probability="20%"),
    fault("load.surge", factor=3.0).map(lambda one: {**one, "target": {}}),
), max_size=3)
LOADS = st.sampled_from([
    {"rate": "100/s"}, {"rate": "100/s", "arrivals": "batch", "batch_size": 4.5}, {"executor": "constant-vus", "vus": 5, "pacing": "30ms"},
    {"executor": "ramping-vus", "stages": [{"duration": "700ms", "target": 8}, {"duration": "300ms", "target": 2}], "think": "20ms"},
])
WORLDS = st.fixed_dictionaries({
    "services": st.tuples(*map(service, range(3))), "load": LOADS, "timeout": st.sampled_from(["80ms", "500ms"]), "faults": FAULTS,
    "seed": st.integers(0, 100),
})


def scenario(drawn: dict[str, Any]) -> Scenario:
    """As a file would have it."""
    mix = [{"send": "GET /", "priority": 1}, {"send": "GET /"}]
    link = {"latency": {"exponential": "1ms"}, "jitter": "1ms"}
    return Scenario.model_validate({
        "name": "any", "duration": "1500ms", "warmup": "200ms", "seed": drawn["seed"],
        "network": {"default": link, "zones": {"a": {}, "b": {}}, "between_zones": {"latency": "1ms"}},
        "services": {**dict(zip(NAMES, drawn["services"], strict=True)), "db": {"kind": "database", "connections": 2, "query": "3ms"}},
        "workloads": {"users": {"to": "front", "timeout": drawn["timeout"], "max_in_flight": 50, "mix": mix, **drawn["load"]}},
        "faults": drawn["faults"],
    })


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn=WORLDS)
def test_the_laws_hold_in_any_world(drawn):
    """Spans form trees whose times make sense; nobody serves more than it has workers; ratios are ratios; the run repeats."""
    world = scenario(drawn)
    result = run(world)
    spans_make_sense(result)
    nobody_serves_more_than_it_can(result, world)
    for figures in result.summary["services"].values():
        for name in ("utilisation", "cpu_utilisation", "wasted_work_ratio", "success_ratio"):
            assert figures[name] is None or -1e-9 <= figures[name] <= 1 + 1e-9, f"{name}: {figures[name]}"
    assert run(world).digest == result.digest


def spans_make_sense(result: RunResult) -> None:
    """Numbers are used once; what a server does belongs to a call to it, in the same trace and not before it."""
    rows = result.spans.rows
    parents = {int(row["id"]): row for row in rows if row["kind"] in (SpanKind.CLIENT, SpanKind.ATTEMPT)}
    assert len(set(rows["id"].tolist())) == len(rows) and (rows["end"] >= rows["start"]).all()
    for row in rows[rows["kind"] == SpanKind.SERVER]:
        call = parents.get(int(row["parent"]))
        if call is not None:  # else it is still under way
            assert (call["node"], call["peer"], call["trace"]) == (row["peer"], row["node"], row["trace"])
            assert call["start"] <= row["start"] and 0 <= row["queued"] <= row["end"] - row["start"] + 1e-6


def nobody_serves_more_than_it_can(result: RunResult, world: Scenario) -> None:
    """At no time more requests are in service at an instance than it has workers."""
    changes = defaultdict(list)
    for row in result.spans.rows:
        if row["kind"] == SpanKind.SERVER and row["outcome"] != Outcome.REJECTED:
            began = row["start"] + float(row["queued"])
            changes[int(row["node"]), int(row["instance"])] += [(began + 1e-5, 1), (max(row["end"], began + 1e-5), -1)]
    for (node, _), some in changes.items():
        spec = world.nodes().get(result.names.nodes[node])
        inside = most = 0
        for _, change in sorted(some):
            inside += change
            most = max(most, inside)
        assert spec is None or most <= spec.workers_each(), f"{result.names.nodes[node]}: {most} at once"
