"""What chance does to delays: the shapes of jitter, and correlation, against their formulas."""

from __future__ import annotations

import itertools
import statistics

import pytest

from sim.faults.network import JITTERS, correlated
from sim.streams import Streams
from sim.telemetry.codes import SpanKind

from .small import ran

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
