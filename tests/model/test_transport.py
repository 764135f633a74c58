"""Transports: what connections cost, how they fail, and what gRPC adds."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from sim.errors import ConnectFailed, ConnectionReset
from sim.mistakes import mistakes
from sim.model.client import UseSpec
from sim.model.messages import Response
from sim.model.network import Drop, Fail
from sim.telemetry.codes import Reason, SpanKind
from tests.model.platform_world import Platform, platform

BACK = {"back": {"workers": 100, "endpoints": {"GET /": [{"sleep": "100ms"}]}}}
GRPC = {"protocol": "grpc"}


def black_hole(lab: Platform, source: str = "user", target: str = "back") -> ExitStack:
    """Nothing gets through in either direction, and nobody is told."""
    stack = ExitStack()
    for one, other in ((source, target), (target, source)):
        stack.enter_context(lab.world.link(one, other).rule(lambda message: Drop()))
    return stack


def reason_of(lab: Platform, client, **more) -> Reason:
    """Why a call has no status."""
    return Reason(lab.ask(client, **more).reason)


# http

def test_connections_cost_nothing_unless_they_are_asked_for():
    """10 ms there, 100 ms of work, 10 ms back."""
    with platform(BACK) as lab:
        assert lab.timed(lab.client("back")) == (200, 0.12)


@pytest.mark.parametrize(("connection", "first", "second"), [({}, 0.14, 0.12), ({"tls": True, "handshake": "5ms"}, 0.165, 0.12)])
def test_the_first_call_pays_for_the_connection_and_the_second_uses_it(connection, first, second):
    """A round trip for TCP; another one and the cryptography for TLS."""
    with platform(BACK) as lab:
        client = lab.client("back", connection=connection)
        assert [lab.timed(client), lab.timed(client)] == [(200, first), (200, second)]


def test_an_idle_connection_is_closed_after_keep_alive():
    """Used within 5 s it is still there; after 5 s a new one is opened."""
    with platform(BACK) as lab:
        client = lab.client("back", connection={"keep_alive": "5s"})
        lab.ask(client)
        lab.run(4.9)
        assert lab.timed(client) == (200, 0.12)
        lab.run(5.1)
        assert lab.timed(client) == (200, 0.14)


def test_a_full_pool_makes_callers_wait_for_each_other():
    """Two connections, four calls: two open them, two get them when they are free, without a set-up."""
    with platform(BACK) as lab:
        client = lab.client("back", connection={"max_connections": 2})
        assert lab.together(client, 4) == [(200, 0.14), (200, 0.14), (200, 0.26), (200, 0.26)]
        assert client.edge.counts["connection.opened"] == 2


def test_who_waits_too_long_for_a_connection_is_refused_and_nothing_was_sent():
    """One connection that is in use for 140 ms; the second caller waits 50 ms: 503, and one request on the wire."""
    with platform(BACK) as lab:
        client = lab.client("back", connection={"max_connections": 1, "pool_timeout": "50ms"})
        assert lab.together(client, 2) == [(200, 0.14), (503, 0.05)]
        assert client.edge.sent == 1
        assert len(client.edge.noted["pool.rejected"]) == 1
        (event,) = lab.events("pool.timeout")
        assert (event["edge"], event["instance"], event["waited"], event["size"]) == ("user->back", "back-0", 0.05, 1)


def test_who_waits_too_long_for_a_connection_says_nothing_about_the_callee():
    """Nothing was sent: no attempt is counted, the breaker stays closed, and outlier detection ejects nobody."""
    with platform(BACK) as lab:
        breaker = {"circuit_breaker": {"sliding_window": {"calls": 2}, "minimum_number_of_calls": 2}}
        client = lab.client("back", connection={"max_connections": 1, "pool_timeout": "50ms"}, policies=[breaker],
                            outlier_detection={"consecutive_5xx": 2, "interval": "1s", "max_ejection": "100%"})
        assert lab.together(client, 6) == [(200, 0.14), *[(503, 0.05)] * 5]
        assert (client.edge.sent, client.edge.opened, lab.events("outlier.ejected")) == (1, 0, [])
        rows = lab.world.recorder.spans.array()
        assert rows["attempt"][rows["kind"] == SpanKind.CLIENT].tolist() == [0, 0, 0, 0, 0, 1]


def test_a_request_that_is_given_up_takes_its_connection_with_it():
    """After a timeout the answer may still come on that connection: the next call opens another one."""
    with platform(BACK) as lab:
        client = lab.client("back", connection={}, policies=[{"timeout": "50ms"}])
        assert reason_of(lab, client) is Reason.TIMEOUT
        lab.instance("back-0").slowness = 0.1
        lab.run(1)
        assert client.edge.counts["connection.opened"] == 1
        assert reason_of(lab, client) is Reason.TIMEOUT
        assert client.edge.counts["connection.opened"] == 2


def test_connections_break_with_their_instance():
    """Killed and started again, the instance has none of the old connections."""
    with platform(BACK) as lab:
        client = lab.client("back", connection={})
        lab.ask(client)
        lab.instance("back-0").kill()
        lab.instance("back-0").start()
        lab.run(1)
        assert lab.timed(client) == (200, 0.14)


def test_refused_reset_and_black_hole_differ_for_the_caller():
    """Refused at once and nothing was sent; reset when it dies under the call; of a black hole one hears nothing at all."""
    with platform(BACK) as lab:
        client = lab.client("back", connection={"connect_timeout": "3s"})
        lab.loop.after(0.05, lab.instance("back-0").kill)
        reset = lab.ask(client)
        assert (type(reset.error), lab.loop.time()) == (ConnectionReset, pytest.approx(0.06))
        lab.instance("back-0").start()
        lab.run(0.1)
        lab.instance("back-0").set_unavailable(True)
        lab.world.node("back").reachable = (lab.instance("back-0"),)  # a discovery that does not know yet
        start = lab.loop.time()
        refused = lab.ask(client)
        assert (type(refused.error), lab.loop.time() - start, client.edge.sent) == (ConnectFailed, pytest.approx(0.02), 1)
        start = lab.loop.time()
        with black_hole(lab):
            lost = lab.ask(client)
        assert (type(lost.error), lab.loop.time() - start, client.edge.sent) == (ConnectFailed, pytest.approx(3.0), 1)


def test_a_rule_of_the_link_speaks_during_the_handshake_too():
    """A link that resets does so for the first packet."""
    with platform(BACK) as lab, lab.world.link("user", "back").rule(lambda message: Fail(lambda: ConnectionReset("cut"))):
        assert reason_of(lab, lab.client("back", connection={})) is Reason.RESET


def test_what_is_on_its_way_over_http_when_an_instance_is_told_to_end_is_served():
    """Requests every 5 ms over a link of 10 ms, and one of two instances ends: nothing fails, none of its connections is used again, and
    there is no new one."""
    services = {"back": {"instances": 2, "workers": 100, "endpoints": {"GET /": [{"sleep": "100ms"}]}}}
    with platform(services) as lab:
        client, leaver = lab.client("back", connection={}), lab.instance("back-0")
        calls = []
        for step in range(60):
            calls.append(lab.loop.create_task(lab.call(client)))
            if step == 40:
                leaver.set_terminating(True)
            lab.run(0.005)
        lab.run(0.2)
        assert [call.result().status for call in calls] == [200] * 60
        idle = list(client.transport.pools[leaver].idle)
        client.see_through(SimpleNamespace(reachable=(leaver,)))
        answers = [lab.ask(client).status for _ in range(len(idle) + 1)]
        assert answers == [200] * len(idle) + [502]


def test_who_waits_for_a_connection_of_an_instance_that_ends_goes_elsewhere():
    """One connection to each of two instances, and six calls: the one under way is finished, and the two behind it find the other one."""
    services = {"back": {"instances": 2, "workers": 100, "endpoints": {"GET /": [{"sleep": "100ms"}]}}}
    with platform(services) as lab:
        client = lab.client("back", connection={"max_connections": 1})
        calls = [lab.loop.create_task(lab.call(client)) for _ in range(6)]
        lab.run(0.05)
        lab.instance("back-0").set_terminating(True)
        lab.run(1)
        assert [call.result().status for call in calls] == [200] * 6
        assert client.edge.counts["connection.opened"] == 2


# grpc: keepalive

def test_keepalive_finds_a_dead_peer_that_a_plain_call_waits_for():
    """Black hole under a call: pinged after 10 s of silence, given up 1 s later; without keepalive the call is still waiting."""
    for keepalive, ends in (({"time": "10s", "timeout": "1s"}, True), (None, False)):
        with platform(BACK) as lab:
            client = lab.client("back", **GRPC, connection={}, **({"keepalive": keepalive} if keepalive else {}))
            lab.ask(client)
            with black_hole(lab):
                call = lab.loop.create_task(lab.call(client))
                lab.run(60)
                assert call.done() is ends
                if ends:
                    assert type(call.result().error) is ConnectionReset
                    assert lab.events("connection.lost")[0]["at"] == pytest.approx(0.14 + 10 + 1)


def test_an_idle_connection_is_pinged_only_with_permission():
    """Without streams and without `permit_without_stream` nobody notices that the peer is gone."""
    for permitted in (True, False):
        with platform(BACK) as lab:
            client = lab.client("back", **GRPC, keepalive={"time": "10s", "timeout": "1s", "permit_without_stream": permitted})
            lab.ask(client)
            with black_hole(lab):
                lab.run(30)
            assert bool(client.transport.connections) is not permitted


def test_a_paused_process_does_not_answer_pings_and_a_slow_one_does():
    """A ping is answered by the process: one that stands still is dead, one that works for a minute is not."""
    services = {"back": {"endpoints": {"GET /": [{"sleep": "1m"}]}}}
    for paused, reason in ((True, Reason.RESET), (False, None)):
        with platform(services) as lab:
            client = lab.client("back", **GRPC, keepalive={"time": "10s", "timeout": "1s"})
            call = lab.loop.create_task(lab.call(client))
            lab.run(1)
            if paused:
                lab.instance("back-0").pause()
            lab.run(120)
            assert call.result().reason == (reason or 0)


def test_a_server_that_allows_few_pings_closes_the_connection_of_who_pings_more():
    """Every 10 s where 5 min are asked for: the third early ping ends the connection, and the client pings half as often then."""
    services = {"back": {"endpoints": {"GET /": [{"sleep": "2m"}]}}}
    with platform(services) as lab:
        keepalive = {"time": "10s", "timeout": "1s", "server_min_time": "5m"}
        client = lab.client("back", **GRPC, keepalive=keepalive)
        call = lab.loop.create_task(lab.call(client))
        lab.run(60)
        assert type(call.result().error) is ConnectionReset
        assert [event["why"] for event in lab.events("connection.lost")] == ["too many pings"]


# what cannot be meant

WRONG = [
    ({"keepalive": {}}, "`keepalive` is of grpc", "protocol: grpc"),
    ({"max_message_size": "1MiB"}, "`max_message_size` is of grpc", "protocol: grpc"),
    ({"connection": {"pinned": True}}, "`pinned` is of grpc", "max_connections"),
    ({"protocol": "grpc", "connection": {"keep_alive": "5s"}}, "`keep_alive` is of http", "max_streams"),
    ({"connection": {"connect_timeout": "0s"}}, "more than 0", ""),
]


@pytest.mark.parametrize(("use", "what", "cure"), WRONG, ids=[what for _, what, _ in WRONG])
def test_what_the_protocol_does_not_have_is_a_mistake(use, what, cure):
    """Said with the cure, before anything runs."""
    with pytest.raises(ValidationError) as caught:
        UseSpec.model_validate(use)
    (mistake,) = mistakes(caught.value)
    assert what in mistake.what
    assert cure in mistake.cure


# outlier detection

def test_an_instance_that_fails_again_and_again_is_left_out_and_comes_back():
    """One of four answers 500: after five failures in a row it gets nothing for the ejection time, then again."""
    services = {"back": {"instances": 4, "endpoints": {"GET /": []}}}
    with platform(services) as lab:
        detection = {"consecutive_5xx": 5, "interval": "10s", "base_ejection_time": "30s", "max_ejection": "50%"}
        client = lab.client("back", outlier_detection=detection)
        bad = lab.instance("back-2")
        with bad.intercepted(lambda exchange, proceed: bad.reply(exchange, Response(500))):
            statuses = [lab.ask(client).status for _ in range(100)]
        assert statuses.count(500) == 5
        (ejected,) = lab.events("outlier.ejected")
        assert (ejected["instance"], ejected["reason"]) == ("back-2", "consecutive_5xx")
        lab.run(ejected["until"] - lab.loop.time())
        seen = []
        with bad.intercepted(lambda exchange, proceed: (seen.append(exchange), proceed(exchange))):
            assert [lab.ask(client).status for _ in range(8)] == [200] * 8
        assert len(seen) == 2
        assert client.edge.counts["outlier_detection.host_ejected"] == 1
        lab.run(20)
        assert [event["instance"] for event in lab.events("outlier.returned")] == ["back-2"]


def test_an_instance_that_hangs_is_ejected_for_its_timeouts():
    """Its answers never come; the timeout of the policy is a failure of that instance."""
    services = {"back": {"instances": 4, "endpoints": {"GET /": []}}}
    with platform(services) as lab:
        client = lab.client("back", outlier_detection={"consecutive_5xx": 3}, policies=[{"timeout": "100ms"}])
        lab.instance("back-1").pause()
        reasons = [lab.ask(client).reason for _ in range(60)]
        assert reasons.count(int(Reason.TIMEOUT)) == 3
        assert lab.events("outlier.ejected")[0]["instance"] == "back-1"


def test_never_more_than_the_share_is_ejected():
    """All four fail, half may be out: two are ejected, the others are only reported."""
    services = {"back": {"instances": 4, "endpoints": {"GET /": [{"fail": {"status": 500}}]}}}
    with platform(services) as lab:
        client = lab.client("back", outlier_detection={"consecutive_5xx": 2, "max_ejection": "50%"})
        assert {lab.ask(client).status for _ in range(40)} == {500}
        assert [event["enforced"] for event in lab.events("outlier.ejected")][:3] == [True, True, False]
        assert len({event["instance"] for event in lab.events("outlier.ejected") if event["enforced"]}) == 2
