"""HdrHistogram's percentile text: its own library, fed with the same values, says the same."""

import re

import numpy as np
import pytest

from reports.export.hdr import hgrm, percentiles
from sim.telemetry.codes import Outcome
from tests.reports.hand_made import request, run_of

LINE = re.compile(r"^ *(\d+\.\d+) +(\d\.\d+) +(\d+)(?: +(\d+\.\d+))?$", flags=re.MULTILINE)


def rows(text):
    """(milliseconds, share, requests at or below)."""
    return [(float(value), float(share), int(count)) for value, share, count, _ in LINE.findall(text)]


def latencies(count=5000):
    return np.random.default_rng(7).lognormal(-4, 1, count)


def run_with(seconds, **more):
    return run_of([request(number, 1.0, latency) for number, latency in enumerate(seconds, start=1)], **more)


def test_the_library_agrees_at_every_line():
    """To its three significant digits, for the share of requests that we say lie at or below the value."""
    histogram = pytest.importorskip("hdrh.histogram").HdrHistogram(1, 3_600_000_000, 3)
    seconds = latencies()
    for latency in seconds:
        histogram.record_value(round(latency * 1e6))
    for value, _, count in rows(hgrm(run_with(seconds))):
        assert value == pytest.approx(histogram.get_value_at_percentile(100 * count / len(seconds)) / 1000, rel=0.002, abs=0.002)


def test_counts_grow_to_all_requests():
    """Lines are in order; the last one is the largest value and everybody."""
    seconds = latencies()
    found = rows(hgrm(run_with(seconds)))
    assert found == sorted(found)
    assert found[-1] == (pytest.approx(1000 * seconds.max(), abs=0.001), 1.0, len(seconds))


def test_the_footer_has_mean_and_maximum():
    """As HdrHistogram writes them, in milliseconds."""
    text = hgrm(run_with([0.1, 0.2, 0.3]))
    assert re.search(r"#\[Mean    = +200\.000, StdDeviation   = +81\.650\]", text)
    assert re.search(r"#\[Max     = +300\.000, Total count    = +3\]", text)


def test_only_answers_after_the_warm_up_count():
    """Not the refused one, not the one under way, not the one that came too early: as in the summary."""
    requests = [
        request(1, 1.0, 0.5), request(2, 6.0, 0.1), request(3, 6.0, 0.001, Outcome.REJECTED, 503), request(4, 6.0, None),
        request(5, 7.0, 0.3, Outcome.FAILED, 500),
    ]
    assert rows(hgrm(run_of(requests, warmup=5.0)))[-1] == (300.0, 1.0, 2)


def test_no_requests_give_an_empty_histogram():
    """No line, and a total of zero."""
    text = hgrm(run_of())
    assert rows(text) == []
    assert "Total count    =            0]" in text


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 10**6])
def test_steps_get_finer_towards_the_tail(count):
    """Ascending shares that end at one, and never more than five to a halving."""
    shares = list(percentiles(count))
    assert shares == sorted(set(shares))
    assert shares[-1] == 1.0
    assert len(shares) <= 5 * (np.log2(count) + 4)
