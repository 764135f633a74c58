"""Connections of gRPC: who shares them, what they are pinned to, how their ends are told and their failures kept from calls."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sim.model.network import Drop
from tests.model.platform_world import busy_seconds, platform
from tests.model.test_transport import BACK, GRPC, black_hole

FOUR = {"back": {"instances": 4, "workers": 100, "endpoints": {"GET /": [{"sleep": "100ms"}]}}}


def test_all_requests_share_one_connection_for_each_instance():
    """Ten at once to four instances: four connections, opened together, and no waiting."""
    with platform(FOUR) as lab:
        client = lab.client("back", **GRPC, connection={})
        assert {when for _, when in lab.together(client, 10)} == {0.14}
        assert client.edge.counts["connection.opened"] == 4


def test_a_pinned_caller_sends_everything_to_one_instance():
    """The trap: four instances behind a balancer of connections, and one of them does all the work; without the pin all share it."""
    with platform(FOUR) as lab:
        pinned, balanced = lab.client("back", "one", **GRPC, connection={"pinned": True}), lab.client("back", "two", **GRPC, connection={})
        for client, most in ((pinned, [20]), (balanced, [5, 5, 5, 5])):
            served = [busy_seconds(instance) for instance in lab.world.node("back").instances]
            lab.together(client, 20)
            after = [busy_seconds(instance) for instance in lab.world.node("back").instances]
            assert sorted(round(10 * (b - a)) for a, b in zip(served, after, strict=True) if b > a) == most


def test_a_pinned_caller_moves_on_when_its_connection_is_too_old_or_breaks():
    """With a largest age the calls of a long time reach more than one instance; and so they do when theirs dies."""
    with platform(FOUR) as lab:
        client = lab.client("back", **GRPC, connection={"pinned": True, "max_age": "10s"})
        for _ in range(12):
            lab.ask(client)
            lab.run(5)
        assert sum(busy_seconds(instance) > 0 for instance in lab.world.node("back").instances) > 1
        pinned = lab.client("back", "other", **GRPC, connection={"pinned": True})
        lab.ask(pinned)
        (first,) = pinned.transport.connections
        first.kill()
        assert lab.ask(pinned).status == 200
        assert list(pinned.transport.connections) != [first]


@pytest.mark.parametrize("end", ["drain", "terminate"])
def test_who_ends_in_good_order_sends_its_pinned_callers_elsewhere(end):
    """It says so (GOAWAY): what it has is finished, what waits for a stream and what comes next goes to another one, and nothing fails."""
    with platform(FOUR) as lab:
        client = lab.client("back", **GRPC, connection={"pinned": True, "max_streams": 2})
        calls = [lab.loop.create_task(lab.call(client)) for _ in range(5)]
        lab.run(0.05)
        (leaver,) = [instance for instance in lab.world.node("back").instances if instance.busy.value]
        leaver.drain(linger=1) if end == "drain" else leaver.set_terminating(True)
        lab.run(0.05)
        assert (leaver.busy.value, sum(instance.busy.value for instance in lab.world.node("back").instances)) == (2, 4)
        lab.run(0.5)
        assert [call.result().status for call in calls] == [200] * 5
        assert lab.ask(client).status == 200 and busy_seconds(leaver) == pytest.approx(0.2)
        assert client.edge.counts["connection.opened"] == 2


def test_the_only_one_that_drains_keeps_its_pinned_callers_until_it_ends():
    """Callers that a registry has told nothing yet have nowhere else to go, and it still takes them."""
    with platform(BACK) as lab:
        client, back = lab.client("back", **GRPC, connection={"pinned": True}), lab.instance("back-0")
        lab.ask(client)
        client.see_through(SimpleNamespace(reachable=(back,)))
        back.drain(linger=1)
        lab.run(0.1)
        assert lab.ask(client).status == 200


def test_more_streams_than_a_connection_takes_wait():
    """Two streams at a time: the third call begins when the first has ended."""
    with platform(BACK) as lab:
        client = lab.client("back", **GRPC, connection={"max_streams": 2})
        assert [when for _, when in lab.together(client, 3)] == [0.14, 0.14, 0.26]


def test_an_instance_that_cannot_be_reached_is_left_out_for_a_while():
    """One of two is behind a black hole: one call waits for the connect timeout, and all go to the one that answers, while the other is
    tried again; if none answers, each is tried once."""
    services = {"back": {"instances": 2, "workers": 100, "endpoints": {"GET /": [{"sleep": "100ms"}]}}}
    with platform(services) as lab:
        cut = lab.instance("back-0")
        client = lab.client("back", **GRPC, connection={"connect_timeout": "1s"})
        with lab.world.link("user", "back").rule(lambda message: Drop() if message.target is cut else None):
            assert sorted(lab.timed(client) for _ in range(5)) == [(200, 0.12)] * 4 + [(200, 1.14)]
            lab.run(1.5)
            assert [lab.timed(client) for _ in range(5)] == [(200, 0.12)] * 5 and cut in client.transport._opening
        lab.run(5)
        assert [lab.timed(client)[1] for _ in range(5)] == [0.12] * 5 and cut in client.transport.connections
        with black_hole(lab, "other"):
            assert lab.timed(lab.client("back", "other", **GRPC, connection={"connect_timeout": "1s"}))[1] == 2


@pytest.mark.parametrize("pinned", [{"pinned": True}, {}])
def test_what_is_on_its_way_when_an_instance_is_told_to_end_is_served(pinned):
    """Requests every 5 ms over a link of 10 ms, and one of two instances ends: what it has and what comes before its word was heard is
    finished, and the rest goes to the other one, whatever discovery says."""
    services = {"back": {"instances": 2, "workers": 100, "endpoints": {"GET /": [{"sleep": "100ms"}]}}}
    with platform(services) as lab:
        client = lab.client("back", **GRPC, connection=pinned)
        client.see_through(SimpleNamespace(reachable=tuple(lab.world.node("back").instances)))
        calls = []
        for step in range(60):
            calls.append(lab.loop.create_task(lab.call(client)))
            if step == 30:
                (leaver, *_) = (instance for instance in lab.world.node("back").instances if instance.busy.value)
                leaver.set_terminating(True)
            lab.run(0.005)
        assert leaver.busy.value == 0
        leaver.kill()
        lab.run(0.2)
        assert [call.result().status for call in calls] == [200] * 60


def test_who_waits_for_a_stream_when_the_connection_closes_goes_elsewhere():
    """One stream at a time, and four calls: the one on it fails with its instance, the three in line have sent nothing."""
    services = {"back": {"instances": 2, "workers": 100, "endpoints": {"GET /": [{"sleep": "100ms"}]}}}
    with platform(services) as lab:
        client = lab.client("back", **GRPC, connection={"pinned": True, "max_streams": 1})
        calls = [lab.loop.create_task(lab.call(client)) for _ in range(4)]
        lab.run(0.05)
        next(instance for instance in lab.world.node("back").instances if instance.busy.value).kill()
        lab.run(1)
        assert [call.result().status for call in calls] == [502, 200, 200, 200]


def test_an_instance_that_dies_as_it_is_connected_to_is_not_kept():
    """It listened when it was asked, and is gone when its answer comes: the pinned caller does not hold on to it."""
    services = {"back": {"instances": 2, "workers": 100, "endpoints": {"GET /": []}}}
    with platform(services) as lab:
        client = lab.client("back", **GRPC, connection={"pinned": True})
        client.see_through(SimpleNamespace(reachable=tuple(lab.world.node("back").instances)))
        call = lab.loop.create_task(lab.call(client))
        lab.run(0.015)
        next(iter(client.transport._opening)).kill()
        lab.run(1)
        assert call.result().status == 200 and lab.ask(client).status == 200
