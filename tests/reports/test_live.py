"""Progress and live view: nothing without a terminal, and never a wrong time."""

import io
from collections import Counter
from types import SimpleNamespace

import pytest

from reports.live import LiveView, Pace, ProgressLine, Watcher, bar, sparkline, watching
from reports.texts import Words


@pytest.fixture
def terminal(monkeypatch):
    """A stream that says it is a terminal and takes Unicode."""
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self):
            return True

    return Terminal()


class Clock:
    """Real seconds by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def snapshot(at, **more):
    """A sample of a run of 100 s, as the lab makes them."""
    outcomes = dict.fromkeys(("ok", "degraded", "failed", "rejected"), 0)
    fields = {"window": 1.0, "outcomes": outcomes, "latency": {}, "in_flight": 0, "breakers": {}, "faults": []}
    return SimpleNamespace(at=at, duration=100.0, started=int(at * 10), events=int(at * 1000), **{**fields, **more})


def test_nothing_is_shown_where_there_is_no_terminal():
    """A pipe gets not a single byte, live or not."""
    stream = io.StringIO()
    for live in (False, True):
        with watching("shop", stream=stream, live=live) as watch:
            watch(snapshot(50.0))
        assert type(watch) is Watcher
    assert stream.getvalue() == ""


def test_the_line_tells_simulated_time_wall_time_and_what_is_left(terminal):
    """After a quarter of the run in 2 s, 6 s are left; the line is wiped at the end."""
    clock = Clock()
    with watching("shop", stream=terminal, clock=clock) as watch:
        assert type(watch) is ProgressLine
        clock.now = 102.0
        watch(snapshot(25.0))
        assert "[#######---------------------] shop · 25 s of 100 s simulated · 2 s elapsed · 6 s left" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_the_line_is_rewritten_ten_times_a_second_at_most(terminal):
    """Six hundred samples in a blink are one line."""
    clock = Clock()
    watch = ProgressLine(terminal, Pace("shop", Words(), clock))
    for number in range(600):
        clock.now = 100.0 + number / 10_000
        watch(snapshot(number / 6))
    assert terminal.getvalue().count("\r") == 1


def test_the_live_view_shows_rates_percentiles_breakers_and_faults(terminal):
    """Per second of the window; closed breakers are not named; names cannot move the cursor."""
    from rich.console import Console

    view = LiveView(terminal, Pace("shop", Words(), Clock()))
    console = Console(file=io.StringIO(), width=120, markup=False)
    outcomes = {"ok": 90, "degraded": 0, "rejected": 0, "failed": 5}
    picture = view.picture(snapshot(30.0, window=0.5, outcomes=outcomes, latency={"p50": 0.012, "p99": 1.5}, in_flight=77,
                                    breakers={"orders->payments": "half_open", "a->b": "closed"}, faults=["slow\x1b[2J"]))
    console.print(picture)
    text = console.file.getvalue()
    shown = ("180/s ok", "10/s failed", "p50 12 ms", "p99 1.5 s", "77", "orders->payments half-open", "slow\N{REPLACEMENT CHARACTER}[2J")
    for part in shown:
        assert part in text
    assert "a->b" not in text


def test_the_live_view_leaves_the_terminal_as_it_was(terminal):
    """It starts with the run, and is gone afterwards, also after an error."""
    clock = Clock()

    def interrupted():
        with watching("shop", stream=terminal, live=True, clock=clock) as watch:
            clock.now += 1
            watch(snapshot(10.0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1


def test_bars_and_sparklines():
    """Full at the end; the highest value is a full block, nothing is a blank."""
    assert bar(0.5, 4) == "[##--]"
    assert bar(2.0, 4) == "[####]"
    assert sparkline([0, 4, 8], 2) == "▄█"
    assert sparkline([0, 0], 5) == "  "


SCENARIO = """
name: small
duration: 10s
services:
  back:
    workers: 2
    endpoints:
      GET /: [{work: 20ms}, {fail: {share: 50%, status: 500}}]
  front:
    uses: {back: {policies: [{circuit_breaker: {sliding_window: {calls: 10}, minimum_number_of_calls: 5, failure_rate_threshold: 20%}}]}}
    endpoints:
      GET /: [{call: back GET /}]
workloads:
  users: {executor: constant-arrival-rate, rate: 50/s, to: front, mix: [{send: GET /}]}
faults:
  - {name: slow, kind: network.delay, target: {link: front->back}, schedule: {at: 4s, for: 2s}, latency: 100ms}
"""


def test_what_the_lab_tells_adds_up_to_the_run(tmp_path):
    """Outcomes of all samples are the requests that ended; the fault is told while it is on; an open breaker is seen."""
    from sim import load, run

    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    totals, faulty, states = Counter(), [], set()

    def look(progress):
        totals.update(progress.outcomes)
        states.update(progress.breakers.values())
        faulty.extend([progress.at] if progress.faults else [])

    result = run(load(str(path)), seed=1, on_sample=look)
    requests = result.summary["requests"]
    assert {name: totals[name] for name in ("ok", "degraded", "failed", "rejected")} == {
        name: requests[name] for name in ("ok", "degraded", "failed", "rejected")}
    assert "open" in states
    assert 4.0 <= min(faulty) < max(faulty) <= 6.0
    assert run(load(str(path)), seed=1).digest == result.digest
