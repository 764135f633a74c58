"""The network: messages side by side, jitter, loss, bandwidth, directions and zones."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from sim.model.client import Source
from sim.model.messages import Request, Response
from sim.model.network import FIRST_RTO, GIVEN_UP, LOST, Delay, Drop, Fail, Link, LinkFailed, LinkSpec, NetworkSpec, lossy
from sim.streams import Streams
from sim.telemetry.codes import SpanKind
from tests.model.small_runs import answers, at, of_users, ran, spans, users

HERE, THERE = Source("here", "a"), Source("there", "b")
SMALL = Request("GET", "/", size=100)


class Clock:
    """Stands still until it is told to go on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def link(between=None, clock=None, seed=1, **spec):
    """One direction between two nodes in different zones."""
    spec = LinkSpec.model_validate({"latency": "10ms", **spec})
    network = NetworkSpec.model_validate({"between_zones": between})
    return Link("here", "there", spec, Streams(seed), clock or Clock(), network.between_zones)


def delays(line, count, request=SMALL, response=None):
    """Of so many messages that are sent at the same time."""
    return [line.delay(HERE, THERE, request, response) for _ in range(count)]


def test_messages_do_not_wait_for_each_other():
    """1000 requests sent at once over a link of 100 ms all arrive after 100 ms."""
    result = ran({"api": {"workers": 2000, "endpoints": {"GET /": []}}}, {"users": at(*["0ms"] * 1000)}, latency="100ms")
    assert {span["start"] for span in spans(result, SpanKind.SERVER)} == {0.1}
    assert answers(result) == [("200", 200.0)] * 1000


def test_jitter_is_uniform_on_both_sides():
    """10 ms with a jitter of 4 ms: between 6 and 14 ms, with mean and variance of a uniform distribution."""
    some = delays(link(jitter="4ms"), 20_000)
    mean = sum(some) / len(some)
    variance = sum((value - mean) ** 2 for value in some) / len(some)
    assert min(some) >= 0.006 and max(some) <= 0.014
    assert mean == pytest.approx(0.010, abs=5e-5) and variance == pytest.approx(0.008**2 / 12, rel=0.03)


def test_no_message_arrives_before_it_was_sent():
    """A jitter larger than the latency is cut at zero, also in front of a slow line."""
    assert min(delays(link(latency="1ms", jitter="5ms"), 1000)) == 0.0
    slow = link(latency="1ms", jitter="5ms", bandwidth="800kbit")  # 1 ms for each message
    some = delays(slow, 1000)
    assert all(delay >= (number + 1) * 0.001 - 1e-12 for number, delay in enumerate(some))


def test_loss_on_tcp_is_a_late_message():
    """Half of the packets are lost: a message is late by 0.2 s, 0.6 s, 1.4 s ... with the odds of one, two, three losses in a row."""
    some = [round(delay, 6) for delay in delays(link(loss="50%"), 20_000)]
    for losses, share in ((0, 0.5), (1, 0.25), (2, 0.125), (3, 0.0625)):
        assert some.count(round(0.01 + FIRST_RTO * (2**losses - 1), 6)) / len(some) == pytest.approx(share, abs=0.012)


def test_every_packet_of_a_large_message_has_to_arrive():
    """100 packets of which 1 % is lost: late with probability 1 - 0.99^100, and then nearly always by one timeout."""
    large = Request("GET", "/", size=100 * 1460)
    some = delays(link(loss="1%"), 5000, large)
    late = [delay for delay in some if delay > 0.01]
    assert len(late) / len(some) == pytest.approx(1 - 0.99**100, abs=0.02)
    assert sum(delay == pytest.approx(0.21) for delay in late) / len(late) > 0.97


def test_of_many_lost_packets_each_has_to_be_sent_again():
    """When half of 1000 packets are lost, half of those are lost again, and so on: ten rounds on average, and not two."""
    large = Request("GET", "/", size=1000 * 1460)
    some = delays(link(loss="50%"), 200, large)
    assert sorted(some)[100] > 0.01 + FIRST_RTO * (2**8 - 1)


def test_a_connection_over_which_nothing_comes_is_given_up():
    """With all packets lost nothing arrives; Linux gives up after a quarter of an hour, and nobody is told."""
    assert delays(link(loss="100%"), 3) == [LOST] * 3
    assert pytest.approx(924.6) == GIVEN_UP


def test_a_lost_datagram_is_lost():
    """It does not come late, it does not come."""
    some = delays(link(loss="10%", transport="datagram"), 10_000)
    assert set(some) == {0.01, LOST}
    assert some.count(LOST) / len(some) == pytest.approx(0.1, abs=0.01)


def test_a_rule_may_know_better_than_its_link_what_becomes_of_losses():
    """A loss that is said to be of datagrams drops, on any link."""
    line = link()
    with line.rule(lossy(lambda after: True, "datagram")):
        assert delays(line, 2) == [LOST, LOST]
    assert delays(line, 1) == [0.01]


def test_bandwidth_makes_messages_share_the_line():
    """100 bytes at 80 kbit/s take 10 ms each, one after another; then the line is free again."""
    clock = Clock()
    line = link(bandwidth="80kbit", clock=clock)
    assert delays(line, 3) == pytest.approx([0.02, 0.03, 0.04])
    clock.now = 0.025  # 5 ms before the third has left
    assert delays(line, 1) == pytest.approx([0.025])
    clock.now = 10.0
    assert delays(line, 1) == pytest.approx([0.02])


def test_what_counts_for_bandwidth_is_the_size_of_the_message_at_hand():
    """A request of 100 bytes, an answer of 1000."""
    assert delays(link(bandwidth="80kbit"), 1, SMALL) == pytest.approx([0.02])
    assert delays(link(bandwidth="80kbit"), 1, SMALL, Response(200, size=1000)) == pytest.approx([0.11])


def test_each_direction_has_a_line_of_its_own():
    """Ten large uploads at once wait for each other; their small answers do not wait at all."""
    network = {"default": {"latency": "0ms"}, "links": {"users->api": {"latency": "0ms", "bandwidth": "8Mbit"}}}
    mix = [{"send": "POST /", "size": "100kB"}]
    upload = ran({"api": {"endpoints": {"POST /": [{"return": {"status": 201, "size": "1kB"}}]}}}, {"users": at(*["0ms"] * 10, mix=mix)},
                 duration="3s", network=network)
    assert [ms for _, ms in answers(upload)] == pytest.approx([100.0 * n + 1 for n in range(1, 11)])
    download = ran({"api": {"endpoints": {"GET /": [{"return": {"size": "100kB"}}]}}},
                   {"users": at(*["0ms"] * 10, mix=[{"send": "GET /", "size": "1kB"}])}, duration="3s", network=network)
    assert [ms for _, ms in answers(download)] == pytest.approx([1 + 100.0 * n for n in range(1, 11)])


def test_a_link_is_the_same_in_both_directions_unless_the_other_one_is_listed():
    """8 ms there and back; with the way back listed, 8 ms there and 2 ms back."""
    services = {"api": {"endpoints": {"GET /": []}}}
    both = ran(services, network={"default": {"latency": "1ms"}, "links": {"users->api": {"latency": "8ms"}}})
    assert answers(both)[0] == ("200", 16.0)
    reverse = ran(services, network={"default": {"latency": "1ms"}, "links": {"api->users": {"latency": "8ms"}}})
    assert answers(reverse)[0] == ("200", 16.0)
    listed = ran(services, network={"links": {"users->api": {"latency": "8ms"}, "api->users": {"latency": "2ms"}}})
    assert answers(listed)[0] == ("200", 10.0)


def test_the_name_of_a_link_has_no_blanks():
    """Who writes them meant a link, and would get none."""
    with pytest.raises(ValidationError, match="is no link"):
        NetworkSpec.model_validate({"links": {"users -> api": {"latency": "8ms"}}})


def test_zones_are_further_apart():
    """Between two zones a message takes so much longer, and all that is said of the way between them holds; within one it does not."""
    between = {"latency": "5ms", "loss": "50%", "bandwidth": "80kbit"}
    line = link(between=between)
    assert min(delays(line, 20)) == pytest.approx(0.01 + 0.005 + 0.01) and max(delays(line, 20)) > FIRST_RTO
    assert [line.delay(HERE, Source("x", "a"), SMALL) for _ in range(20)] == [0.01] * 20
    assert [line.delay(HERE, Source("x"), SMALL) for _ in range(20)] == [0.01] * 20, "who has no zone is no further from anywhere"


def test_jitter_between_zones():
    """Ahead or behind by up to so much, and never before the rest of the way is over."""
    some = delays(link(between={"latency": "2ms", "jitter": "4ms"}), 2000)
    assert min(some) == 0.01 and 0.0155 < max(some) <= 0.016


def test_instances_are_spread_over_the_zones_in_turn():
    """Three instances in two zones: a, b, a. A caller in zone a then waits longer for every third answer."""
    network = {"default": {"latency": "1ms"}, "zones": {"a": {}, "b": {}}, "between_zones": {"latency": "10ms"}}
    api = {"instances": 3, "zone": "spread", "endpoints": {"GET /": []}}
    result = ran({"api": api}, {"users": users("api", zone="a")}, network=network)
    assert {span["instance"] for span in spans(result, SpanKind.SERVER)} == {"api-0", "api-1", "api-2"}
    assert sorted(ms for _, ms in answers(result)[:9]) == [2.0] * 6 + [22.0] * 3


def test_rules_lie_on_each_other():
    """Delays add up; a drop and a failure end it there; a rule that is lifted leaves the others where they are."""
    line = link()
    with line.rule(lambda message: Delay(0.005)):
        with line.rule(lambda message: Delay(0.005)):
            assert delays(line, 1) == pytest.approx([0.02])
        assert delays(line, 1) == pytest.approx([0.015])
        with line.rule(lambda message: Drop()):
            assert delays(line, 1) == [LOST]
        with line.rule(lambda message: Fail(ConnectionError, 0.5)), pytest.raises(LinkFailed) as failed:
            delays(line, 1)
        assert failed.value.verdict.after == 0.5
    assert line.rules == () and math.inf == LOST


def test_rules_that_come_and_go_change_no_latency():
    """Messages get the same latencies, one after another, whether or not there are rules for some of them; nothing is free under one."""
    plain, ruled = link(latency={"exponential": "10ms"}), link(latency={"exponential": "10ms"})
    expected = delays(plain, 300)
    some = [ruled.free.draw(), *delays(ruled, 99)]
    with ruled.rule(lambda message: None), ruled.rule(lambda message: None):
        some += delays(ruled, 100)
        assert not ruled.free
    assert [*some, ruled.free.draw(), *delays(ruled, 99)] == expected


def test_rules_see_who_sends_what_to_whom():
    """A rule can tell the way there from the way back, and the size of each."""
    line, seen = link(), []
    with line.rule(lambda message: seen.append((message.source.name, message.target.name, message.size, message.response is None))):
        delays(line, 1)
        line.delay(THERE, HERE, SMALL, Response(200, size=7))
    assert seen == [("here", "there", 100, True), ("there", "here", 7, False)]


def test_loss_shows_at_the_users_as_latency():
    """10 % of packets lost each way, on TCP: nobody fails, and about a fifth comes at least 0.2 s late."""
    lossy_link = {"latency": "1ms", "loss": "10%"}
    load = {"users": users("api", rate="100/s")}
    result = ran({"api": {"endpoints": {"GET /": []}}}, load, duration="20s", network={"default": lossy_link})
    figures = of_users(result)
    late = sum(ms > 200 for _, ms in answers(result)) / figures["started"]
    assert figures["success_ratio"] == 1.0 and late == pytest.approx(1 - 0.9**2, abs=0.03)
