"""Distributions of times: moments against samples, how they are drawn, and what is refused."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

import sim.sampling
from sim.distributions import DISTRIBUTIONS, TimeDistribution
from sim.empirical import read_seconds
from sim.streams import Streams

EXAMPLES = {
    "constant": "5ms",
    "exponential": {"exponential": "5ms"},
    "lognormal": {"lognormal": {"median": "5ms", "p99": "20ms"}},
    "lognormal by moments": {"lognormal": {"mean": "5ms", "cv": 0.8}},
    "normal": {"normal": {"mean": "5ms", "stddev": "1ms"}},
    "normal cut at 0": {"normal": {"mean": "5ms", "stddev": "6ms"}},
    "uniform": {"uniform": {"low": "2ms", "high": "8ms"}},
    "gamma": {"gamma": {"mean": "5ms", "cv": 1.5}},
    "erlang": {"erlang": {"mean": "5ms", "k": 4}},
    "pareto": {"pareto": {"minimum": "5ms", "alpha": 6}},
    "weibull": {"weibull": {"scale": "5ms", "shape": 0.9}},
    "mixture": {"mixture": [{"weight": 9, "of": "2ms"}, {"weight": 1, "of": {"exponential": "20ms"}}]},
    "empirical": {"empirical": {"values": ["1ms", "2ms", "9ms"]}},
    "empirical by quantiles": {"empirical": {"quantiles": {"p0": "1ms", "p50": "4ms", "p100": "10ms"}}},
}


def distribution(written):
    """As a scenario writes it."""
    return TypeAdapter(TimeDistribution).validate_python(written)


def drawn(written, count=200_000, seed=1):
    """So many draws, in seconds."""
    draw = distribution(written).sampler(Streams(seed)["some"])
    return np.array([draw() for _ in range(count)])


def test_every_kind_has_an_example():
    """The table below covers the table of kinds."""
    assert {name.split()[0] for name in EXAMPLES} == set(DISTRIBUTIONS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_samples_have_the_mean_and_the_spread_that_the_arithmetic_says(name):
    """Mean within four standard errors; squared coefficient of variation within a few percent."""
    spec, some = distribution(EXAMPLES[name]), drawn(EXAMPLES[name])
    error = 4 * some.std() / math.sqrt(len(some))
    assert spec.expectation() == pytest.approx(some.mean(), abs=error + 1e-12)
    assert spec.scv() == pytest.approx(some.var() / some.mean() ** 2, rel=0.08, abs=1e-9)
    assert some.min() >= 0


def test_a_lognormal_by_quantiles_has_them():
    """Half of all draws are below the median, one in a hundred above p99."""
    some = drawn(EXAMPLES["lognormal"])
    assert np.quantile(some, 0.5) == pytest.approx(0.005, rel=0.01) and np.quantile(some, 0.99) == pytest.approx(0.02, rel=0.03)


def test_the_moments_of_heavy_tails_are_infinite_and_their_draws_are_not_refused():
    """A Pareto tail without a mean: `explain` is told so, and a draw beyond all numbers takes for ever."""
    spec = distribution({"pareto": {"minimum": "1ms", "alpha": 0.5}})
    assert spec.expectation() == math.inf and spec.scv() == math.inf
    assert distribution({"pareto": {"minimum": "1ms", "alpha": 1.5}}).scv() == math.inf
    assert drawn({"pareto": {"minimum": "1ms", "alpha": 0.001}}, 1000).max() == math.inf


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "mixture"])
def test_what_is_drawn_does_not_depend_on_the_size_of_the_blocks(name, monkeypatch):
    """The same stream gives the same times, however many are drawn at once."""
    few = drawn(EXAMPLES[name], 1000)
    monkeypatch.setattr(sim.sampling, "FIRST_BLOCK", 7)
    monkeypatch.setattr(sim.sampling, "LARGEST_BLOCK", 50)
    assert (drawn(EXAMPLES[name], 1000) == few).all()


def test_draws_are_whole_nanoseconds():
    """So that the last bit of a logarithm, which differs between machines, does not change a run."""
    some = drawn(EXAMPLES["exponential"], 1000)
    assert (np.round(some * 1e9) / 1e9 == some).all()


@pytest.mark.parametrize("name", EXAMPLES)
def test_times_drawn_ahead_are_those_of_a_sampler(name):
    """Over several blocks, whichever way they are taken."""
    times, some = distribution(EXAMPLES[name]).times(Streams(1)["some"]), drawn(EXAMPLES[name], 500)
    assert [times.pop() if times else times.more() for _ in range(250)] + [times.draw() for _ in range(250)] == some.tolist()


def test_each_stream_has_its_own_luck():
    """Two names and two seeds give different times; the same name and seed the same."""
    spec = distribution(EXAMPLES["exponential"])

    def first(seed, name):
        return spec.sampler(Streams(seed)[name])()

    assert first(1, "a") == first(1, "a")
    assert len({first(1, "a"), first(1, "b"), first(2, "a")}) == 3


POSITIVE, A_QUANTILE = "should be more than 0", "a quantile is written p50"


@pytest.mark.parametrize(("written", "said"), [
    (5, "needs a unit"),
    ("5", "is no duration"),
    ("-5ms", "is negative, and a duration cannot be"),
    ({"exponential": "0ms"}, POSITIVE),
    ({"exponentail": "5ms"}, "unknown distribution kind"),
    ({}, "by its one key"),
    ({"exponential": "5ms", "uniform": "5ms"}, "has one key"),
    ({"lognormal": {"median": "5ms"}}, "by `median` and `p99`, or by `mean` and `cv`"),
    ({"lognormal": {"median": "5ms", "cv": 1.0}}, "by `median` and `p99`, or by `mean` and `cv`"),
    ({"lognormal": {"median": "1ms", "p99": "2ms", "cv": 1.0}}, "by `median` and `p99`, or by `mean` and `cv`"),
    ({"lognormal": {"median": "5ms", "p99": "5ms"}}, "p99 must be larger than the median"),
    ({"uniform": {"low": "5ms", "high": "1ms"}}, "high must not be below low"),
    ({"gamma": {"mean": "5ms", "cv": 0}}, POSITIVE),
    ({"erlang": {"mean": "5ms", "k": 0}}, "should be at least 1"),
    ({"pareto": {"minimum": "5ms", "alpha": 0}}, POSITIVE),
    ({"mixture": []}, "1 item or more"),
    ({"mixture": [{"weight": 0, "of": "1ms"}]}, POSITIVE),
    ({"empirical": {}}, "exactly one of"),
    ({"empirical": {"values": []}}, "1 item or more"),
    ({"empirical": {"values": ["1ms"], "file": "x"}}, "exactly one of"),
    ({"empirical": {"file": "/nowhere/times.csv"}}, "cannot read"),
    ({"empirical": {"quantiles": {"p50": "5ms"}}}, "two points or more"),
    ({"empirical": {"quantiles": {"p0": "5ms", "p100": "1ms"}}}, "times that do not fall"),
    ({"empirical": {"quantiles": {"p0": "1ms", "p200": "5ms"}}}, A_QUANTILE),
    ({"empirical": {"quantiles": {"p0": "1ms", "most": "5ms"}}}, A_QUANTILE),
    ({"empirical": {"quantiles": {"p0": "1ms", "pnan": "5ms"}}}, A_QUANTILE),
])
def test_what_makes_no_sense_is_refused(written, said):
    """With a message that says what would."""
    with pytest.raises(ValidationError, match=re.escape(said)):
        distribution(written)


def test_measured_times_come_from_a_file(tmp_path):
    """The last column, a heading left out; the mean is that of the file."""
    file = tmp_path / "times.csv"
    file.write_text("route,seconds\n/,0.001\n/,0.003\n")
    spec = distribution({"empirical": {"file": str(file)}})
    assert spec.expectation() == pytest.approx(0.002)
    assert set(drawn({"empirical": {"file": str(file)}}, 100).tolist()) == {0.001, 0.003}


@pytest.mark.parametrize("text", ["", "seconds\n", "0.1\nsoon\n", "0.1\n-1\n", "0.1\nnan\n", "0.1\ninf\n", "0.1\n1e999\n"])
def test_a_file_without_times_is_refused(tmp_path, text):
    """Nothing in it, words among the numbers, times that are none."""
    file = tmp_path / "times.csv"
    file.write_text(text)
    with pytest.raises(ValidationError, match=r"no times|no list of seconds"):
        distribution({"empirical": {"file": str(file)}})


def test_a_binary_file_is_refused(tmp_path):
    """Not UTF-8, or with NUL bytes: no traceback."""
    file = tmp_path / "times.csv"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValidationError, match="no list of seconds"):
        distribution({"empirical": {"file": str(file)}})


def test_a_column_is_chosen(tmp_path):
    """The first one of a trace; the last one of measured times."""
    file = tmp_path / "times.csv"
    file.write_text("at,took\n1,0.5\n2,0.25\n")
    assert read_seconds(str(file)) == [1, 2] and read_seconds(str(file), column=-1) == [0.5, 0.25]
