"""Steps: what an endpoint does, one thing after another."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import TypeAdapter, ValidationError

from sim.model.client import UseSpec
from sim.model.steps import AnyStep
from sim.telemetry.codes import Outcome, SpanKind
from tests.model.small_runs import answers, at, of_users, ran, spans, users

KILL = {"kind": "instance.kill", "target": {"service": "api", "mode": "all"}}


def does(*steps, duration="2s", load=None, others=None, faults=(), **service):
    """A run in which `api` does *steps*; `back` answers after 10 ms, `bad` with a 500 after 20 ms, `slow` after 300 ms. No network."""
    back, bad = {"endpoints": {"GET /": [{"work": "10ms"}]}}, {"endpoints": {"GET /": [{"work": "20ms"}, {"fail": {"status": 500}}]}}
    slow = {"endpoints": {"GET /": [{"work": "300ms"}]}}
    services = {"api": {"endpoints": {"GET /": list(steps)}, **service}, "back": back, "bad": bad, "slow": slow, **(others or {})}
    return ran(services, {"users": at("0s") if load is None else load}, duration, "0ms", faults=list(faults))


def answer(*steps, **more):
    """The status and the milliseconds of one request."""
    return answers(does(*steps, **more))[0]


def test_steps_come_one_after_another():
    """Work and sleep add up; no step at all is an answer at once."""
    assert answer({"work": "10ms"}, {"sleep": "5ms"}, {"work": "1ms"}) == ("200", 16.0)
    assert answer() == ("200", 0.0)


def test_sleep_takes_no_longer_where_the_instance_is_slow():
    """Four times as slow: 10 ms of work are 40, 10 ms of waiting are 10."""
    slow = {"kind": "instance.slow", "target": {"service": "api"}, "factor": 4.0}
    assert answer({"work": "10ms"}, {"sleep": "10ms"}, faults=[slow], load=at("100ms")) == ("200", 50.0)


@pytest.mark.parametrize("call", [
    "back", "back GET /", "GET back/", {"to": "back"}, {"to": "GET back/", "size": "1KiB", "key": {"fixed": "k"}, "priority": 2},
])
def test_a_call_in_all_its_forms(call):
    """By name, with method and path, as a mapping; it takes as long as its callee."""
    result = does({"call": call}, {"work": "1ms"})
    assert answers(result) == [("200", 11.0)]
    assert [(span["peer"], span["operation"]) for span in spans(result, SpanKind.CLIENT)] == [("back", "GET /"), ("api", "GET /")]


def test_an_answer_ends_the_endpoint_it_comes_up_in_and_no_other():
    """`return` and `fail` of a callee are its answer: its caller goes on, if it can."""
    others = {"back": {"endpoints": {"GET /": [{"return": {"status": 201}}, {"work": "1s"}]}}}
    assert answer({"call": "back"}, {"work": "7ms"}, others=others) == ("200", 7.0)


def test_a_call_that_fails_ends_the_endpoint():
    """With the status that stands for it: a 5xx of a callee is a 502 here, a 4xx stays what it is."""
    gone = {"gone": {"endpoints": {"GET /": [{"fail": {"status": 410}}]}}}
    assert answer({"call": "bad"}, {"work": "1s"}) == ("502", 20.0)
    assert answer({"call": "gone"}, {"work": "1s"}, others=gone) == ("410", 0.0)


def test_an_optional_call_that_fails_degrades_the_answer():
    """The endpoint goes on, and what it answers counts as degraded."""
    result = does({"call": {"to": "bad", "optional": True}}, {"work": "5ms"})
    assert answers(result) == [("200", 25.0)] and of_users(result)["degraded"] == 1


@pytest.mark.parametrize("call", [{"call": "bad", "optional": True}, {"call": {"to": "bad"}, "optional": True}])
def test_the_options_of_a_call_may_stand_beside_it(call):
    """As a quorum may stand beside its branches."""
    assert of_users(does(call))["degraded"] == 1


@pytest.mark.parametrize(("protocol", "worked_for"), [(None, 0.3), ("http", 0.3), ("grpc", 0.05)])
def test_one_call_may_go_by_another_protocol(protocol, worked_for):
    """gRPC tells the far side that its caller has left after 50 ms; the others of the same dependency go by http, which does not."""
    chosen = {"protocol": protocol} if protocol is not None else {}
    result = does({"call": "slow", "optional": True, **chosen}, {"call": "back"}, uses={"slow": {"policies": [{"timeout": "50ms"}]}})
    assert answers(result) == [("200", 60.0)]
    assert result.summary["services"]["slow"]["busy_mean"] * 2 == pytest.approx(worked_for)


def test_by_another_protocol_what_only_the_first_one_has_is_left_out():
    """Connections keep their handshake; streams, keepalive and the largest message are of gRPC alone."""
    use = UseSpec.model_validate({"protocol": "grpc", "keepalive": {"time": "5s"}, "max_message_size": "1KiB",
                                  "connection": {"tls": True, "max_streams": 5}})
    other = use.by("http")
    assert (other.protocol, other.keepalive, other.max_message_size) == ("http", None, None)
    assert other.connection is not None and other.connection.tls and other.connection.written() == {"tls"}
    assert use.by("grpc") is use


def test_what_is_degraded_stays_degraded_all_the_way_up():
    """A fallback two services down makes the user's answer a degraded one."""
    fallback = {"bad": {"policies": [{"fallback": {"status": 202, "on": ["5xx"], "degraded": True}}]}}
    middle = {"uses": fallback, "endpoints": {"GET /": [{"call": "bad"}, {"work": "1ms"}]}}
    result = does({"call": "middle"}, others={"middle": middle})
    assert answers(result) == [("200", 21.0)] and of_users(result)["degraded"] == 1
    assert {span["node"] for span in spans(result, SpanKind.SERVER) if span["outcome"] == Outcome.DEGRADED} == {"api", "middle"}


def test_parallel_takes_as_long_as_the_longest():
    """Ten, twenty and five milliseconds at once."""
    assert answer({"parallel": [[{"call": "back"}], [{"work": "20ms"}], [{"sleep": "5ms"}]]}, {"work": "1ms"}) == ("200", 21.0)


def test_parallel_ends_with_its_first_failure():
    """The others go on by themselves, and hold no worker."""
    branches = [[{"call": "bad"}], [{"call": "slow"}, {"work": "50ms"}, {"call": "back"}]]
    result = does({"parallel": branches}, workers=1, load=at("0s", "30ms"))
    assert answers(result) == [("502", 20.0), ("502", 20.0)]
    assert [span["start"] for span in spans(result, SpanKind.SERVER) if span["node"] == "back"] == pytest.approx([0.35, 0.38])


def test_a_quorum_waits_for_so_many():
    """Two of three: the slow one is not waited for, a failed one does not matter; what comes later still happens."""
    branches = [[{"call": "back"}], [{"call": "slow"}, {"call": "back"}], [{"work": "40ms"}]]
    result = does({"parallel": branches, "quorum": 2}, {"work": "1ms"})
    assert answers(result) == [("200", 41.0)] and sum(span["node"] == "back" for span in spans(result, SpanKind.SERVER)) == 2
    assert answer({"parallel": [[{"call": "bad"}], [{"call": "back"}], [{"work": "40ms"}]], "quorum": 2}) == ("200", 40.0)
    assert of_users(does({"parallel": [[{"call": "bad"}], [{"call": "back"}], [{"work": "40ms"}]], "quorum": 2}))["degraded"] == 0


def test_a_quorum_that_cannot_be_reached_any_more_is_not_waited_for():
    """Two of three fail after 20 ms: two of three cannot succeed, whatever the slow one does."""
    branches = [[{"call": "bad"}], [{"call": "bad"}], [{"call": "slow"}]]
    assert answer({"parallel": branches, "quorum": 2}) == ("502", 20.0)
    assert answer({"parallel": branches, "quorum": 1}) == ("200", 300.0)


def test_a_branch_may_answer():
    """A `return` in a branch ends the endpoint there and then, with a quorum as well."""
    branches = [[{"work": "10ms"}, {"return": {"status": 201}}], [{"work": "30ms"}], [{"work": "30ms"}]]
    assert answer({"parallel": branches}) == ("201", 10.0) and answer({"parallel": branches, "quorum": 3}) == ("201", 10.0)


def test_branches_end_with_the_process():
    """Killed while branches run, before or after their request was answered: none of them does anything any more."""
    branches = [[{"sleep": "10ms"}], [{"sleep": "100ms"}, {"call": "back"}]]
    for quorum in (1, 2):
        kill = {**KILL, "schedule": {"at": "50ms"}}
        result = does({"parallel": branches, "quorum": quorum}, faults=[kill])
        assert answers(result)[0][0] == ("200" if quorum == 1 else "reset")
        assert not [span for span in spans(result, SpanKind.CLIENT) if span["peer"] == "back"]


def test_branches_that_call_when_the_process_ends():
    """Their calls are recorded as cancelled."""
    result = does({"parallel": [[{"sleep": "1ms"}], [{"call": "slow"}]], "quorum": 1}, faults=[{**KILL, "schedule": {"at": "50ms"}}])
    assert [(span["status"], span["end"]) for span in spans(result, SpanKind.CLIENT) if span["peer"] == "slow"] == [("cancelled", 0.05)]


def test_a_user_who_leaves_ends_the_branches():
    """Where the service listens to that."""
    branches = [[{"sleep": "100ms"}, {"call": "back"}], [{"sleep": "200ms"}]]
    result = does({"parallel": branches}, load=at("0s", timeout="50ms"), on_caller_gone="cancel")
    assert answers(result) == [("timeout", 50.0)] and not [span for span in spans(result, SpanKind.CLIENT) if span["peer"] == "back"]


def test_choose_goes_by_weight():
    """3 : 1 of 400 requests; each way is a list of steps of its own, and one may be empty."""
    ways = [{"weight": 3, "do": []}, {"weight": 1, "do": [{"work": "1ms"}, {"return": {"status": 202}}]}]
    result = does({"choose": ways}, load=users("api", rate="100/s"), duration="4s")
    shares = Counter(status for status, _ in answers(result))
    assert shares["202"] == pytest.approx(100, abs=30) and shares["200"] + shares["202"] == sum(shares.values())


def test_repeat():
    """Three times 5 ms; not at all; and no further than an answer."""
    assert answer({"repeat": {"times": 3, "do": [{"work": "5ms"}]}}, {"work": "1ms"}) == ("200", 16.0)
    assert answer({"repeat": {"times": 0, "do": [{"work": "5ms"}]}}) == ("200", 0.0)
    assert answer({"repeat": {"times": 3, "do": [{"work": "5ms"}, {"return": 204}]}}, {"work": "1s"}) == ("204", 5.0)


def test_fail():
    """A share of the requests, with a status; the others go on."""
    assert answer("fail") == ("500", 0.0) and answer({"fail": {"status": 503}}) == ("503", 0.0)
    result = does({"fail": {"share": "25%", "status": 418}}, {"work": "1ms"}, load=users("api", rate="100/s"), duration="4s")
    assert Counter(status for status, _ in answers(result))["418"] == pytest.approx(100, abs=30)


def test_return_has_status_and_size():
    """8 kB over 8 Mbit/s take 8 ms back."""
    network = {"default": {"latency": "0ms"}, "links": {"users->api": {"latency": "0ms", "bandwidth": "8Mbit"}}}
    api = {"api": {"endpoints": {"GET /": [{"return": {"status": 206, "size": "8kB"}}]}}}
    assert answers(ran(api, {"users": at("0s", mix=[{"send": "GET /", "size": "1kB"}])}, network=network)) == [("206", 9.0)]


def test_steps_nest():
    """A choice inside a repetition inside a branch: an answer from the innermost ends the endpoint."""
    inner = {"repeat": {"times": 2, "do": [{"choose": [{"weight": 1, "do": [{"work": "3ms"}]}]}]}}
    assert answer({"parallel": [[inner, {"return": 203}], [{"work": "9ms"}]]}) == ("203", 6.0)


def test_two_steps_of_one_kind_have_their_own_luck():
    """And a step more in one endpoint does not change the draws of the steps before it."""
    work = {"work": {"exponential": "10ms"}}
    one, two = answer(work), answer(work, work)
    assert two[1] > one[1] and two[1] != pytest.approx(2 * one[1])
    assert answer(work, {"call": "back"})[1] == pytest.approx(one[1] + 10)


@pytest.mark.parametrize("wrong", [
    {"wrok": "5ms"}, {}, {"work": "5ms", "sleep": "5ms"}, "work", {"call": 5}, {"call": {"optional": True}}, {"parallel": []},
    {"choose": []},
    {"choose": [{"weight": 0, "do": []}]}, {"repeat": {"times": -1, "do": []}}, {"repeat": {"times": 100_000, "do": []}}, {"return": 99},
    {"return": 600}, {"fail": {"status": 200}}, {"fail": "150%"}, {"parallel": [[], []], "quorum": 3}, {"parallel": [[]], "quorum": 0},
    {"sleep": "-1s"},
])
def test_what_is_no_step_is_refused(wrong):
    """Unknown, two at once, out of bounds, a quorum of more branches than there are."""
    with pytest.raises(ValidationError):
        TypeAdapter(AnyStep).validate_python(wrong)
