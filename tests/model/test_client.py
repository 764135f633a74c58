"""A caller's side of a call: how it ends in every case, what is recorded of it, and that spans form trees."""

from __future__ import annotations

from collections import defaultdict

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import Outcome, SpanKind
from tests.model.small_runs import answers, at, of_users, ran, spans, users

BACK = {"endpoints": {"GET /": [{"work": "10ms"}]}}


def front(*policies, **more):
    """A service that calls `back`."""
    return {"uses": {"back": {"policies": list(policies)}}, "endpoints": {"GET /": [{"call": "back"}]}, **more}


def calls(result, caller="front"):
    """Logical calls of one caller: status, attempts, and milliseconds."""
    return [(span["status"], span["attempt"], round(1000 * (span["end"] - span["start"]), 6))
            for span in spans(result, SpanKind.CLIENT) if span["node"] == caller]


def link_fault(kind, **more):
    """On the way from front to back, all the time."""
    return {"kind": kind, "target": {"link": "front->back", "direction": "to"}, **more}


def called(*policies, back=None, faults=(), load=None, duration="3s", **more):
    """One call from front to back, over links of 1 ms; the user has the patience of a second."""
    services = {"front": front(*policies), "back": BACK if back is None else back}
    return ran(services, {"users": load or at("0s", to="front", timeout="1s")}, duration, faults=list(faults), **more)


def test_a_round_trip():
    """There, worked on, and back: the caller's span is 2 ms longer than that of the callee and begins 1 ms earlier."""
    result = called()
    assert calls(result) == [("200", 1, 12.0)] and answers(result) == [("200", 14.0)]
    (server,) = [span for span in spans(result, SpanKind.SERVER) if span["node"] == "back"]
    assert (server["start"], server["end"]) == pytest.approx((0.002, 0.012))


def test_a_timeout_leaves_the_far_side_at_work():
    """The caller goes after 5 ms; the callee ends after 10, for nobody."""
    result = called({"timeout": "5ms"})
    assert calls(result) == [("timeout", 1, 5.0)] and answers(result) == [("504", 7.0)]
    assert [span["status"] for span in spans(result, SpanKind.SERVER) if span["node"] == "back"] == ["200"]
    assert result.summary["services"]["back"]["wasted_work_ratio"] == 1.0
    assert result.summary["calls"]["front->back"]["timeouts"] == 1


@pytest.mark.parametrize(("direction", "worked"), [("to", 0), ("from", 1)])
def test_in_a_partition_a_call_waits_for_its_own_patience(direction, worked):
    """Whether the request or the answer is lost; the callee has worked in the second case only."""
    result = called({"timeout": "50ms"}, faults=[link_fault("network.partition", target={"link": "front->back", "direction": direction})])
    assert calls(result) == [("timeout", 1, 50.0)]
    assert sum(span["node"] == "back" for span in spans(result, SpanKind.SERVER)) == worked


def test_without_a_timeout_it_waits_as_long_as_its_caller_does():
    """The user leaves after a second, and nobody tells: front waits to the end of the run."""
    result = called(faults=[link_fault("network.partition")])
    assert answers(result) == [("timeout", 1000.0)] and calls(result) == []
    assert result.summary["calls"]["front->back"]["calls"] == 0


def test_a_call_that_its_own_caller_cancels():
    """Front listens to its users: when they go its calls are cancelled, recorded as that, and neither good nor bad."""
    services = {"front": front(on_caller_gone="cancel"), "back": BACK}
    result = ran(services, {"users": at("0s", to="front", timeout="100ms")}, faults=[link_fault("network.partition")])
    assert calls(result) == [("cancelled", 1, 100.0)]
    assert result.summary["calls"]["front->back"]["success_ratio"] is None


def test_a_partition_that_rejects_is_known_at_once():
    """No route: the attempt ends in no time, and counts as a failure to connect."""
    result = called(faults=[link_fault("network.partition", how="reject")])
    assert calls(result) == [("connect", 1, 0.0)] and answers(result) == [("502", 2.0)]


def test_a_link_that_rejects_is_a_failure_of_the_host():
    """One of two instances cannot be reached: it is ejected after five failures in a row, as if it had answered badly."""
    uses = {"back": {"outlier_detection": {"consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "30s", "max_ejection": "50%"}}}
    services = {"front": front(uses=uses), "back": {"instances": 2, "endpoints": {"GET /": []}}}
    way = {"from": {"service": "front"}, "to": {"instance": "back-0"}, "direction": "to"}
    cut = {"kind": "network.partition", "how": "reject", "target": way}
    result = ran(services, {"users": users("front", rate="50/s")}, "10s", faults=[cut])
    assert [event["instance"] for event in result.events if event["kind"] == "outlier.ejected"] == ["back-0"]
    assert sum(status == "502" for status, _ in answers(result)) == 5


def test_a_reset_on_the_way():
    """The connection breaks after 3 ms: nothing has arrived."""
    result = called(faults=[link_fault("network.reset", after="3ms")])
    assert calls(result) == [("reset", 1, 3.0)] and answers(result) == [("502", 5.0)]
    assert not [span for span in spans(result, SpanKind.SERVER) if span["node"] == "back"]


def test_nobody_to_call():
    """No attempt is made, and it is no refusal of a policy."""
    result = called(back={"instances": 0, "endpoints": {"GET /": []}})
    assert calls(result) == [("unavailable", 1, 0.0)] and answers(result) == [("503", 2.0)] and of_users(result)["failed"] == 1


@pytest.mark.parametrize(("policies", "call", "answer"), [
    ([], ("500", 1, 12.0), ("502", 14.0)),
    ([{"retry": {"max_attempts": 3, "backoff": {"initial": "5ms", "multiplier": 1, "jitter": "none"}}}], ("500", 3, 46.0), ("502", 48.0)),
    ([{"fallback": {"status": 203, "on": ["5xx"], "degraded": True}}], ("203", 1, 12.0), ("200", 14.0)),
])
def test_a_failed_answer_under_policies(policies, call, answer):
    """As it is, tried again, replaced: what is recorded of the call, and what the caller makes of it for its own caller."""
    result = called(*policies, back={"endpoints": {"GET /": [{"work": "10ms"}, {"fail": {"status": 500}}]}})
    assert calls(result) == [call] and answers(result) == [answer]


TWICE = {"max_attempts": 2, "backoff": "1ms"}


@pytest.mark.parametrize(("policies", "call"), [
    ([{"retry": TWICE}], ("404", 1, 2.0)),  # an answer like others
    ([{"retry": TWICE | {"on": ["any"]}}], ("404", 1, 2.0)),
    ([{"retry": TWICE | {"on": [404]}}], ("404", 2, 5.0)),
    ([{"retry": TWICE | {"on": [404, "5xx"], "abort_on": [404]}}], ("404", 1, 2.0)),
    ([{"fallback": {"status": 202}}], ("404", 1, 2.0)),
    ([{"fallback": {"status": 202, "on": [404]}}], ("202", 1, 2.0)),
    ([{"fallback": {"status": 202, "on": [409]}}, {"retry": TWICE | {"on": ["404"]}}], ("404", 2, 5.0)),
])
def test_an_answer_of_4xx_is_a_failure_to_the_policies_that_name_it(policies, call):
    """A retry and a fallback that list 404 mean it; to all others it is what was asked for."""
    assert calls(called(*policies, back={"endpoints": {"GET /": [{"return": 404}]}})) == [call]


@pytest.mark.parametrize(("words", "statuses"), [
    ({}, ["404", "404", "404"]), ({"on": ["any", 404]}, ["404", "404", "503"]), ({"on": [404, 409], "ignore": [404]}, ["404", "404", "404"]),
])
def test_a_breaker_counts_the_4xx_that_it_names(words, statuses):
    """Two in a row open it, unless they are answers to it, or to be ignored."""
    breaker = {"circuit_breaker": {"sliding_window": {"consecutive": 2}, **words}}
    result = called(breaker, back={"endpoints": {"GET /": [{"return": 404}]}}, load=at("0s", "1s", "2s", to="front"))
    assert [status for status, _ in answers(result)] == statuses


def test_each_attempt_has_a_span_of_its_own():
    """Three attempts under one logical call; the far side's spans belong to the attempts."""
    bad = {"endpoints": {"GET /": [{"fail": {"status": 503}}]}}
    result = called({"retry": {"max_attempts": 3, "backoff": {"initial": "5ms"}}}, back=bad)
    (call,) = [span for span in spans(result, SpanKind.CLIENT) if span["node"] == "front"]
    attempts = spans(result, SpanKind.ATTEMPT)
    assert call["attempt"] == 3 and [span["attempt"] for span in attempts] == [1, 2, 3]
    assert {span["parent"] for span in attempts} == {call["id"]} and [span["status"] for span in attempts] == ["503"] * 3
    served = [span for span in spans(result, SpanKind.SERVER) if span["node"] == "back"]
    assert [span["parent"] for span in served] == [span["id"] for span in attempts] and [span["attempt"] for span in served] == [1, 2, 3]
    assert result.summary["calls"]["front->back"]["amplification"] == 3.0


def test_calls_that_are_under_way_at_the_end():
    """They have begun and not ended: no row, no failure."""
    result = called(back={"endpoints": {"GET /": [{"work": "1h"}]}}, load=at("0s", to="front"))
    assert calls(result) == [] and of_users(result)["unfinished"] == 1


# trees


@pytest.fixture(scope="module")
def busy():
    """Retries, hedges, parallel branches, timeouts, killed instances, lost messages: everything that can tear a trace."""
    back = {"policies": [{"retry": {"max_attempts": 3, "backoff": {"initial": "5ms"}}}, {"timeout": "40ms"}]}
    breaker = {"circuit_breaker": {"minimum_number_of_calls": 20, "wait_duration_in_open_state": "300ms"}}
    deep = {"policies": [{"hedge": {"delay": "15ms", "max_hedges": 1}}, breaker, {"timeout": "30ms"}]}
    both = [[{"call": "back"}], [{"call": {"to": "deep GET /x/{uniform:50}", "optional": True}}], [{"query": "db"}]]
    cached = {"cache": "cache", "key": {"zipf": 50}, "miss": [{"query": "db"}]}
    return run(Scenario.model_validate({
        "name": "busy", "duration": "8s", "network": {"default": {"latency": {"exponential": "1ms"}, "loss": "1%"}},
        "services": {
            "front": {"instances": 3, "workers": 20, "on_caller_gone": "cancel", "uses": {"back": back, "deep": deep},
                      "endpoints": {"GET /": [{"work": "1ms"}, {"parallel": both}, {"parallel": both, "quorum": 2}, cached]}},
            "back": {"instances": 2, "workers": 4, "queue": {"limit": 8}, "uses": {"deep": deep},
                     "endpoints": {"GET /": [{"work": {"exponential": "10ms"}}, {"call": "deep GET /x/1"}, {"fail": "5%"}]}},
            "deep": {"instances": 2, "workers": 8, "endpoints": {"GET /x/{id}": [{"work": {"exponential": "5ms"}}]}},
            "db": {"kind": "database", "query": {"exponential": "2ms"}}, "cache": {"kind": "cache"},
        },
        "workloads": {"users": {"rate": "100/s", "to": "front", "timeout": "150ms", "mix": [{"send": "GET /"}]}},
        "faults": [{"kind": "instance.kill", "target": {"service": "back", "mode": "one"}, "schedule": {"at": "2s"}, "restart_after": "2s"},
                   {"kind": "network.partition", "target": {"link": "front->deep"}, "schedule": {"at": "5s", "for": "1s"}}],
    }))


def test_the_busy_run_is_busy(busy):
    """It has calls that end in every way, and several attempts of some."""
    statuses = {span["status"] for span in spans(busy, SpanKind.CLIENT)}
    assert statuses >= {"200", "timeout", "cancelled", "502", "503", "circuit_open"}
    assert {span["outcome"] for span in spans(busy, SpanKind.CLIENT)} == {Outcome.OK, Outcome.DEGRADED, Outcome.FAILED, Outcome.REJECTED}
    assert max(span["attempt"] for span in spans(busy, SpanKind.ATTEMPT)) == 3


def test_spans_have_numbers_of_their_own(busy):
    """No number is used twice, none is 0."""
    numbers = busy.spans.id.tolist()
    assert len(set(numbers)) == len(numbers) and 0 not in numbers


def test_every_server_belongs_to_a_call(busy):
    """Its parent is a call or an attempt from its peer to its node in the same trace; or has no row, since it was under way at the end."""
    parents = {span["id"]: span for kind in (SpanKind.CLIENT, SpanKind.ATTEMPT) for span in spans(busy, kind)}
    orphans = 0
    for span in spans(busy, SpanKind.SERVER):
        parent = parents.get(span["parent"])
        if parent is None:
            orphans += 1
            continue
        assert (parent["node"], parent["peer"], parent["trace"]) == (span["peer"], span["node"], span["trace"])
        assert parent["start"] <= span["start"] and span["attempt"] <= 3
        assert span["instance"].rpartition("-")[0] == span["node"] and parent["instance"].rpartition("-")[0] in (parent["node"], "")
    assert orphans <= 20


def test_who_waits_for_an_answer_outlasts_it(busy):
    """A call that was answered ends after the server did; the times of a tree nest wherever nobody left early."""
    served = defaultdict(list)
    for span in spans(busy, SpanKind.SERVER):
        served[span["parent"]].append(span)
    checked = 0
    for kind in (SpanKind.CLIENT, SpanKind.ATTEMPT):
        for span in spans(busy, kind):
            if span["status"].isdigit() and len(served[span["id"]]) == 1:
                (server,) = served[span["id"]]
                assert span["start"] <= server["start"] <= server["end"] <= span["end"] and server["status"] == span["status"]
                checked += 1
    assert checked > 2000


def test_every_call_belongs_to_a_request(busy):
    """A call inside a service has that service's span as its parent, in the same trace and at the same instance; the user's has none."""
    servers = {span["id"]: span for span in spans(busy, SpanKind.SERVER)}
    roots = defaultdict(int)
    for span in spans(busy, SpanKind.CLIENT):
        if span["node"] == "users":
            assert span["parent"] == 0
            roots[span["trace"]] += 1
        elif (server := servers.get(span["parent"])) is not None:
            assert (server["node"], server["instance"], server["trace"]) == (span["node"], span["instance"], span["trace"])
            assert server["start"] <= span["start"]
    assert set(roots.values()) == {1} and set(roots) == {int(row["id"]) for row in busy.requests.finished.rows}


def test_attempts_belong_to_calls(busy):
    """To one of the same edge and trace, inside its time; their numbers are 1 to as many as it took."""
    parents = {span["id"]: span for span in spans(busy, SpanKind.CLIENT)}
    numbers = defaultdict(list)
    for span in spans(busy, SpanKind.ATTEMPT):
        call = parents.get(span["parent"])
        if call is not None:
            assert (call["node"], call["peer"], call["trace"]) == (span["node"], span["peer"], span["trace"])
            assert call["start"] <= span["start"] and span["end"] <= call["end"]
            numbers[span["parent"]].append(span["attempt"])
    assert all(sorted(some) == list(range(1, parents[call]["attempt"] + 1)) for call, some in numbers.items())


def test_calls_are_conserved(busy):
    """What the summary counts is what was recorded, edge by edge; what has begun and not ended is little."""
    rows = defaultdict(int)
    for span in spans(busy, SpanKind.CLIENT):
        rows[f"{span['node']}->{span['peer']}"] += 1
    assert rows == {name: edge["calls"] for name, edge in busy.summary["calls"].items() if edge["calls"]}


def test_breakers_of_several_routes_are_counted_each_by_itself():
    """Two routes of one gateway lead to a service that fails, each with a breaker of its own: both open, and both are open for the rest."""
    policies = [{"circuit_breaker": {"minimum_number_of_calls": 2, "wait_duration_in_open_state": "1h"}}]
    routes = [{"path": f"/{name}", "to": "back", "policies": policies} for name in ("a", "b")]
    services = {"gateway": {"kind": "gateway", "strip_prefix": "", "routes": routes}, "back": {"endpoints": {
        "GET /a": [{"fail": {"status": 500}}], "GET /b": [{"fail": {"status": 500}}]}}}
    loads = {"first": at("0s", "1s", to="gateway", send="GET /a"), "second": at("2s", "4s", to="gateway", send="GET /b")}
    breaker = ran(services, loads, "10s", "0ms").summary["calls"]["gateway->back"]["breaker"]
    assert breaker == {"opened": 2, "open_s": pytest.approx(9 + 6)}
