"""The report's page without a browser: what it counts, what it tells, and that nothing from a run can break out of its place."""

import json
import re
import time
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest
from matplotlib.patches import FancyArrowPatch

from reports.charts import figure
from reports.charts.edges import edges
from reports.charts.tallies import time_edges
from reports.page import write_page
from reports.page.calls import calls_over_time
from reports.page.graph import drawing
from reports.page.headers import HEADERS
from reports.page.numbers import significant
from reports.page.overtime import over_time
from reports.page.pictures import inline
from reports.page.sentences import SENTENCES
from reports.page.texts import IN_THE_BROWSER, TEXTS
from reports.page.verdict import checks, seen_by_users
from reports.page.waterfalls import choose, waterfalls
from reports.texts import Texts, Words
from sim.telemetry.codes import Outcome
from tests.reports.export_runs import repeated, shop
from tests.reports.hand_made import client, fault, gauge, request, run_of

PAGE = Path(__file__).parents[2] / "reports" / "page"
EVIL = "</script><script>broken_out()</script><img src=x onerror=broken_out()>"


class Reader(HTMLParser):
    """Collects elements, texts and the page's data."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.ids, self.texts, self.data, self._in = [], [], [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.elements.append((tag, values))
        self.ids += [values["id"]] if "id" in values else []
        self._in = "data" if values.get("id") == "data" else tag

    def handle_data(self, text):
        if self._in == "data":
            self.data = json.loads(text)
        elif self._in not in ("script", "style"):
            self.texts.append(text.strip())

    def handle_endtag(self, tag):
        self._in = None


def page_of(result, tmp_path, lang="en"):
    path = tmp_path / f"report-{lang}.html"
    write_page(result, path, lang)
    return path.read_text(encoding="utf-8")


def test_the_counts_over_time_are_all_requests():
    """Whoever adds up the bins of the charts finds every request again, by outcome, and every cell of the heat map."""
    result = repeated(shop(), 30)
    data = over_time(result)
    everyone = data["groups"][0]
    for outcome in (Outcome.OK, Outcome.DEGRADED, Outcome.FAILED):
        assert sum(everyone["ended"][outcome.name.lower()]) == (result.requests.outcome == outcome).sum()
    assert sum(everyone["offered"]) == len(result.requests)
    assert sum(data["heat"]["cells"][2::3]) == len(result.requests.finished)


def test_percentiles_are_those_of_answered_requests():
    """A bin's p50 is the nearest rank among the requests that were answered, counted from when they were meant to begin."""
    latencies = [0.010, 0.020, 0.030, 0.400]
    rows = [request(index + 1, 2.0 + index / 100, latency) for index, latency in enumerate(latencies)]
    data = over_time(run_of([*rows, request(9, 2.05, 0.001, Outcome.REJECTED, 429)]))
    in_bin = data["edges"].index(2)
    found = {name: row[in_bin] for name, row in data["groups"][0]["latency"].items()}
    assert found == {"p50": 20, "p90": 400, "p99": 400, "max": 400}
    assert data["groups"][0]["latency"]["p50"][in_bin - 1] is None


def test_calls_over_time_are_those_of_the_graph():
    """Summed over all bins, the scrubbed graph has the same calls, errors and attempts as the chart of the whole run."""
    result = repeated(shop(), 20)
    found = calls_over_time(result, time_edges(result.duration, 50))
    whole = {(edge.source, edge.target): edge for edge in edges(result, (0.0, result.duration))}
    assert len(found) == len(whole)
    for edge in found:
        same = whole[edge["source"], edge["target"]]
        assert [sum(edge[key]) for key in ("calls", "bad", "attempts")] == [same.calls, same.errors, same.attempts]
    assert sum(found[0]["degraded"]) + sum(found[1]["degraded"]) + sum(found[2]["degraded"]) == 20


def test_levels_of_services_are_means_of_their_samples():
    """A sample counts in the bin in which its interval ends; a bin without one has no value."""
    result = run_of([request(1, 1.0, 0.1)], [client(1, 0, "shoppers", "orders", 1.0, 1.1)],
                    gauges=[gauge("orders", "", "busy", [(1.0, 2.0, 3.0), (1.05, 4.0, 4.0), (1.1, 6.0, 6.0)])])
    data = over_time(result)
    busy = data["services"][0]["busy"]
    bins = {edge: value for edge, value in zip(data["edges"], busy, strict=False) if value is not None}
    assert bins == {0.9: 2, 1: 5}


def test_numbers_are_short_and_right():
    """Four significant digits, whole numbers without a point, and null where there is no number."""
    assert significant([1234.56, 0.00012345, 12.0, float("nan"), 0.0]) == [1235, 0.0001234, 12, None, 0]


def test_both_languages_say_the_same():
    """Every text exists in English and Spanish, with the same places for names and numbers."""
    pairs = [*TEXTS.values(), *SENTENCES.values(), *(pair for both in HEADERS.values() for pair in both)]
    for english, spanish in pairs:
        places = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, spanish)]
        assert english
        assert spanish
        assert places[0] == places[1], english


def test_scripts_and_templates_ask_for_texts_that_exist():
    """A text that a script asks for is handed to the browser; one that a template asks for is in the table."""
    for path in PAGE.glob("assets/*.js"):
        for key in re.findall(r"\bT\(\"([^\"]+)\"", path.read_text(encoding="utf-8")):
            assert key in IN_THE_BROWSER, f"{path.name}: {key}"
    for path in PAGE.glob("templates/*.j2"):
        for key in re.findall(r"\bt\([\"']([^\"']+)[\"'][,)]", path.read_text(encoding="utf-8")):
            assert key in TEXTS, f"{path.name}: {key}"


def test_the_page_is_well_formed(tmp_path):
    """No id twice, every label belongs to something, every landmark's title exists, and nothing points out of the file."""
    text = page_of(shop(), tmp_path)
    found = Reader(text)
    assert len(found.ids) == len(set(found.ids))
    for tag, attributes in found.elements:
        for key in ("for", "aria-labelledby"):
            assert attributes.get(key) in (None, *found.ids), (tag, attributes)
        target = attributes.get("src") or attributes.get("href") or "#"
        assert target[0] == "#" and (target == "#" or target[1:] in found.ids), (tag, attributes)
    assert not re.findall(r"url\((?!#|data:)", text)


def test_nothing_breaks_out(tmp_path):
    """Titles, names, messages and statuses from a run are text in the page, whatever they hold."""
    result = shop(title=EVIL, name=EVIL, variant=EVIL, digest=EVIL)
    log = {**result.logs[0], "message": EVIL}
    check = {"name": EVIL, "title": EVIL, "passed": False, "measured": None, "op": "at_least", "bound": 1.0, "from_s": 0.0}
    result = replace(
        result, names=replace(result.names, nodes=[*result.names.nodes[:2], EVIL, *result.names.nodes[3:]], operations=[EVIL]), logs=[log],
        attributes={2: {EVIL: EVIL}}, faults=[fault(EVIL, targets=(EVIL,))],
        scenario={"title": EVIL, "learn": EVIL, "faults": [{"name": EVIL}],
                  "services": {EVIL: {"uses": {EVIL: {"policies": [{EVIL: EVIL}]}}}}},
        summary={"verdict": "fail", "checks": [check], "workloads": {EVIL: {"by_request": {EVIL: {}}, "by_status": {EVIL: 1}}},
                 "services": {EVIL: {}}, "calls": {f"{EVIL}->{EVIL}": {}}},
    )
    for lang in ("en", "es"):
        found = Reader(page_of(result, tmp_path, lang))
        assert [tag for tag, _ in found.elements].count("script") == 3
        assert not [tag for tag, attributes in found.elements if tag == "img" or "onerror" in attributes]
        assert EVIL in "".join(found.texts)
        assert EVIL in json.dumps(found.data, ensure_ascii=False)


def test_only_our_scripts_may_run(tmp_path):
    """The page's own policy forbids all connections and every script but the two that it was written with."""
    policy = next(attributes["content"] for tag, attributes in Reader(page_of(shop(), tmp_path)).elements
                  if attributes.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert len(re.findall(r"'sha256-[\w+/=]{44}'", policy)) == 2
    assert "unsafe-inline" not in policy.split("script-src")[1]


@pytest.mark.parametrize("result", [
    run_of(), run_of([request(1, 1.0, None)]), run_of([], [client(1, 0, "orders", "payments", 1.0, float("nan"))]),
    run_of([request(1, 0.0, 0.0)], duration=0.001, summary={"verdict": "interrupted"}),
], ids=["nothing", "unfinished", "background", "short"])
def test_runs_with_almost_nothing_in_them(result, tmp_path):
    """A run without requests, without spans or without length has a page too."""
    assert "<h1" in page_of(result, tmp_path)


def test_spanish_pages_use_the_scenarios_spanish(tmp_path):
    """The scenario's own Spanish texts stand in the Spanish page, its English ones where it has no others."""
    result = shop(scenario={"title": "A shop", "title_es": "Una tienda", "learn": "Only English."})
    texts = Reader(page_of(result, tmp_path, "es")).texts
    assert "Una tienda" in texts
    assert "Only English." in texts
    assert "A shop" not in texts


def test_checks_stand_by_phase():
    """A condition of the steady state is one row with its judgement in each phase; other checks stand alone."""
    entry = {"op": "at_most", "bound": 0.5, "measure": "latency.p99", "of": "shoppers", "from_s": 0.0, "until_s": 1.0}
    summary = {"checks": [
        {**entry, "title": "fast before the faults", "phase": "before", "passed": True, "measured": 0.2},
        {**entry, "title": "fast during the faults", "phase": "during", "passed": False, "measured": 0.9},
        {**entry, "title": "recovers", "phase": "window", "passed": True, "measured": 0.1},
    ]}
    steady, alone = checks(summary, Words())
    assert [(row.name, row.bound, {phase: check.measured for phase, check in row.phases.items()}) for row in steady] == [
        ("fast", "at most 500 ms", {"before": "200 ms", "during": "900 ms"})]
    assert [check.name for check in alone] == ["recovers"]


def test_what_users_saw_before_during_and_after():
    """Shares and latencies of each phase count what was meant to begin in it."""
    result = shop(faults=[fault(start=2.0, until=5.0)])
    before, during, after = seen_by_users(result, Words())
    assert before.figures[1:4] == ["100 %", "0 %", "0 %"]
    assert during.figures[1:5] == ["0 %", "100 %", "0 %", "600 ms"]
    assert (after.share_good, after.share_degraded, after.figures[4]) == (0.0, 0.0, "50 ms")


def test_a_phase_without_requests_shows_no_bar_of_failures(tmp_path):
    """Where nobody asked nothing failed: no bar, no shares, and a sentence that is whole."""
    empty = run_of([], summary={"requests": dict.fromkeys(("started", "ok", "degraded", "failed", "rejected", "unfinished"), 0)})
    assert [(row.figures[1], row.any) for row in seen_by_users(empty, Words())] == [("–", False)]
    text = write_page(empty, tmp_path / "report.html") or (tmp_path / "report.html").read_text()
    assert "Nobody asked for anything." in text and 'class="shares"' not in text


def test_traces_hold_spans_path_and_logs():
    """A chosen trace has all its spans, a critical path as long as the answer took, and its own log lines in order."""
    found = {trace["id"]: trace for trace in waterfalls(shop())}
    failed = found[3]
    assert (failed["group"], failed["status"], failed["took"]) == ("failed", "503", 50)
    assert failed["spans"]["label"] == ["→ orders POST /orders", "orders-0", "→ payments POST /orders", "payments-0"]
    assert failed["spans"]["error"] == ["503", "503", "500", "500"]
    assert failed["spans"]["attributes"][1] == {"exception.type": "PaymentFailed", "exception.message": "card declined"}
    assert sum(end - start for _, start, end in failed["path"]) == pytest.approx(failed["answered"])
    messages = [message for message in failed["logs"]["message"] if not message.startswith("request")]
    assert messages == ["no \"luck\"\n"]
    assert failed["logs"]["at"] == sorted(failed["logs"]["at"])
    assert found[2]["until"] > found[2]["answered"]  # work went on after the caller had left


def test_every_way_to_fail_has_a_trace():
    """The traces to open are not ten of one kind: each status has its slowest ones."""
    requests = [request(index + 1, 1 + index / 100, 1.0 + index / 1000, Outcome.FAILED, 500 if index < 50 else 504) for index in range(60)]
    spans = [client(index + 1, 0, "shoppers", "orders", 1.0, 2.0, trace=index + 1) for index in range(60)]
    chosen = dict(choose(run_of(requests, spans)))
    assert {59, 60, 58, 50, 49, 48} <= set(chosen)
    assert chosen[60] == "failed"


def test_labels_of_the_graph_keep_apart():
    """No two labels of calls lie on each other, nor on a box."""
    result = repeated(shop(), 2)
    found = drawing(result, calls_over_time(result, time_edges(result.duration, 10)))
    places = [curve.label for curve in found.curves]
    for index, (x, y) in enumerate(places):
        assert all(abs(x - other[0]) > 40 or abs(y - other[1]) > 12 for other in places[:index])
        assert not any(box.x < x < box.x + box.width and box.y < y < box.y + box.height for box in found.boxes)
    assert all(box.x > 0 and box.x + box.width < found.width and box.y + box.height < found.height for box in found.boxes)


def test_a_line_to_a_box_in_its_own_column_goes_round_at_the_right():
    """A registry and one that only it asks stand in one column: the line leaves at the right and comes back there, in page and chart."""
    result = run_of([request(1, 1.0, 0.1)], [client(1, 0, "gateway", "orders", 1.0, 1.1)])
    kinds = ["registry" if node == "gateway" else kind for node, kind in zip(result.names.nodes, result.names.node_kinds, strict=True)]
    result = replace(result, names=replace(result.names, node_kinds=kinds))
    found = drawing(result, calls_over_time(result, time_edges(result.duration, 10)))
    boxes = {box.name: box for box in found.boxes}
    assert boxes["gateway"].x == boxes["orders"].x
    across = [float(x) for x in re.findall(r"([\d.]+) [\d.]+", found.curves[0].path)]
    assert all(x >= boxes["gateway"].x + boxes["gateway"].width for x in across) and found.curves[0].label[0] > max(across[0], across[-1])
    (arrow,) = (patch for patch in figure(result, "graph").axes[0].patches if isinstance(patch, FancyArrowPatch))
    assert arrow.get_path().get_extents().x0 > 40


def test_the_label_of_a_short_level_line_stands_beside_it():
    """On the line it would hide all of it."""
    result = run_of([request(1, 1.0, 0.5)], [client(1, 0, "shoppers", "orders", 1.0, 1.5)])
    found = drawing(result, calls_over_time(result, time_edges(result.duration, 10)))
    (curve,) = found.curves
    middle = found.boxes[0].y + found.boxes[0].height / 2
    assert abs(curve.label[1] - middle) > 10


def test_pictures_follow_the_page():
    """An inlined chart has ids of its own, says what it is, and takes paper and ink from the page."""
    svg = ('<?xml version="1.0"?><svg width="9pt" height="9pt" viewBox="0 0 9 9"><!-- <b> -->'
           '<g id="a" style="fill: #ffffff; stroke: #1f2328"><use xlink:href="#a" clip-path="url(#a)"/></g></svg>')
    assert inline(svg, "knee", 'A "title"') == (
        '<svg viewBox="0 0 9 9" role="img" aria-label="A &quot;title&quot;" class="picture">'
        '<g id="knee-a" style="fill: var(--panel); stroke: var(--ink)"><use xlink:href="#knee-a" clip-path="url(#knee-a)"/></g></svg>')


def test_a_large_run_is_rendered_quickly_into_a_small_page(tmp_path):
    """400,000 spans become a page in less than 3 seconds of work and 1.5 MB."""
    result = repeated(shop(), 25_000)
    path = tmp_path / "report.html"
    start = time.process_time()
    write_page(result, path)
    assert time.process_time() - start < 9  # seconds of CPU on a machine that is busy; 3 is the aim
    assert path.stat().st_size < 1.5e6


def test_everything_that_the_page_needs_is_installed():
    """Templates, styles, scripts and the library with its licence are package data."""
    project = tomllib.loads((PAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["reports.page"]
    packed = {path for pattern in patterns for path in PAGE.glob(pattern)}
    assert packed == {path for path in PAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert "MIT License" in (PAGE / "vendor/uplot/LICENSE").read_text(encoding="utf-8")


def test_texts_are_filled_in():
    """`Texts` speaks the language it was made for."""
    assert Texts(Words("es"), TEXTS)("why fail", failed=2, total=9) == "2 de 9 comprobaciones no se cumplieron bajo fallos."
