"""The timeline: slices nest on every thread, and speedscope opens it."""

import functools
import html
import http.server
import json
import random
import re
import shutil
import subprocess
import threading
from collections import defaultdict
from pathlib import Path

import pytest

from reports.export import chrome
from reports.export.lanes import Lane, Lanes
from tests.reports.export_runs import everything, repeated, shop
from tests.reports.hand_made import fault

SPEEDSCOPE = Path(__file__).parents[2] / "build/node_modules/speedscope/dist/release"
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --use-angle=swiftshader --enable-unsafe-swiftshader --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync --virtual-time-budget=15000"
)


def events(result):
    return json.loads("".join(chrome.lines(everything(result))))["traceEvents"]


def processes(found):
    return {event["pid"]: event["args"]["name"] for event in found if event["name"] == "process_name"}


def threads(found):
    return {event["tid"]: event["args"]["name"] for event in found if event["name"] == "thread_name"}


def slices(found):
    return [event for event in found if event["ph"] == "X"]


def assert_nested(found):
    """On one thread a slice lies within the one around it or begins after it; times in whole nanoseconds."""
    by_thread = defaultdict(list)
    for event in slices(found):
        start = round(event["ts"] * 1000)
        by_thread[event["pid"], event["tid"]].append((start, start + round(event["dur"] * 1000)))
    for spans in by_thread.values():
        around = []
        for start, end in spans:
            while around and around[-1] <= start:
                around.pop()
            assert not around or end <= around[-1]
            around.append(end)


def test_services_are_processes_and_instances_threads():
    """The slow attempt outlives the call, so payments-0 works on two threads."""
    found = events(shop())
    assert set(processes(found).values()) == {"faults", "circuit breakers", "shoppers", "gateway", "orders", "payments", "orders-db"}
    assert {"orders-0", "orders-1", "payments-0", "payments-0 #2", "orders-db-0"} <= set(threads(found).values())
    assert len(slices([event for event in found if event.get("cat") in ("client", "attempt", "server")])) == len(shop().spans)


def test_slices_nest():
    """Also where calls of one request overlap."""
    assert_nested(events(repeated(shop(), 20)))


def test_a_call_lies_under_the_request_that_makes_it():
    """orders' call to payments is on the same thread as the request in orders."""
    found = slices(events(shop()))
    request, call = (next(e for e in found if (e["cat"], e["ts"]) == which) for which in (("server", 1_005_000), ("client", 1_010_000)))
    assert (request["pid"], request["tid"]) == (call["pid"], call["tid"])


def test_an_arrow_leads_from_each_call_to_its_request():
    """Eight requests in instances, each with the id of the call that it came from; a logical call with attempts has no arrow of its own."""
    found = events(shop())
    starts = {event["id"] for event in found if event["ph"] == "s"}
    ends = [event["id"] for event in found if event["ph"] == "f"]
    assert len(ends) == 8
    assert set(ends) <= starts
    assert 12 not in starts


def test_faults_and_breaker_states_are_tracks():
    """One slice for each time that a fault was on, one for each state, to the end of the run."""
    run = shop(faults=[fault(), fault("slow", 6.0, None)])
    found = events(run)
    names = {event["name"]: (event["ts"] / 1e6, event["dur"] / 1e6) for event in slices(found) if event["cat"] == "breaker"}
    assert names == {"closed": (0.0, 5.04), "open": (5.04, 2.96), "half_open": (8.0, 2.0)}
    faults = [(event["ts"] / 1e6, event["dur"] / 1e6, event["args"]["kind"]) for event in slices(found) if event["cat"] == "fault"]
    assert faults == [(2.0, 2.0, "network.delay"), (6.0, 4.0, "network.delay")]
    assert "orders-0: orders->payments" in threads(found).values()


def test_gauges_are_counters_and_events_marks():
    """The queue at each sample; every event at its time."""
    found = events(shop())
    assert [(event["ts"], event["args"]["mean"]) for event in found if event["ph"] == "C"] == [(5e6, 0.5), (10e6, 1.5)]
    assert [event["ts"] for event in found if event["ph"] == "i"] == [event["at"] * 1e6 for event in shop().events]


def test_lanes_are_as_few_as_slices_at_once():
    """Random slices without parents: never two at a time in a lane, and no more lanes than the most at once."""
    rng = random.Random(7)
    for _ in range(20):
        spans = sorted((start, start + rng.randint(1, 30)) for start in (rng.randint(0, 100) for _ in range(60)))
        lanes = Lanes()
        for number, (start, end) in enumerate(spans, start=1):
            if lanes.place(number, 0, start, end) is None:
                lane = Lane(len(lanes.all), len(lanes.all))
                lanes.all.append(lane)
                lanes.take(lane, number, end)
        assert len(lanes.all) == max(sum(a <= at < b for a, b in spans) for at, _ in spans)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.skipif(not SPEEDSCOPE.exists(), reason="speedscope is not installed: npm install --prefix build speedscope")
def test_speedscope_opens_it(tmp_path):
    """The real program in a real browser lists every thread with its process."""
    site = tmp_path / "site"
    shutil.copytree(SPEEDSCOPE, site)
    (site / "timeline.json").write_text("".join(chrome.lines(everything(shop()))))
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/index.html#profileURL=timeline.json"
        command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", url]
        page = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
        server.shutdown()
    shown = {html.unescape(text) for text in re.findall(r"<span>([^<]+\(tid \d+\))", page)}
    expected = {f"{processes(events(shop()))[event['pid']]} (pid {event['pid']})" for event in slices(events(shop()))}
    assert {text.partition(", ")[0] for text in shown} == expected
    assert len(shown) == len({event["tid"] for event in slices(events(shop()))})


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args):
        pass
