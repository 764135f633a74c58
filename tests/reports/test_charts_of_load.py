"""Tails, queues, instances, knee: where time goes and how load is spread."""

import numpy as np
import pytest

from reports.charts import figure
from reports.charts.ecdf import curve, labelled, latencies
from reports.charts.instances import spread
from reports.charts.knee import erlang_c, mmc_response, service_time, windows
from reports.charts.queues import capacity, pressed
from reports.charts.spectrum import spectrum
from reports.charts.tallies import level
from sim.telemetry.codes import Outcome, SpanKind

from .hand_made import gauge, request, run_of, server


def test_the_cumulative_curve_is_the_share_of_requests_at_most_as_slow():
    """Of a million values 800 points are drawn, each exact; first, median and last are among the possible ones."""
    values = np.arange(1, 1_000_001) / 1000
    x, y = curve(values)
    assert len(x) <= 800
    assert np.allclose(x * 1000 / 1_000_000, y)
    assert (x[0], x[-1], y[-1]) == (0.001, 1000.0, 1.0)


def test_the_spectrum_ends_at_the_number_of_requests():
    """The slowest of 1,000 stands at 1,000; the 990th at 100, which is 99 %."""
    x, y = spectrum(np.arange(1, 1001) / 1000)
    assert (x[-1], y[-1]) == (1000, 1.0)
    at = int(np.argmin(abs(y - 0.99)))
    assert x[at] == pytest.approx(1 / (1 - y[at]))


def test_tails_are_of_what_arrived_after_the_warm_up():
    """A slow request of the warm-up is not in the curve."""
    run = run_of([request(1, 0.5, 9.0), request(2, 2.0, 0.2), request(3, 3.0, 0.1), request(4, 9.9, None)], warmup=1.0)
    assert latencies(run, None).tolist() == pytest.approx([0.1, 0.2])


def test_two_runs_are_told_apart_by_what_differs():
    """By variant, else by name, else by seed, else by their order."""
    base = {"name": "checkout", "variant": None, "seed": 1}
    for other, names in (({"variant": "no-breaker"}, ["checkout", "no-breaker"]), ({"name": "shop"}, ["checkout", "shop"]),
                         ({"seed": 2}, ["checkout 1", "checkout 2"]), ({}, ["checkout 1", "checkout 2"])):
        assert [label for label, _ in labelled(run_of(**base), run_of(**{**base, **other}))] == names


def test_a_second_run_is_laid_over_the_first():
    """Both charts of tails then have two lines and a legend."""
    one, other = (run_of([request(i, 1 + i / 100, i / 1000 * factor) for i in range(1, 300)], seed=factor) for factor in (1, 3))
    for name in ("ecdf", "spectrum"):
        axes = figure(one, name, second=other).axes[0]
        drawn = axes.child_axes[0] if name == "ecdf" else axes
        assert len(drawn.lines) == 2
        assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["hand 1", "hand 3"]


BUSY = [gauge("orders", "", "busy", [(float(t), 4.0, 8.0) for t in range(1, 11)]),
        gauge("orders", "orders-0", "busy", [(float(t), 1.0, 2.0) for t in range(1, 11)]),
        gauge("orders", "orders-1", "busy", [(float(t), 3.0, 6.0) for t in range(1, 11)]),
        gauge("payments", "payments-0", "busy", [(float(t), 0.5, 1.0) for t in range(1, 11)]),
        gauge("payments", "payments-1", "busy", [(float(t), 0.25, 1.0) for t in range(1, 11)]),
        gauge("orders", "", "queue", [(float(t), 2.0, 5.0) for t in range(1, 11)])]
ABOUT = {"orders": {"kind": "service", "instances": ["orders-0", "orders-1"], "workers": 4},
         "payments": {"kind": "service", "instances": ["payments-0", "payments-1"], "workers": 100}}


def test_a_node_s_level_is_its_own_gauge_or_the_sum_of_its_instances():
    """Never both, which would count every worker twice."""
    run = run_of(gauges=BUSY)
    assert level(run, "orders", "busy")[1].tolist() == [4.0] * 10
    assert level(run, "payments", "busy")[1].tolist() == [0.75] * 10
    assert level(run, "orders", "nothing") is None


def test_the_most_pressed_service_comes_first_against_all_its_workers():
    """Capacity is workers times instances; the drawn areas are workers busy and, upon them, requests waiting."""
    run = run_of(gauges=BUSY, description=ABOUT)
    assert (capacity(run, "orders"), capacity(run, "payments"), capacity(run, "gateway")) == (8, 200, None)
    assert pressed(run) == ["orders", "payments"]
    assert pressed(run_of(gauges=BUSY, description={"payments": ABOUT["payments"]})) == ["payments"]  # what has no limit is not near to it
    panel = figure(run, "queues").axes[0].child_axes[0]
    tops = [float(collection.get_paths()[0].vertices[:, 1].max()) for collection in panel.collections]
    assert tops == [4.0, 6.0]


def test_every_request_is_counted_on_the_instance_that_served_it():
    """Counts of the strip add up to the server spans, failures apart."""
    spans = [server(i + 1, 0, "orders", "gateway", i * 0.1, i * 0.1 + 0.01, instance=f"orders-{i % 4 % 2}",
                    outcome=Outcome.FAILED if i % 10 == 0 else Outcome.OK) for i in range(100)]
    run = run_of(spans=spans)
    names, counts, errors, _ = spread(run, run.spans.of(SpanKind.SERVER), "orders")
    assert names == ["orders-0", "orders-1"]
    assert counts.sum(axis=1).tolist() == [50, 50]
    assert errors.sum() == 10
    figure(run, "instances")


def test_erlang_c_has_its_published_values():
    """Waiting probabilities from reference tables: c = 2, 5, 10, 100; one server waits with probability rho."""
    known = ((1, 0.7, 0.7), (2, 1.6, 0.7111), (5, 4.0, 0.5541), (10, 8.0, 0.4092), (100, 80.0, 0.0196), (100, 95.0, 0.5065))
    for servers, load, waits in known:
        assert erlang_c(servers, load) == pytest.approx(waits, abs=5e-5)
    assert mmc_response(1, 0.9, 1.0) == pytest.approx(10.0)


def test_the_knee_s_points_are_the_run_s_own_utilisation_and_times():
    """Half of eight workers busy is 50 %; the mean time in the service includes the queue, the service time does not."""
    spans = [server(i + 1, 0, "orders", "gateway", i * 0.1, i * 0.1 + 0.06, queued=0.02, instance="orders-0") for i in range(99)]
    run = run_of(spans=spans, gauges=BUSY, description=ABOUT)
    utilisation, response, width = windows(run, "orders")
    assert set(utilisation.round(9)) == {0.5}
    assert response.tolist() == pytest.approx([0.06] * len(response))
    assert width == pytest.approx(10 / 60)
    assert service_time(run, "orders") == pytest.approx(0.04)
    figure(run, "knee")
