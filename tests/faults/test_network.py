"""What chance does to delays: the shapes of jitter, and correlation, against their formulas."""

from __future__ import annotations

import itertools
import statistics

import pytest

from sim.faults.network import JITTERS, correlated
from sim.streams import Streams
from sim.telemetry.codes import SpanKind

from .small import AFTER, BASE, measure, ran

N = 20_000


class Dice:
    """What `correlated` asks of an injection."""

    rng = Streams(5)["dice"]


def drawn(distribution, correlation=0.0):
    draw, shape = correlated(Dice, correlation), JITTERS[distribution]
    return [shape(draw()) for _ in range(N)]


@pytest.mark.parametrize(("distribution", "deviation", "lowest", "highest"), [
    ("uniform", 1 / 3**0.5, -1, 1),  # netem without a table draws from [mean - jitter, mean + jitter]
    ("normal", 1.0, -4, 4),
    ("pareto", 0.826, -2 / 3, 4),  # (u^(-1/3) - 1.5) * 4/3, cut off at 4
])
def test_jitters_have_their_shape(distribution, deviation, lowest, highest):
    """Their mean is nothing (a little less where the tail is cut off), and none is beyond its bounds."""
    some = drawn(distribution)
    assert statistics.fmean(some) == pytest.approx(-0.03 if distribution == "pareto" else 0, abs=0.03)
    assert statistics.stdev(some) == pytest.approx(deviation, rel=0.05)
    assert lowest <= min(some) and max(some) <= highest


@pytest.mark.parametrize("correlation", [0.3, 0.9])
def test_correlation_is_that_of_neighbours_and_leaves_the_spread(correlation):
    """Pearson's, between each and the next."""
    some = drawn("uniform", correlation)
    assert statistics.correlation(*zip(*itertools.pairwise(some), strict=True)) == pytest.approx(correlation, abs=0.04)
    assert statistics.stdev(some) == pytest.approx(1 / 3**0.5, rel=0.04)


@pytest.mark.parametrize("distribution", ["uniform", "normal", "pareto"])
def test_no_message_comes_before_it_was_sent(distribution):
    """A jitter that is larger than the latency takes nothing away from the link's own."""
    result = ran({"kind": "network.delay", "target": {"link": "front->back"}, "latency": "10ms", "jitter": "50ms", "distribution": distribution})
    client = result.spans.of(SpanKind.CLIENT)
    calls = client[client.node == result.names.nodes.index("front")]
    assert calls.duration.min() >= 0.002
    assert calls.duration.max() > 0.05


# partitions

CUT = {"kind": "network.partition", "target": {"link": "front->back"}}
PATIENT = {"services__front__uses": {}, "workloads__web__timeout": None}


def calls_of_front(result):
    """(start, end) of each call to back that has an end."""
    client = result.spans.of(SpanKind.CLIENT)
    mine = client[(client.node == result.names.nodes.index("front")) & (client.peer == result.names.nodes.index("back"))]
    return list(zip(mine.start.tolist(), mine.end.tolist(), strict=True))


@pytest.mark.parametrize("direction", ["to", "from", "both"])
def test_what_a_partition_swallowed_comes_when_it_has_healed(direction):
    """Nobody gives up: TCP sends again 0.2, 0.6, 1.4, 3.0, 6.2 s after the first time, and the first of these that is after the heal
    gets through. Nothing is lost, nothing hangs."""
    result = ran({**CUT, "target": {**CUT["target"], "direction": direction}}, **PATIENT, duration="16s")
    assert result.summary["workloads"]["web"]["success_ratio"] == 1 and result.summary["calls"]["front->back"]["unfinished"] <= 2
    cut = {start: end for start, end in calls_of_front(result) if 4.1 < start < 7.9}
    assert len(cut) > 370
    for start, end in cut.items():
        left = start + (0.011 if direction == "from" else 0.0)  # when what is swallowed was sent
        retries = [left + tried for tried in (0.2, 0.6, 1.4, 3.0, 6.2) if left + tried >= 8.0]
        assert end - start == pytest.approx(retries[0] - start + (0.001 if direction == "from" else 0.012), abs=1e-6)


def test_who_has_left_is_not_served_when_the_partition_heals():
    """Callers with a timeout have closed their connections: no flood of stale work after the heal."""
    result = ran(CUT)
    assert measure(result, "offered", "back", AFTER) == pytest.approx(100, abs=1)
    assert result.summary["services"]["back"]["requests"] < 1200 - 330 + 10


def test_a_datagram_that_a_partition_swallowed_is_gone():
    """Nobody sends it again: who waits without a timeout waits for ever."""
    result = ran(CUT, **PATIENT, network__default__transport="datagram")
    assert result.summary["calls"]["front->back"]["unfinished"] == pytest.approx(400, abs=4)


def test_consumers_go_on_when_a_partition_between_them_and_the_broker_heals():
    """What was under way is delivered by TCP then, so that no slot stays taken, and the lag is worked off."""
    mailer = {"workers": 4, "subscribe": {"order": [{"work": "10ms"}]}}
    shop = {"services__events": {"kind": "broker"}, "services__mailer": mailer,
            "services__front__endpoints": {"GET /": [{"publish": "order"}], "GET /db": [], "GET /cache": []}}
    result = ran({"kind": "network.partition", "target": {"link": "events->mailer", "direction": "both"}}, **shop, duration="30s")
    group = result.summary["brokers"]["events"]["groups"]["mailer"]
    assert group["lag_max"] > 350 and group["lag"] <= 2


CUT_BOTH = {"kind": "network.partition", "target": {"link": "front->back", "direction": "both"}, "schedule": {"at": "4s", "for": "500ms"}}


@pytest.mark.parametrize("direction", ["to", "from"])
def test_a_connection_that_a_partition_kept_from_opening_opens_when_it_has_healed(direction):
    """Each call opens one, over a cut of half a second: the first packet is sent again after a second, and nobody fails."""
    cut = {**CUT_BOTH, "target": {"link": "front->back", "direction": direction}}
    uses = {"back": {"connection": {"keep_alive": "1ms"}}}
    result = ran(cut, services__front__uses=uses, workloads__web__rate="9/s", duration="8s")
    assert result.summary["calls"]["front->back"]["success_ratio"] == 1
    assert max(end - start for start, end in calls_of_front(result)) == pytest.approx(1 + 0.014)


def test_a_ping_outlives_a_partition_that_is_shorter_than_its_timeout():
    """Pinged every second, five seconds to answer: cuts of half a second do not cost the connection, one of six seconds does."""
    uses = {"back": {"protocol": "grpc", "connection": {}, "keepalive": {"time": "1s", "timeout": "5s"}}}
    for lasts, lost in (("500ms", 0), ("7s", 1)):
        cut = {**CUT_BOTH, "schedule": {"at": "4s", "for": lasts}}
        result = ran(cut, services__front__uses=uses, services__front__instances=1, services__back__instances=1,
                     services__back__endpoints={"GET /x": [{"sleep": "10s"}]}, workloads__web__rate="2/s", duration="16s")
        assert sum(event["kind"] == "connection.lost" for event in result.events) == lost


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
def test_what_is_published_without_confirm_arrives_when_a_partition_heals(delivery):
    """TCP sends it again, and the publisher has long gone on; a datagram is gone."""
    for transport, lost in (("tcp", 0), ("datagram", 1)):
        shop = {"services__shop": {"endpoints": {"POST /": [{"publish": {"subject": "order", "confirm": False}}]}},
                "services__events": {"kind": "broker", "delivery": delivery}, "services__mailer": {"subscribe": {"order": []}},
                "network__links": {"shop->events": {"latency": "1ms", "transport": transport}},
                "workloads__orders": {"rate": "20/s", "arrivals": "uniform", "to": "shop", "mix": [{"send": "POST /"}]}}
        result = ran({"kind": "network.partition", "target": {"link": "shop->events"}}, **shop, duration="12s")
        events = result.summary["brokers"]["events"]
        assert (events["received"] < events["published"] - 70) is bool(lost)
        assert events["received"] >= events["published"] - 1 or lost


def test_the_word_that_a_caller_has_left_arrives_when_a_partition_heals():
    """By gRPC a server works on for who has left during a cut only until that is over, and not to the end."""
    uses = {"back": {"protocol": "grpc", "policies": [{"timeout": "200ms"}]}}
    result = ran({**CUT_BOTH, "schedule": {"at": "4s", "for": "1s"}}, services__front__uses=uses, workloads__web__rate="10/s",
                 services__back__endpoints={"GET /x": [{"sleep": "30s"}]}, duration="8s")
    served = result.spans.of(SpanKind.SERVER)
    at_back = served[served.node == result.names.nodes.index("back")]
    assert max((at_back.end - at_back.start).tolist()) == pytest.approx(1.5, abs=0.3)


def test_what_is_sent_again_after_the_fault_is_not_lost():
    """All packets are lost from 4 to 8 s. Of what is sent, TCP sends again 0.2, 0.6, 1.4, 3 and 6.2 s later: the first time after 8 s counts."""
    result = ran({"kind": "network.loss", "target": {"link": "web->front"}, "loss": "100%"}, workloads__web__timeout="9s")
    web = result.requests[(result.requests.rows["workload"] == result.names.workloads.index("web")) & (result.requests.outcome == 0)]
    late = [(row["intended"], row["end"] - row["intended"] - BASE["web"]) for row in web.rows if 4 <= row["intended"] < 8]
    assert len(late) > 300  # the others are still to come at the end of the run
    tries = [0.2, 0.6, 1.4, 3.0, 6.2]
    clear = [(at, waited) for at, waited in late if all(abs(at + one - 8) > 1e-6 for one in tries)]  # not in the instant of the end
    assert all(waited == pytest.approx(min(one for one in tries if at + one > 8), abs=1e-6) for at, waited in clear)
    assert all(row["end"] - row["intended"] == pytest.approx(BASE["web"]) for row in web.rows if row["intended"] >= 8)
