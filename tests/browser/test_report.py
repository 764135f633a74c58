"""The report in a real browser: it opens from disk without a word of complaint or a request, and everything that moves works."""

import re
from dataclasses import replace

import numpy as np
import pytest

from reports.charts.tallies import time_edges
from reports.page import write_page
from sim.telemetry.codes import Outcome

pytestmark = pytest.mark.browser
PLOTS = ("outcomes", "latency", "heat", "breakers", "workers")
EVIL = "</script><script>window.broken = true</script><img src=x onerror='window.broken = true'>"


def move(page, plot, share):
    """Put the pointer into a chart, at a *share* of its width."""
    area = page.locator(f"#plot-{plot} .u-over")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    return box


def legend(page, plot):
    """What a chart's legend says at the cursor, once the browser has painted: {label: value}."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return dict(page.locator(f"#plot-{plot} .u-series").evaluate_all(
        "rows => rows.map(row => [row.querySelector('.u-label').textContent, row.querySelector('.u-value').textContent])"))


def first_and_last(page, plot):
    """The first and the last time in the table of a chart's values, which has what the window shows."""
    details = page.locator(f"figure[data-plot={plot}] details.values")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    times = details.locator("tbody th")
    times.first.wait_for()
    return [float(text.removesuffix(" s")) for text in (times.first.inner_text(), times.last.inner_text())]


@pytest.mark.parametrize(("lang", "width", "scheme"), [
    ("en", 390, "light"), ("en", 1280, "dark"), ("es", 390, "dark"), ("es", 1280, "light"),
])
def test_it_opens_quietly_and_fits(opened, shop, tmp_path, lang, width, scheme):
    """No complaint in the console, no request, nothing wider than a phone or a laptop, in both languages, light and dark."""
    path = tmp_path / "report.html"
    write_page(shop, path, lang)
    found = opened(path, width, color_scheme=scheme)
    found.page.locator(".trace summary").first.click()
    found.page.locator("[role=listitem]").first.wait_for()
    assert (found.complaints, found.requests) == ([], [])
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    assert found.page.locator("canvas").count() == len(PLOTS)
    assert found.page.evaluate("document.documentElement.lang") == lang


def test_one_cursor_runs_through_all_charts(opened, report, shop):
    """Over one chart, the legends of all show the same time, and the values that the run recorded for it."""
    page = opened(report).page
    move(page, "outcomes", 0.5)
    at = {plot: legend(page, plot)["time"] for plot in PLOTS}
    assert len(set(at.values())) == 1
    edges = time_edges(shop.duration, 180)
    start = float(at["outcomes"].removesuffix(" s"))
    index = int(np.argmin(abs(edges - start)))
    mine = shop.requests.end[shop.requests.outcome == Outcome.OK]
    expected = int(((mine >= edges[index]) & (mine < edges[index + 1])).sum()) / (edges[index + 1] - edges[index])
    assert legend(page, "outcomes")["answered as asked"] == f"{expected:.3g}/s"
    assert legend(page, "breakers")["orders-0"] == "open"
    assert legend(page, "latency")["p50"].endswith("ms")


def test_the_heat_map_counts_under_the_pointer(opened, report):
    """The legend of the heat map says how many requests are in the cell under the pointer, and from which latency to which."""
    page = opened(report).page
    box = move(page, "heat", 0.2)
    found = set()
    for step in range(30):
        page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + box["height"] * step / 30)
        found.add(legend(page, "heat")["under the pointer"])
    assert any(re.fullmatch(r"\d+ \([\d.]+ m?s – [\d.]+ m?s\)", text) for text in found), found


def test_dragging_zooms_all_charts(opened, report):
    """A stretch drawn in one chart is the window of all; a double click shows the whole run again."""
    page = opened(report).page
    box = move(page, "latency", 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 60, steps=5)
    page.mouse.up()
    windows = [first_and_last(page, plot) for plot in ("outcomes", "workers")]
    assert windows[0] == windows[1]
    assert windows[0] == pytest.approx([10, 30], abs=1)
    assert page.get_by_role("button", name="Whole run").first.get_attribute("aria-pressed") == "false"
    move(page, "outcomes", 0.5)
    page.mouse.dblclick(box["x"] + 0.5 * box["width"], page.locator("#plot-outcomes .u-over").bounding_box()["y"] + 50)
    assert first_and_last(page, "latency") == pytest.approx([0, 40], abs=0.5)


def test_a_button_for_each_fault_zooms_to_it(opened, report):
    """The button with a fault's name shows the time of the fault and a little before and after."""
    page = opened(report).page
    page.locator("#zooms button", has_text="slow-payments").click()
    start, end = first_and_last(page, "outcomes")
    assert 5 < start < 12
    assert 24 < end < 32


def test_charts_work_from_the_keyboard(opened, report):
    """Arrow keys move the cursor and say what is there, + zooms, Escape shows everything, Enter takes the graph along."""
    page = opened(report).page
    page.locator("#plot-outcomes").focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.locator("#live", has_text="answered as asked").wait_for(state="attached")
    before = float(legend(page, "latency")["time"].removesuffix(" s"))
    page.keyboard.press("Shift+ArrowRight")
    assert float(legend(page, "latency")["time"].removesuffix(" s")) > before + 1
    page.keyboard.press("Enter")
    assert re.match(r"\d+\.\d s to", page.locator("#moment-text").inner_text())
    page.keyboard.press("+")
    assert first_and_last(page, "workers")[1] < 39
    page.locator("#plot-outcomes").focus()
    page.keyboard.press("Escape")
    assert first_and_last(page, "workers") == pytest.approx([0, 40], abs=0.5)


def test_kinds_of_request_can_be_looked_at_alone(opened, report):
    """The choice of a kind of request changes what the charts count."""
    page = opened(report).page
    move(page, "outcomes", 0.9)
    everything = legend(page, "outcomes")["offered"]
    page.locator("#group").select_option(label="shoppers: GET /api/orders/1")
    move(page, "outcomes", 0.901)
    some = legend(page, "outcomes")["offered"]
    assert float(some.removesuffix("/s")) < float(everything.removesuffix("/s"))
    page.locator("#service").select_option(label="payments")
    move(page, "workers", 0.5)
    assert legend(page, "workers")["all workers"] == "32"


def test_the_graph_goes_through_time(opened, report):
    """At a moment within the fault the edge to payments is fed by its fallback and its breakers are open; before it is well."""
    page = opened(report).page
    edge = page.locator(".edge[data-source=orders][data-target=payments]")
    rate = page.locator(".rate[data-source=orders][data-target=payments]")
    assert "whole run" in page.locator("#moment-text").inner_text()
    page.locator("#moment").evaluate("slider => { slider.value = Math.round(slider.max / 2); slider.dispatchEvent(new Event('input')) }")
    assert "fault: slow-payments" in page.locator("#moment-text").inner_text()
    assert "spared" in edge.get_attribute("class")
    assert "⊘" in rate.text_content()
    page.locator("#moment").focus()
    page.keyboard.press("Home")
    assert "no fault" in page.locator("#moment-text").inner_text()
    assert "spared" not in edge.get_attribute("class")
    assert "⊘" not in rate.text_content()
    page.locator("#whole").click()
    assert "whole run" in page.locator("#moment-text").inner_text()


def test_the_graph_plays(opened, report):
    """Play moves the moment on by itself, until somebody pauses it."""
    page = opened(report).page
    page.locator("#play").click()
    page.locator("#moment-text", has_text="0.5 s to").wait_for()
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Play"


def test_an_edge_or_a_box_opens_over_time(opened, report):
    """A click on a line shows its calls over time, a click on a box its workers; the list does the same for the keyboard."""
    found = opened(report)
    page = found.page
    page.locator(".edge[data-source=orders][data-target=payments] .reach").dispatch_event("click")
    assert page.locator("#detail").get_by_text("Calls over orders → payments").is_visible()
    assert page.locator("#detail canvas").count() == 2
    page.locator(".node[data-node=orders]").click()
    assert page.locator("#detail canvas").count() == 1
    assert page.locator("#part").evaluate("list => list.selectedOptions[0].textContent") == "orders"
    page.locator("#part").select_option(index=1)
    assert page.locator("#detail canvas").count() == 2
    assert found.complaints == []


def test_a_time_of_the_story_leads_to_the_charts(opened, report):
    """A click on the time at which the breakers opened zooms the charts to it and sets the graph to it."""
    page = opened(report).page
    moment = page.locator(".story li", has_text="circuit breakers of orders→payments open in")
    at = float(moment.locator("button").get_attribute("data-at"))
    moment.locator("button").click()
    start, end = first_and_last(page, "outcomes")
    assert start < at < end
    assert end - start < 30
    assert "fault: slow-payments" in page.locator("#moment-text").inner_text()


def test_traces_can_be_found_and_opened(opened, report, shop):
    """Groups and a text narrow the list; an opened one shows its spans with the critical path, and its log lines."""
    page = opened(report).page
    shown = page.locator(".trace:visible")
    everything = shown.count()
    page.get_by_role("button", name="degraded").click()
    assert 0 < shown.count() < everything
    assert page.locator("#found").inner_text() == f"{shown.count()} of {everything}"
    shown.first.locator("summary").first.click()
    shown.first.locator("[role=listitem]").first.wait_for()
    number = int(re.search(r"Request (\d+)", shown.first.locator(".inside > p").first.inner_text())[1])
    assert shown.first.locator("[role=listitem]").count() == (shop.spans.trace == number).sum()
    assert shown.first.locator(".critical").count() > 0
    shown.first.locator(".logs summary").click()
    assert shown.first.get_by_text("request started").first.is_visible()
    page.locator("#find-trace").fill("nothing has this")
    assert shown.count() == 0
    assert page.get_by_text("Nothing fits.").is_visible()


def test_branches_of_a_trace_fold(opened, report):
    """A folded span hides what was called below it, and says so to assistive technology."""
    page = opened(report).page
    trace = page.locator(".trace[data-group=ordinary]").first
    trace.locator("summary").first.click()
    rows = trace.locator("[role=listitem]:visible")
    rows.first.wait_for()
    everything = rows.count()
    fold = trace.locator(".fold").first
    fold.click()
    assert rows.count() == 1
    assert fold.get_attribute("aria-expanded") == "false"
    fold.click()
    assert rows.count() == everything


def test_tables_sort_and_filter(opened, report):
    """A click on a header sorts by numbers, not by their texts; a text shows only rows that hold it."""
    page = opened(report).page
    card = page.locator(".card", has=page.locator("#table-calls"))
    header = card.locator("thead th:nth-child(2) button")
    column = card.locator("tbody tr td:nth-child(2)")
    for direction in ("descending", "ascending"):
        header.click()
        counts = [int(text.replace(",", "")) for text in column.all_inner_texts()]
        assert counts == sorted(counts, reverse=direction == "descending")
        assert header.locator("..").get_attribute("aria-sort") == direction
    chip = card.locator(".policies summary", has_text="circuit breaker")
    chip.click()
    assert "minimum_number_of_calls: 10" in card.locator(".policies details[open] pre").inner_text()
    card.locator("input").fill("ORDERS→")
    assert [text.split("\n")[0] for text in card.locator("tbody th:visible").all_inner_texts()] == ["orders→orders-db", "orders→payments"]


def test_the_command_names_the_folder(opened, report):
    """The command that replays the run has the folder in which the page lies, quoted for a shell."""
    page = opened(report).page
    folder = str(report.parent).replace("'", "'\\''")
    assert page.locator("#replay").inner_text() == f"mesocosm replay '{folder}'"


def test_names_from_a_run_are_text(opened, shop, tmp_path):
    """Scripts in titles, names and statuses never run, and are seen as they were written."""
    path = tmp_path / "report.html"
    names = replace(shop.names, operations=[EVIL, *shop.names.operations[1:]], nodes=[EVIL, *shop.names.nodes[1:]])
    write_page(replace(shop, title=EVIL, names=names, scenario={**shop.scenario, "title": EVIL}), path)
    found = opened(path)
    for summary in found.page.locator(".trace > summary").all()[:3]:
        summary.click()
    found.page.locator("[role=listitem]").first.wait_for()
    assert found.page.evaluate("window.broken") is None
    assert found.page.locator("h1").inner_text() == EVIL
    assert (found.complaints, found.requests) == ([], [])


def test_it_prints_light(opened, report):
    """On paper there are no controls, and dark mode is off."""
    page = opened(report, color_scheme="dark").page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".top").is_hidden()
    assert page.locator("#play").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 40)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(opened, report, scheme):
    """axe finds no violation: contrast, names, landmarks, focus, also with a trace and an edge opened."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(report, color_scheme=scheme).page
    page.locator(".trace summary").first.click()
    page.locator("#part").select_option(index=2)
    page.locator("[role=listitem]").first.wait_for()
    found = axe.run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"][:3]]) for one in found] == []
