"""Registry, broker, sagas; and charts of several runs: comparisons and sweeps."""

import numpy as np
import pytest

from reports.charts import figure
from reports.charts.comparison import over_time, paired
from reports.charts.registry import views, wrong_seconds
from reports.charts.sagas import MOST_LANES, lanes
from reports.charts.spread import figure_at, mean_and_half_width, t_975
from reports.charts.style import NotApplicable
from reports.charts.sweep import number_of, ordered, tabulate
from sim.lab.sweep import Cell
from sim.telemetry.codes import Outcome, SpanKind

from .hand_made import gauge, request, run_of, span


@pytest.fixture
def stale():
    """Instance b dies at 2 and is back at 6; the caller notices both two seconds late."""
    def view(at, *names):
        return {"at": at, "kind": "registry.view", "node": "orders", "caller": "gateway", "instances": list(names)}

    return run_of(events=[view(0.0, "a", "b"), {"at": 2.0, "kind": "instance.down", "node": "orders", "instance": "b"}, view(4.0, "a"),
                          {"at": 6.0, "kind": "instance.up", "node": "orders", "instance": "b"}, view(8.0, "a", "b")])


def test_a_view_is_wrong_from_the_truth_s_change_to_its_own(stale):
    """Two seconds dead and listed, two seconds alive and not listed."""
    seen = views(stale, "orders")["gateway"]
    assert [(stay.start, stay.until) for stay in seen["b"]] == [(0.0, 4.0), (8.0, 10.0)]
    assert [(stay.start, stay.until) for stay in seen["a"]] == [(0.0, 10.0)]
    assert wrong_seconds(stale, "orders") == (2.0, 2.0)
    figure(stale, "registry")


def test_lag_is_drawn_from_its_gauge_and_rates_from_spans():
    """Five published, three handled; the line is the gauge's highest value in each interval, and what is left at the end the summary's."""
    spans = [span(i, 0, SpanKind.PRODUCER, "orders", "payments", i, i + 0.1) for i in range(1, 6)]
    spans += [span(10 + i, i, SpanKind.CONSUMER, "gateway", "payments", i, i + 0.5) for i in range(1, 4)]
    run = run_of(spans=spans, gauges=[gauge("payments", "mailer", "lag", [(float(t), t - 0.5, t) for t in range(1, 11)])],
                 summary={"brokers": {"payments": {"groups": {"mailer": {"lag": 8}}}}})
    above, below = figure(run, "lag").axes[0].child_axes
    width = run.duration / 100  # bins of 0.1 s
    published, handled = (line.get_ydata()[::2].sum() * width for line in above.lines[:2])
    assert (published, handled) == pytest.approx((5, 3))
    assert max(below.lines[0].get_ydata()) == 10
    assert "longest backlog 10 at 10 s, 8 at the end" in told(above)  # what the summary says, and not the mean of the last interval


def saga(id, *events):
    """Events of one saga: (kind, at, more)."""
    return [{"at": at, "kind": f"saga.{kind}", "saga": "checkout", "id": id, **more} for kind, at, more in events]


def test_sagas_that_went_wrong_are_shown_first():
    """Of 40 completed ones and a stuck one, the stuck one is among the 24 lanes; steps and compensations are bars."""
    events = []
    for i in range(40):
        events += saga(f"s{i}", ("started", i * 0.1, {}), ("step", i * 0.1 + 0.05, {"step": "reserve", "start": i * 0.1, "ok": True}),
                       ("completed", i * 0.1 + 0.05, {}))
    events += saga("bad", ("started", 8.0, {}), ("step", 8.1, {"step": "reserve", "start": 8.0, "ok": True}),
                   ("step", 8.3, {"step": "charge", "start": 8.1, "ok": False}),
                   ("undo", 8.4, {"step": "reserve", "start": 8.3, "ok": False}), ("stuck", 8.4, {}))
    run = run_of(events=events)
    name, found = lanes(run, None)
    assert (name, len(found), found[-1].end, len(found[-1].steps)) == ("checkout", 41, "stuck", 3)
    ax = figure(run, "sagas").axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len(names) == MOST_LANES
    assert names[0] == "bad  8 s"
    assert len(ax.patches) == MOST_LANES - 1 + 3


def test_only_runs_with_equal_seeds_are_compared():
    """Seeds 2 and 3 are in both groups; one pair makes no interval."""
    groups = {"a": [run_of(seed=seed) for seed in (1, 2, 3)], "b": [run_of(seed=seed) for seed in (3, 2, 9)]}
    names, pairs = paired(groups)
    assert names == ("a", "b")
    assert [(one.seed, other.seed) for one, other in pairs] == [(2, 2), (3, 3)]
    with pytest.raises(NotApplicable, match="at least two seeds"):
        paired({"a": groups["a"][:2], "b": groups["b"][1:]})


def test_a_comparison_draws_means_and_the_mean_difference():
    """One request a second against two: the difference is one, whatever the seed, and its band has no width."""
    def busy(rate, seed):
        return run_of([request(i, (i + 0.5) / rate, 0.001) for i in range(rate * 10)], seed=seed)

    groups = {"slow": [busy(1, seed) for seed in (1, 2, 3)], "fast": [busy(2, seed) for seed in (1, 2, 3)]}
    below = figure(groups, "comparison").axes[0].child_axes[1]
    drawn = below.lines[-1].get_ydata()
    edges = np.linspace(0, 10, 11)
    assert float(np.mean(drawn)) == pytest.approx(1.0)
    assert over_time(groups["fast"][0], "goodput", edges).tolist() == [2.0] * 10
    assert over_time(groups["fast"][0], "p99", edges).tolist() == pytest.approx([1.0] * 10)
    degraded = run_of([request(1, 0.5, 0.1, Outcome.DEGRADED), request(2, 0.5, 0.1)])
    assert over_time(degraded, "goodput", np.array([0.0, 10.0])).tolist() == [0.1]
    failing = run_of([request(1, 0.5, 0.1, Outcome.FAILED), request(2, 0.5, None)])
    assert over_time(failing, "failed", np.array([0.0, 10.0])).tolist() == [0.1]


def test_the_mean_difference_of_a_comparison_is_that_after_the_warm_up():
    """As the table's: the second side answers one request a second more from 5 s on, and before it none."""
    def run(extra, seed):
        late = [request(100 + i, 5.25 + i, 0.001) for i in range(5)] if extra else []
        return run_of([request(i, i + 0.5, 0.001) for i in range(10)] + late, seed=seed, warmup=5.0)

    groups = {"a": [run(False, seed) for seed in (1, 2)], "b": [run(True, seed) for seed in (1, 2)]}
    above = figure(groups, "comparison").axes[0].child_axes[0]
    assert "b minus a: 1/s ± 0/s on average after the warm-up" in told(above)


def told(ax):
    """All that is written about *ax*, in one line."""
    return " ".join(text.get_text().replace("\n", " ").replace("\u00a0", " ") for text in ax.texts)


def test_names_of_a_comparison_are_shortened_where_they_would_be_cut():
    """Title and legend have what tells the sides apart, and stay within the picture."""
    sides = [f"services.orders.uses.payments.policies=[{{retry: {{max_attempts: {many}}}}}, {{timeout: 300ms}}]" for many in (2, 4)]
    made = figure({side: [run_of([request(1, 0.5, 0.1)], seed=seed) for seed in (1, 2)] for side in sides}, "comparison")
    above = made.axes[0].child_axes[0]
    assert "max_attempts: 2" in told(above) and "max_attempts: 4" in told(above) and not any(side in told(above) for side in sides)
    width = made.get_window_extent().width
    assert all(text.get_window_extent().x1 <= width for text in [*above.texts, *above.get_legend().get_texts()])


def test_intervals_are_student_s():
    """For 1, 2, 3 the mean is 2 and the half width 4.303 / sqrt(3); where fewer than two are known there is none."""
    mean, half = mean_and_half_width([[1.0, np.nan, 5.0], [2.0, np.nan, np.nan], [3.0, np.nan, np.nan]])
    assert mean[0] == 2
    assert half[0] == pytest.approx(4.303 / 3**0.5)
    assert np.isnan([mean[1], half[1], half[2]]).all()
    assert mean[2] == 5
    assert t_975(60) == pytest.approx(2.0003, abs=2e-3)
    assert t_975(1000) == pytest.approx(1.9623, abs=1e-3)


def cell(workers, rate, seed, p99):
    """One cell of a sweep."""
    return Cell({"services.orders.workers": workers, "workloads.shoppers.rate": rate}, seed,
                {"workloads": {"shoppers": {"latency_s": {"p99": p99}}}})


P99 = "workloads.shoppers.latency_s.p99"


def test_a_sweep_is_a_table_of_its_values_in_order():
    """Rates sort by size and not as words; a cell that has not run is a hole."""
    cells = [cell(8, "200/s", 1, 0.2), cell(8, "50/s", 1, 0.1), cell(4, "200/s", 1, 0.4), cell(4, "200/s", 2, 0.6)]
    paths = list(cells[0].varied)
    axes = [ordered(cells, path) for path in paths]
    assert axes == [[4, 8], ["50/s", "200/s"]]
    table = tabulate(cells, paths, axes, P99)
    assert table.shape == (2, 2, 2)
    assert table[0, 1].tolist() == [0.4, 0.6]
    assert np.isnan(table[0, 0]).all()


def test_values_with_units_are_numbers_and_words_are_not():
    """So that an axis has the right distances."""
    assert [number_of(value) for value in (8, "250ms", "40/s", "5%", "64KiB", "2.5")] == [8, 0.25, 40, 0.05, 65536, 2.5]
    assert number_of("round_robin") is None
    assert number_of(True) is None


def test_one_thing_varied_is_a_line_two_with_four_values_a_map():
    """The map's cells are the means over the seeds."""
    line = figure([cell(workers, "1/s", seed, workers + seed) for workers in (1, 2, 4) for seed in (1, 2)], "sweep", measure=P99).axes[0]
    assert line.lines[0].get_ydata().tolist() == [2.5, 3.5, 5.5]
    cells = [cell(w, f"{r}/s", seed, w * r * seed / 1.5) for w in (1, 2, 3, 4) for r in (1, 2, 3, 4) for seed in (1, 2)]
    mapped = figure(cells, "sweep", measure=P99, border=6.0).axes[0]
    assert mapped.collections[0].get_array().tolist() == np.outer([1, 2, 3, 4], [1, 2, 3, 4]).tolist()


def test_long_values_of_a_sweep_are_shortened_and_no_band_leaves_what_is_possible():
    """Lists on the axis and in the legend; a share stays within 0 and 1, and nothing is below 0."""
    lists = [f"[{{retry: {{max_attempts: {many}}}}}, {{timeout: 300ms}}, {{bulkhead: {{max_concurrent_calls: 20}}}}]" for many in range(2, 8)]
    cells = [Cell({"policies": policies, "more": more}, seed, {"success_ratio": 0.5 + 0.49 * seed})
             for policies in lists for more in lists[:3] for seed in (0, 1)]
    made = figure(cells, "sweep", measure="success_ratio")
    ax, width = made.axes[0], made.get_window_extent().width
    texts = [*ax.get_xticklabels(), *ax.get_legend().get_texts()]
    assert all(text.get_window_extent().x0 >= 0 and text.get_window_extent().x1 <= width for text in texts)
    assert len({text.get_text() for text in ax.get_xticklabels()}) == len(lists)
    assert max(ax.get_yticks()) == 1  # the legend's room above it has no scale
    assert all(0 <= height <= 1 for band in ax.collections for height in band.get_paths()[0].vertices[:, 1])


def test_a_path_into_the_summary_says_what_there_is():
    """Names with dots are found; a wrong name lists the right ones."""
    summary = {"workloads": {"a.b": {"latency_s": {"p99": 0.5, "p50": None}}}}
    assert figure_at(summary, "workloads.a.b.latency_s.p99") == 0.5
    assert np.isnan(figure_at(summary, "workloads.a.b.latency_s.p50"))
    with pytest.raises(KeyError, match=r"'p95' is not there; did you mean 'p99'\?"):
        figure_at(summary, "workloads.a.b.latency_s.p95")
    with pytest.raises(KeyError, match="is no number"):
        figure_at(summary, "workloads.a.b")
    with pytest.raises(KeyError, match="is no number"):
        figure_at({"verdict": "pass"}, "verdict")
