"""An instance: workers and the line in front of them, callers who leave, killing, starting, draining, standing still."""

from __future__ import annotations

import pytest

from sim.telemetry.codes import SpanKind
from tests.model.small_runs import answers, at, of_users, ran, spans, users


def api(work="100ms", **more):
    """A service of one worker whose requests take 100 ms."""
    return {"workers": 1, "endpoints": {"GET /": [{"work": work}]}, **more}


def fault(kind, start, length=None, service="api", **more):
    """On all instances of a service."""
    when = {"at": start} if length is None else {"at": start, "for": length}
    return {"kind": kind, "target": {"service": service, "mode": "all"}, "schedule": when, **more}


def statuses(result, workload=None):
    """Of the finished requests, in the order of their starts."""
    return [status for status, _ in answers(result, workload)]


# workers and queue


@pytest.mark.parametrize(("limit", "served"), [(0, 1), (1, 2), (3, 4), (10, 5)])
def test_beyond_workers_and_queue_a_request_is_refused_at_once(limit, served):
    """Five at the same instant, one worker, a line of so many: the others get a 503, in no time and as rejected."""
    result = ran({"api": api(queue={"limit": limit})}, {"users": at(*["0s"] * 5)}, latency="0ms")
    assert answers(result) == [("200", 100.0 * (n + 1)) for n in range(served)] + [("503", 0.0)] * (5 - served)
    assert of_users(result)["rejected"] == result.summary["services"]["api"]["rejected"] == 5 - served
    assert result.summary["services"]["api"]["queue_max"] == min(limit, 4)


def test_workers_serve_at_once():
    """Three workers, four requests: three at once, then the fourth."""
    result = ran({"api": api(workers=3)}, {"users": at(*["0s"] * 4)}, latency="0ms")
    assert [ms for _, ms in answers(result)] == [100.0, 100.0, 100.0, 200.0]


def test_waiting_is_recorded():
    """`queued` is the time in line; the span of the server covers it."""
    result = ran({"api": api()}, {"users": at("0s", "50ms")}, latency="1ms")
    assert [(span["queued"], span["end"] - span["start"]) for span in spans(result, SpanKind.SERVER)] == [
        pytest.approx((0.0, 0.1)), pytest.approx((0.05, 0.15))]


def test_each_instance_has_its_own_line():
    """Two instances take turns."""
    result = ran({"api": api(instances=2)}, {"users": at(*["0s"] * 4)}, latency="0ms")
    assert sorted(ms for _, ms in answers(result)) == [100.0, 100.0, 200.0, 200.0]
    assert sorted(span["instance"] for span in spans(result, SpanKind.SERVER)) == ["api-0", "api-0", "api-1", "api-1"]


# callers who leave


def hasty(**more):
    """One user who waits, and behind it one who leaves after 50 ms: in line. A third comes later."""
    loads = {"users": at("0s"), "hasty": at("1ms", timeout="50ms"), "late": at("150ms")}
    return ran({"api": api(**more)}, loads, latency="0ms", duration="2s")


def test_a_service_that_does_not_listen_works_for_nobody():
    """The caller has left the line; its request is served all the same, the one behind it waits, and a third of all work is wasted."""
    result = hasty()
    assert answers(result, "hasty") == [("timeout", 50.0)] and answers(result, "late") == [("200", 150.0)]
    assert result.summary["services"]["api"]["requests"] == 3
    assert result.summary["services"]["api"]["wasted_work_ratio"] == pytest.approx(1 / 3)


def test_a_service_that_listens_lets_who_has_left_out_of_the_line():
    """The one behind it is served at once, and nothing is wasted."""
    result = hasty(on_caller_gone="cancel")
    assert answers(result, "hasty") == [("timeout", 50.0)] and answers(result, "late") == [("200", 100.0)]
    assert result.summary["services"]["api"]["wasted_work_ratio"] == 0.0


def test_a_service_that_listens_stops_work_for_who_has_left():
    """The worker is free as soon as the word has come: 5 ms after the caller has left; what had been done is wasted."""
    loads = {"hasty": at("0s", timeout="40ms"), "users": at("20ms")}
    result = ran({"api": api(on_caller_gone="cancel")}, loads, latency="5ms")
    assert answers(result, "users") == [("200", 25 + 100 + 5.0)]
    first, second = spans(result, SpanKind.SERVER)
    assert (first["status"], second["status"]) == ("cancelled", "200") and first["end"] == pytest.approx(0.045)
    assert result.summary["services"]["api"]["wasted_work_ratio"] == pytest.approx(40 / 140)


def test_departures_are_passed_on():
    """Who works for somebody who has gone stops, and so does who works for it; without listening, all go on to the end."""
    def run_of(**more):
        front = {"endpoints": {"GET /": [{"call": "mid"}]}, **more}
        mid = {"endpoints": {"GET /": [{"call": "api"}]}, **more}
        return ran({"front": front, "mid": mid, "api": api(**more)}, {"users": at("0s", to="front", timeout="50ms")}, latency="1ms")

    ended = {span["node"]: round(1000 * span["end"], 6) for span in spans(run_of(on_caller_gone="cancel"), SpanKind.SERVER)}
    assert ended == {"front": 51.0, "mid": 52.0, "api": 53.0}
    ended = {span["node"]: round(1000 * span["end"], 6) for span in spans(run_of(), SpanKind.SERVER)}
    assert ended == {"api": 103.0, "mid": 104.0, "front": 105.0}


def test_the_word_that_a_caller_has_gone_does_not_overtake_its_request():
    """Requests over a link with a jitter larger than their patience: none that its caller has given up is ever served to the end."""
    network = {"default": {"latency": "50ms", "jitter": "50ms"}}
    load = users("api", rate="200/s", timeout="1ms", max_in_flight=1000)
    result = ran({"api": api("200ms", workers=1000, on_caller_gone="cancel")}, {"users": load}, "3s", network=network)
    assert {span["status"] for span in spans(result, SpanKind.SERVER)} == {"cancelled"}
    assert max(span["end"] - span["start"] for span in spans(result, SpanKind.SERVER)) <= 0.1


# killed and started


def test_who_is_killed_finishes_nothing():
    """In service and in line: connections break at once. What comes later is refused at once, where the caller does not know."""
    result = ran({"api": api()}, {"users": at("0s", "10ms", "60ms")}, latency="5ms", faults=[fault("instance.kill", "50ms")])
    assert answers(result) == [("reset", 55.0), ("reset", 45.0), ("unavailable", 0.0)]
    assert [(span["status"], span["queued"], span["end"]) for span in spans(result, SpanKind.SERVER)] == [
        ("reset", pytest.approx(0.035), 0.05), ("reset", 0.0, 0.05)]
    assert result.summary["services"]["api"]["success_ratio"] == 0.0


def test_a_request_on_its_way_to_a_dead_instance_is_refused():
    """There is a machine, and nobody listens: the caller learns after the way there and back."""
    result = ran({"api": api()}, {"users": at("48ms")}, latency="5ms", faults=[fault("instance.kill", "50ms")])
    assert answers(result) == [("connect", 10.0)]


def test_an_answer_that_was_sent_arrives():
    """The process dies a moment later: what is on the wire is on the wire."""
    result = ran({"api": api("10ms")}, {"users": at("0s")}, latency="5ms", faults=[fault("instance.kill", "16ms")])
    assert answers(result) == [("200", 20.0)]


def test_a_new_process_is_empty_and_takes_its_time_to_start():
    """Killed at 0.1 s, started at 0.3 s, ready at 0.7 s: refusals until then, and afterwards all is well."""
    result = ran({"api": api("10ms", startup="400ms")}, {"users": at("50ms", "200ms", "400ms", "690ms", "710ms")}, latency="1ms",
                 faults=[fault("instance.kill", "100ms", restart_after="200ms")])
    assert statuses(result) == ["200", "unavailable", "unavailable", "unavailable", "200"]


def test_killed_while_it_starts_it_starts_again_from_the_beginning():
    """The first start does not make the second process ready."""
    kills = [fault("instance.kill", "100ms", "100ms", name="a"), fault("instance.kill", "300ms", "100ms", name="b")]
    result = ran({"api": api("1ms", startup="500ms")}, {"users": at("710ms", "890ms", "910ms")}, "2s", faults=kills)
    assert statuses(result) == ["unavailable", "unavailable", "200"]


def test_levels_are_empty_after_a_kill():
    """Busy and waiting fall to nothing at once: one worker and one in line for 50 ms of a second."""
    result = ran({"api": api()}, {"users": at("0s", "0s")}, latency="0ms", faults=[fault("instance.kill", "50ms")])
    figures = result.summary["services"]["api"]
    assert figures["utilisation"] == pytest.approx(0.05) and figures["queue_mean"] == pytest.approx(0.05)


def test_no_instances():
    """Nobody is there: every call fails at once as unavailable, which is 503 for who asked."""
    none = {"instances": 0, "endpoints": {"GET /": []}}
    assert set(statuses(ran({"api": none}, {"users": users("api")}))) == {"unavailable"}
    result = ran({"front": {"endpoints": {"GET /": [{"call": "api"}]}}, "api": none}, {"users": at("0s", to="front")}, latency="1ms")
    assert answers(result) == [("503", 2.0)] and of_users(result)["rejected"] == 0


# unavailable, slow, standing still


def test_an_unavailable_instance_finishes_what_it_has():
    """In service and in line; new ones find nobody."""
    result = ran({"api": api()}, {"users": at("0s", "10ms", "60ms")}, latency="0ms", faults=[fault("instance.unavailable", "50ms")])
    assert statuses(result) == ["200", "200", "unavailable"]


def test_a_slow_instance_does_all_work_slower():
    """From 50 ms on four times: of 100 ms 50 are left, which take 200; the next takes 400; then as before."""
    result = ran({"api": api()}, {"users": at("0s", "0s", "1s")}, "2s", "0ms", faults=[fault("instance.slow", "50ms", "700ms", factor=4.0)])
    assert [ms for _, ms in answers(result)] == pytest.approx([250.0, 650.0, 100.0])


def test_a_paused_instance_stands_still_and_loses_nothing():
    """For 300 ms in the middle of its work: this one ends later by as much, and who came meanwhile is served afterwards."""
    result = ran({"api": api()}, {"users": at("0s", "100ms")}, "2s", "0ms", faults=[fault("instance.pause", "50ms", "300ms")])
    assert answers(result) == [("200", 400.0), ("200", 400.0)]


def test_the_levels_of_a_paused_instance_go_on():
    """Its worker holds its request all the time."""
    result = ran({"api": api()}, {"users": at("0s")}, "1s", "0ms", faults=[fault("instance.pause", "50ms", "300ms")])
    assert result.summary["services"]["api"]["utilisation"] == pytest.approx(0.4)


def test_who_comes_while_all_stand_still_goes_on_with_them():
    """A new version is started under a pause of the whole service: it registers when that is over, and then replaces the old one."""
    services = {"api": api(deployment={"at": "1s", "version": "v2", "linger": "0s"}), "back": {"endpoints": {"GET /": []}}}
    services["api"]["endpoints"]["GET /"].append({"call": "back"})
    result = ran(services, {"users": at("18s")}, "20s", registry={"check": {"interval": "1s"}},
                 faults=[fault("instance.pause", "500ms", "4s")])
    (registered,) = [event["at"] for event in result.events if event["kind"] == "registry.registered"]
    assert registered == pytest.approx(4.5, abs=0.01) and statuses(result) == ["200"]
    assert [event["kind"] for event in result.events if event["kind"].startswith("deployment")] == ["deployment.started", "deployment.done"]
