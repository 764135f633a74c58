"""The first charts: what is drawn is what was recorded."""

import itertools
import warnings
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from reports import charts
from reports.charts import CHARTS, OF_A_RUN, figure, render
from reports.charts.edges import edges
from reports.charts.faults import bar, pack
from reports.charts.graph import broken, columns, in_rows, text_of
from reports.charts.heatmap import counts
from reports.charts.layered import layout
from reports.charts.percentiles import over_time
from reports.charts.style import Look, NotApplicable, decimal_marks, heading
from reports.charts.tallies import outcome_rates, quantiles_over_time, round_width, time_edges
from reports.texts import Words, shortened, told_apart
from sim.telemetry.codes import Outcome

from .hand_made import client, fault, request, run_of


@pytest.fixture(scope="module")
def shop():
    """Ten seconds with 200 requests of known latencies: one in ten fails, the last one never ends."""
    requests = [
        request(i, i * 0.05, None if i == 199 else 0.001 * (i % 37 + 1), Outcome.FAILED if i % 10 == 0 else Outcome.OK) for i in range(200)
    ]
    spans = [client(i + 1, 0, "shoppers", "gateway", i * 0.05, i * 0.05 + 0.01) for i in range(100)]
    outcomes = [Outcome.FAILED] * 5 + [Outcome.OK] * 15
    spans += [client(1000 + i, i, "orders", "payments", i * 0.1, i * 0.1 + 0.05, attempt=2, outcome=outcomes[i]) for i in range(20)]
    spans += [client(2000 + i, i, "gateway", "orders", i * 0.1, i * 0.1 + 0.05) for i in range(20)]
    return run_of(requests, spans, faults=[fault()], warmup=1.0)


def test_the_rates_of_all_outcomes_add_up_to_the_finished_requests(shop):
    """Rates times widths give back every request that ended, each outcome apart."""
    edges_ = time_edges(shop.duration)
    rates = outcome_rates(shop.requests, edges_)
    totals = {outcome: round(float((rate * np.diff(edges_)).sum())) for outcome, rate in rates.items()}
    assert totals[Outcome.FAILED] == 20
    assert totals[Outcome.OK] == 179
    assert sum(totals.values()) == len(shop.requests.finished)


def test_the_filled_areas_are_the_rates(shop):
    """The top of the drawn stack, step by step, is the rate of all requests that ended."""
    ax = figure(shop, "outcomes").axes[0]
    top = ax.collections[1].get_paths()[0].vertices[:, 1].max()
    edges_ = time_edges(shop.duration)
    assert top == pytest.approx(sum(outcome_rates(shop.requests, edges_).values()).max())


def test_the_heat_map_counts_every_finished_request_once(shop):
    """The cells add up to the requests that ended, and the mesh holds these cells."""
    cells = counts(shop.requests.finished, shop.duration)[2]
    assert cells.sum() == len(shop.requests.finished) == 199
    mesh = next(c for c in figure(shop, "heatmap").axes[0].collections if c.get_array() is not None)
    assert mesh.get_array().sum() == 199


def test_percentiles_over_time_are_nearest_ranks_of_their_bin():
    """Of 1 to 100 ms in one bin, the median is 50 ms and the maximum 100 ms; a bin without requests has none."""
    rows = over_time(run_of([request(i, 0.5, i / 1000) for i in range(1, 101)]).requests, np.array([0.0, 1.0, 2.0]))
    assert rows[:, 0].tolist() == pytest.approx([0.05, 0.09, 0.099, 0.1])
    assert np.isnan(rows[:, 1]).all()


def test_quantiles_of_shuffled_rows_are_those_of_sorted_rows():
    """The order in which rows were written does not matter."""
    rng = np.random.default_rng(1)
    times, values = rng.uniform(0, 10, 500), rng.exponential(1, 500)
    edges_ = np.linspace(0, 10, 6)
    drawn = quantiles_over_time(times, values, edges_, [0.5, 0.9])
    for index in range(5):
        inside = np.sort(values[(times >= edges_[index]) & (times < edges_[index + 1])])
        assert drawn[0, index] == inside[int(np.ceil(0.5 * len(inside))) - 1]


@pytest.mark.parametrize(("duration", "width"), [(180, 1), (181, 2), (3600, 20), (0.9, 0.005), (1.0, 0.01)])
def test_bins_have_round_widths_and_cover_the_whole_run(duration, width):
    """At most 180 bins of 1, 2 or 5 times a power of ten; the last edge is the end."""
    edges_ = time_edges(duration)
    assert round_width(duration) == pytest.approx(width)
    assert edges_[0] == 0
    assert edges_[-1] == duration
    assert np.all(np.diff(edges_) > 0)


def test_an_edge_counts_calls_attempts_and_errors_after_the_warm_up(shop):
    """Of 20 calls of two attempts each, those that ended before second 1 do not count; 5 failed, all of them early."""
    found = {(edge.source, edge.target): edge for edge in edges(shop)}
    payments = found["orders", "payments"]
    assert (payments.calls, payments.attempts, payments.errors) == (10, 20, 0)
    assert payments.amplification == 2
    assert payments.rate == pytest.approx(10 / 9)
    everything = {(edge.source, edge.target): edge for edge in edges(shop, (0.0, 10.0))}["orders", "payments"]
    assert (everything.calls, everything.errors, everything.error_share) == (20, 5, 0.25)


def test_callers_stand_left_of_whom_they_call():
    """Layers go by the longest way; an edge that skips layers has a bend in each."""
    plan = layout(dict.fromkeys([("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d")], 1))
    assert [plan.nodes[name][0] for name in "abcd"] == [0, 1, 2, 3]
    assert [len(plan.routes[edge]) for edge in (("a", "b"), ("a", "c"), ("a", "d"))] == [2, 3, 4]


def test_in_a_circle_of_calls_the_least_used_edge_goes_back():
    """Two services that call each other have layers of their own, the one that calls more before the other."""
    plan = layout({("gateway", "orders"): 5, ("gateway", "users"): 5, ("users", "orders"): 1, ("orders", "users"): 4})
    assert [plan.nodes[name][0] for name in ("gateway", "orders", "users")] == [0, 1, 2]


def test_a_registry_pushes_nobody_onward():
    """It asks everybody for their health and is asked by everybody; the others stand as if it were not there."""
    calls = {("gateway", "registry"): 2, ("gateway", "orders"): 5, ("registry", "orders"): 9, ("orders", "registry"): 1, ("orders", "db"): 5}
    plan = layout(calls, first=["registry"])
    assert [plan.nodes[name][0] for name in ("registry", "gateway", "orders", "db")] == [0, 0, 1, 2]


def test_boxes_in_one_layer_keep_apart_even_in_a_circle_of_calls():
    """No two boxes of a layer are nearer than one height, and a cycle has a layout too."""
    plan = layout(dict.fromkeys([("a", name) for name in "bcdefg"] + [("b", "h"), ("h", "b"), ("g", "h")], 1))
    for layer in range(plan.layers):
        heights = sorted(y for x, y in plan.nodes.values() if x == layer)
        assert all(high - low >= 1 - 1e-9 for low, high in itertools.pairwise(heights))


def test_names_of_faults_never_overlap_in_a_lane():
    """Forty faults at nearly the same time are packed into lanes without touching each other."""
    bars = [bar(f"fault-number-{i}", [(i / 100, i / 100 + 0.05)], 600.0) for i in range(40)]
    lanes = pack(bars)
    assert sum(len(lane) for lane in lanes) == 40
    assert not any(one.clashes(other) for lane in lanes for i, one in enumerate(lane) for other in lane[i + 1 :])
    assert all(item.text_at >= 0 for item in bars)


def test_the_same_result_gives_the_same_svg(shop, tmp_path):
    """No date and no random id: two renderings are the same bytes, with the title inside."""
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        assert set(render(shop, ["outcomes", "graph"], directory, formats=("svg",)).values()) == {None}
    for name in ("outcomes", "graph"):
        assert (first / f"{name}.svg").read_bytes() == (second / f"{name}.svg").read_bytes()
    text = (first / "outcomes.svg").read_text()
    assert "<title>Requests per second by outcome</title>" in text
    assert "dc:date" not in text


def test_a_chart_that_does_not_apply_says_why_and_writes_nothing(tmp_path):
    """A run without requests has no outcomes: the reason is returned and there is no file."""
    reasons = render(run_of(), OF_A_RUN, tmp_path)
    assert all(reasons.values())
    assert not list(tmp_path.iterdir())
    with pytest.raises(NotApplicable, match="no workload 'robots'; there are: shoppers"):
        figure(run_of([request(1, 0, 1)]), "outcomes", workload="robots")


def test_dark_pictures_have_their_own_name_and_paper(shop, tmp_path):
    """`NAME-dark.png` beside `NAME.png`; matplotlib's own settings are left as they were."""
    before = dict(mpl.rcParams)
    render(shop, ["outcomes"], tmp_path, formats=("png",), theme="dark", lang="es")
    assert [path.name for path in tmp_path.iterdir()] == ["outcomes-dark.png"]
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", list(CHARTS))
def test_every_chart_is_explained_in_both_languages(name):
    """A title and one sentence, in English and in Spanish."""
    chart = CHARTS[name]
    assert all(text and not text.endswith(".") for text in chart.title)
    assert all(text.endswith(".") for text in chart.explains)
    assert chart.title[0] != chart.title[1]


def test_every_file_that_draws_is_in_the_table():
    """A chart that is missing in `reports/charts/table.py` would never be drawn: add its line there."""
    drawing = {path.stem for path in Path(charts.__file__).parent.glob("*.py") if "\ndef draw(" in path.read_text(encoding="utf-8")}
    assert drawing == {chart.module for chart in CHARTS.values()}


def test_numbers_and_times_follow_the_language():
    """Commas and points change places in Spanish; a time has the unit that suits it; a share is never rounded to all or nothing."""
    english, spanish = Words(), Words("es")
    assert english.number(12345.6, 1) == "12,345.6"
    assert spanish.number(12345.6, 1) == "12\u2009345,6"
    assert spanish.number(1234) == "1234"
    assert [english.seconds(t) for t in (0.00043, 0.0125, 1.25, 0.0)] == ["430 µs", "12.5 ms", "1.25 s", "0 s"]
    assert [english.percent(share) for share in (1.0, 0.99999, 0.00001, 0.0)] == ["100 %", "99.9 %", "0.1 %", "0 %"]
    assert [english.seconds(t) for t in (599.0, 600.0, 750.4, 10_805.0, 36_000.0)] == ["599 s", "10 min", "12 min 30 s", "3 h 5 s", "10 h"]
    assert english.seconds(None) == "–"
    assert Look().words.lang == "en"


def test_a_measure_has_its_unit_and_so_has_a_figure():
    """By the measure's name and by the figure's path: `attempts` are a rate in a check and a count in a summary. What has missed its bound
    by less than is shown is told to be below or above it."""
    english, spanish = Words(), Words("es")
    measured = {"success_ratio": 0.995, "latency.p99": 0.4, "recovery_time": 7.0, "goodput": 190.0, "queue": 3.25, "queue.max": 64.0,
                "attempts": 50.0}
    assert [english.measure(name, value) for name, value in measured.items()] == ["99.5 %", "400 ms", "7 s", "190/s", "3.25", "64", "50/s"]
    figures = {"workloads.w.latency_s.p99": 0.4, "workloads.w.goodput_rps": 190.0, "calls.a->b.attempts": 50.0, "services.a.utilisation": 0.5}
    assert [english.figure(path, value) for path, value in figures.items()] == ["400 ms", "190/s", "50", "50 %"]
    assert spanish.measure("error_share", 0.0125) == "1,25 %"
    assert english.missed("success_ratio", 0.98999999, 0.99) == "< 99 %" and spanish.missed("latency.p99", 0.4000001, 0.4) == "> 400 ms"
    assert english.missed("success_ratio", 0.98, 0.99) == "98 %" and english.missed("goodput", None, 190.0) == "–"


def test_long_names_are_told_apart_by_their_ends():
    """Of paths as many of the last words stay as it takes, of long values the ends, or the place where they begin to differ; what is alike
    even so gets a number."""
    assert told_apart(["base", "services.a.workers=4"], 20) == ["base", "services.a.workers=4"]
    assert told_apart(["services.payments.workers=4", "services.payments.workers=32"], 20) == ["workers=4", "workers=32"]
    assert told_apart(["services.payments.workers=4", "services.orders.workers=4"], 20) == ["payments.workers=4", "orders.workers=4"]
    assert told_apart(["scenarios/shop/first.v2.yaml", "scenarios/shop/second.yaml"], 20) == ["first.v2.yaml", "second.yaml"]
    values = [f"services.orders.policies=[{{retry: {{max_attempts: {many}}}}}, {{timeout: 300ms}}, {{bulkhead: 4}}]" for many in (2, 3)]
    assert told_apart(values, 20) == ["…attempts: 2}}, {ti…", "…attempts: 3}}, {ti…"]
    values = [f"[{{timeout: {first}ms}}, {{timeout: {second}ms}}, {{bulkhead: 4}}]" for first, second in ((1, 1), (2, 1), (2, 2))]
    assert [text[-4:] for text in told_apart(values, 20)] == [" (1)", " (2)", " (3)"] and max(map(len, told_apart(values, 20))) == 20


def test_a_long_chain_runs_to_and_fro_in_rows():
    """Thirty services one after the other: six in a row, arrows as long as their labels, and each row below the one before."""
    names = [f"service-{number:02d}" for number in range(30)]
    made, placed = in_rows(layout(dict.fromkeys(pairwise(names), 1)), 660.0)
    assert made.rows > 1 and placed.gap >= 58
    per_row = made.layers
    assert [made.nodes[name][0] for name in names[: 2 * per_row]] == [*range(per_row), *reversed(range(per_row))]
    rows = [{made.nodes[name][1] for name in names[start : start + per_row]} for start in range(0, 30, per_row)]
    assert rows == [{float(number)} for number in range(len(rows))]
    short, _ = in_rows(layout(dict.fromkeys(pairwise(names[:6]), 1)), 660.0)
    assert short.rows == 1


def test_names_are_broken_and_shrunk_until_arrows_are_long_enough_for_their_labels():
    """Five layers with long names still leave 58 points between each two; few short names are left as they are."""
    crowded = columns([["shoppers"], ["gateway"], ["orders"], ["recommendation-service"], ["recommendation-database"]], 660.0)
    assert crowded.split
    for left, right in pairwise(range(5)):
        assert crowded.centres[right] - crowded.halves[right] - crowded.centres[left] - crowded.halves[left] >= 58 - 1e-9
    roomy = columns([["shoppers"], ["gateway"], ["orders"]], 660.0)
    assert (roomy.split, roomy.centres[-1] + roomy.halves[-1]) == (False, pytest.approx(660.0))
    assert broken("payment-provider", True) == "payment-\nprovider"
    assert broken("orders", True) == "orders"


def test_the_arrows_of_the_graph_are_as_many_as_edges_and_wide_as_their_rates(shop):
    """One arrow an edge; the busiest is the widest, and each label tells its edge's own rate."""
    ax = figure(shop, "graph").axes[0]
    found = edges(shop)
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    widths = {round(arrow.get_linewidth(), 6) for arrow in arrows}
    busiest = max(edge.rate for edge in found)
    assert len(arrows) == len(found) == 3
    assert widths == {round(1.2 + 6.8 * edge.rate / busiest, 6) for edge in found}
    assert {text_of(edge, Look()) for edge in found} <= {text.get_text() for text in ax.texts}


@pytest.mark.parametrize(("lang", "percentile", "number"), [("en", "99.9 %", "0.5"), ("es", "99,9 %", "0,5")])
def test_axes_have_the_decimals_of_the_language(lang, percentile, number):
    """Percentiles and plain numbers on the axes are written as in the texts."""
    many = run_of([request(i, i * 0.005, 0.001 * (i % 37 + 1)) for i in range(2000)])
    look = Look(words=Words(lang))
    made = figure(many, "spectrum", look)
    made.canvas.draw()
    assert percentile in [label.get_text() for label in made.axes[0].get_xticklabels()]
    made = Figure()
    ax = made.add_subplot().inset_axes((0, 0, 1, 1))
    decimal_marks(made, look)
    ax.set_yticks([0, 0.5, 1])
    assert [label.get_text() for label in ax.get_yticklabels()][1] == number


def test_a_number_stays_beside_its_unit(shop):
    """A line below a title breaks between words, never between a number and what it counts."""
    ax = Figure().add_subplot()
    heading(ax, Look(), "title", "a service spent 31 % and 12.5 ms and 3 s on it, " * 6)
    lines = ax.texts[0].get_text().split("\n")
    assert len(lines) > 2 and not any(line.split(" ")[0] in ("%", "ms", "s") for line in lines)


def test_the_scale_of_a_heat_map_ends_at_its_largest_count():
    """Without a label at its top nobody can read a colour; a handful of requests have no power of ten to show."""
    for many in (1, 7, 40):
        made = figure(run_of([request(i, 0.01, 0.02) for i in range(many)]), "heatmap")
        bar = made.axes[0].child_axes[0]
        made.canvas.draw()
        shown = [tick.get_text() for tick in bar.get_yticklabels()]
        assert (shown[0], shown[-1]) == ("1", str(max(many, 2)))


def test_a_narrow_range_of_latencies_has_more_than_one_tick():
    """From 80 to 124 ms there is one power of ten, and one label is no scale."""
    made = figure(run_of([request(i, i * 0.1, 0.080 + i * 0.0005) for i in range(90)]), "spectrum")
    made.canvas.draw()
    low, high = made.axes[0].get_ylim()
    assert sum(low <= tick <= high for tick in made.axes[0].get_yticks()) >= 3


def test_one_request_and_long_names_are_drawn_without_a_complaint():
    """One request has a spectrum; a name of 60 characters leaves room for what is drawn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure(run_of([request(1, 1.0, 0.1)]), "spectrum").canvas.draw()
    assert shortened("a-" + "long-" * 12 + "name-07", 20) == "a-long-lon…g-name-07"
    assert [shortened("orders", room) for room in (6, 4, 1, 0)] == ["orders", "or…s", "o…", "o…"]


@pytest.mark.parametrize(("seconds", "label", "ticks"), [
    (60.0, "time (s)", ["0", "20", "40", "60"]),
    (1800.0, "time (min)", ["0", "5", "10", "15", "20", "25", "30"]),
    (36_000.0, "time (h)", [str(hour) for hour in range(11)]),
    (10_800.0, "time (h)", ["0", "0.5", "1", "1.5", "2", "2.5", "3"]),
])
def test_the_axis_of_a_long_run_is_in_minutes_or_hours(seconds, label, ticks):
    """Its ticks stand at round numbers of those."""
    made = figure(run_of([request(1, seconds / 2, 0.1)], duration=seconds), "outcomes")
    axis = made.axes[0].xaxis
    assert axis.get_label_text() == label
    shown = [tick.label1.get_text() for tick in axis.get_major_ticks()]
    assert set(ticks) <= set(shown)
