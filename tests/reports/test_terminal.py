"""The summary in a terminal: golden text, colours only where they are wanted, names that cannot do harm."""

import io
import json
import re
from pathlib import Path

import pytest

from reports.stores import FIGURES, SECTIONS
from reports.terminal import encodable, print_summary, summary_text, wants_colour
from sim.lab.run import run
from sim.lab.session import errors_of_code
from sim.scenario.load import loads

STORES = """
name: stores
duration: 5s
services:
  shop: {endpoints: {GET /: [{query: db}, {cache: near, key: {uniform: 9}, miss: [{sleep: 1ms}]}, {publish: {subject: a.b, to: log}}, {publish: {subject: a.b, to: bus}}]}}
  clerk: {subscribe: {a.b: {at: log, do: [{work: 1ms}]}, a.*: {at: bus, do: [{work: 1ms}]}}}
  db: {kind: database}
  near: {kind: cache}
  log: {kind: broker, delivery: at_least_once}
  bus: {kind: broker, delivery: at_most_once}
workloads: {users: {executor: constant-arrival-rate, rate: 20/s, to: shop, mix: [{send: GET /}]}}
"""
GOLDEN = Path(__file__).parent / "golden"
LATENCY = {"mean": 0.0421, "p50": 0.031, "p90": 0.064, "p95": 0.081, "p99": 0.204, "p999": 0.93, "max": 2.01}
FASTER = {"mean": 0.011, "p50": 0.0098, "p90": 0.0151, "p95": 0.018, "p99": 0.0304, "p999": 0.0612, "max": 0.09}


def load(started, failed, latency, **more):
    """The summary of one load."""
    return {"started": started, "ok": started - failed, "degraded": 0, "failed": failed, "rejected": 0, "unfinished": 0, "dropped": 0,
            "success_ratio": 1 - failed / started, "offered_rps": started / 160, "throughput_rps": started / 160,
            "goodput_rps": (started - failed) / 160, "latency_s": latency, "by_status": {"200": started - failed, "503": failed}, **more}


def service(**fields):
    """The summary of one service."""
    return {"requests": 32000, "success_ratio": 1.0, "latency_s": FASTER, "utilisation": 0.42, "queue_mean": 0.013, "queue_max": 7,
            "in_system_mean": 1.2, "rejected": 0, "wasted_work_ratio": 0.0, **fields}


def call(**fields):
    """The summary of one call edge."""
    return {"calls": 9600, "attempts": 9600, "amplification": 1.0, "success_ratio": 1.0, "timeouts": 0, "retries": 0,
            "rejected": {"circuit_breaker": 0, "bulkhead": 0, "rate_limiter": 0}, "latency_s": FASTER, "breaker": None, **fields}


@pytest.fixture
def summary():
    """A run of which one check fell short."""
    by_request = {"GET /api/products/{zipf:1000}": load(22400, 0, FASTER), "POST /api/orders": load(9600, 480, LATENCY)}
    return {
        "schema": "mesocosm/summary/1", "scenario": "checkout", "variant": "no-breaker", "seed": 42, "digest": "sha256:4f0c",
        "verdict": "fail",
        "simulated_s": 180.0, "warmup_s": 20.0, "wall_s": 4.2, "events": 3_100_000,
        "requests": {"started": 36000, "ok": 35100, "degraded": 0, "failed": 500, "rejected": 360, "unfinished": 40},
        "workloads": {"shoppers": {**load(32000, 480, LATENCY, by_request=by_request), "dropped": 1200}},
        "services": {"gateway": service(utilisation=0.03),
                     "orders": service(requests=9600, success_ratio=0.95, utilisation=0.91, queue_mean=12.42, queue_max=64, rejected=117,
                                       wasted_work_ratio=0.0123)},
        "calls": {"gateway->orders": call(success_ratio=0.9612),
                  "orders->payments": call(attempts=11900, amplification=1.2396, success_ratio=0.93, timeouts=2300, retries=2280,
                                           rejected={"circuit_breaker": 300, "bulkhead": 12, "rate_limiter": 0}, latency_s=LATENCY,
                                           breaker={"opened": 2, "open_s": 12.0})},
        "databases": {}, "caches": {"product-cache": {"hits": 900, "misses": 100, "hit_ratio": 0.9}},
        "brokers": {"events": {"delivery": "at_least_once", "published": 16927, "received": 16926, "stored": 16926, "in_stream": 28,
                               "groups": {"mail": {"pattern": "order.*", "members": 2, "offered": 16578, "deliveries": 16691,
                                                   "redeliveries": 110, "acked": 16566, "dead_lettered": 0, "naks": 111, "lag": 28,
                                                   "lag_max": 73}}}},
        "sagas": {"checkout": {"started": 9600, "completed": 9000, "compensated": 598, "stuck": 2}},
        "checks": [
            {"name": "availability", "title": "availability before the faults", "phase": "before", "measure": "success_ratio",
             "passed": True, "measured": 0.997, "op": "at_least", "bound": 0.99, "from_s": 20.0, "until_s": 60.0},
            {"name": "fast", "title": "fast", "measure": "latency.p99", "passed": False, "measured": 1.24, "op": "at_most", "bound": 0.4, "from_s": 60.0,
             "until_s": None},
        ],
        "warnings": [{"name": "gray", "fault": "instance.slow", "why": "no request reached its targets"}],
        "faults": [{"name": "slow-payments", "kind": "network.delay", "targets": ["orders->payments"], "from_s": 60.0, "until_s": 90.0}],
    }


@pytest.mark.parametrize("lang", ["en", "es"])
def test_the_summary_reads_as_it_always_did(summary, lang):
    """The whole text, character by character. After a wanted change, look at it and copy it to tests/reports/golden."""
    assert summary_text(summary, lang=lang) == (GOLDEN / f"summary-{lang}.txt").read_text(encoding="utf-8")


def test_it_is_made_from_the_file_alone(summary):
    """A summary that went through JSON gives the same text."""
    assert summary_text(json.loads(json.dumps(summary))) == summary_text(summary)


@pytest.mark.parametrize(("lang", "line"), [("en", "! mailer: its code raised 12 errors; the first at 3 s in mailer-0: KeyError: 'id'"),
                                            ("es", "! mailer: su código lanzó 12 errores; el primero a los 3 s en mailer-0: KeyError: 'id'")])
def test_errors_of_code_are_told(summary, lang, line):
    """How many, and when and where the first of them came."""
    summary["code_errors"] = errors_of_code([
        {"kind": "handler.error", "node": "mailer", "instance": "mailer-0", "at": 3.0 + number, "error": "KeyError: 'id'"}
        for number in range(12)])
    assert line in [told.strip() for told in summary_text(summary, lang=lang).split("\n")]


def test_checks_come_first_and_say_what_was_measured(summary):
    """Tick or cross, name, measured, bound and window, in this order, before anything else is told."""
    text = summary_text(summary)
    first, second = [line for line in text.split("\n") if re.match(r"  [✓✗]", line)]
    assert first.split() == ["✓", "availability", "before", "the", "faults", "99.7", "%", "at", "least", "99", "%", "20", "s", "–", "60", "s"]
    assert second.split() == ["✗", "fast", "1.24", "s", "at", "most", "400", "ms", "60", "s", "–", "to", "the", "end"]
    assert text.index("✗") < text.index("REQUESTS") < text.index("SERVICES") < text.index("CALLS")


def test_plain_text_is_a_hundred_columns_without_escapes(summary):
    """Nothing wider, no colour codes, no blanks at the ends of lines."""
    lines = summary_text(summary).split("\n")
    assert max(map(len, lines)) <= 100
    assert not any("\x1b" in line or line != line.rstrip() for line in lines)


def test_a_long_seed_leaves_the_first_lines_in_order(summary):
    """Its middle is left out, and what does not fit beside a long name is on a line of its own."""
    line = summary_text({**summary, "seed": int("1234567890" * 9)}).split("\n")[1]
    assert line.endswith("seed 123456789012…01234567890")
    lines = summary_text({**summary, "scenario": "a" * 70}).split("\n")
    assert lines[1].endswith(" · seed 42") and lines[2].startswith("  180 s simulated in ") and lines[3].startswith("  sha256:")


def test_colours_need_a_terminal_and_leave(summary, monkeypatch):
    """A pipe, NO_COLOR, CI and a dumb terminal all mean plain text."""
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    terminal.isatty = lambda: True
    for name in ("NO_COLOR", "CI", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert wants_colour(terminal)
    assert not wants_colour(io.StringIO())
    assert "\x1b[" in summary_text(summary, colour=True)
    for name, value in (("NO_COLOR", "1"), ("CI", "true"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
        assert not wants_colour(terminal)
        monkeypatch.delenv(name)


def test_a_terminal_that_only_knows_ascii_gets_ascii(summary):
    """Ticks become +, and nothing fails."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_summary(summary, stream)
    stream.flush()
    assert b"  +  availability" in raw.getvalue()
    assert encodable("señor ✓", "ascii") == "se?or +"


def test_names_cannot_move_the_cursor_or_pretend_to_be_markup(summary):
    """Control characters are replaced, rich's markup is text."""
    summary["services"] = {"[red]evil[/red]\x1b[2J": service()}
    text = summary_text(summary)
    assert "[red]evil[/red]\N{REPLACEMENT CHARACTER}[2J" in text
    assert "\x1b" not in text


def test_values_that_are_missing_are_dashes():
    """A run in which nothing happened still has a summary: null is a dash."""
    nothing = dict.fromkeys(("started", "ok", "degraded", "failed", "rejected", "unfinished"), 0)
    workload = {**nothing, "success_ratio": None, "offered_rps": None, "goodput_rps": None, "latency_s": {}}
    idle = {"requests": 0, "success_ratio": None, "latency_s": {"p50": None}, "utilisation": None}
    empty = {"scenario": "empty", "variant": None, "seed": 1, "digest": "sha256:0", "verdict": "pass", "simulated_s": 0.0, "warmup_s": 0.0,
             "wall_s": 0.0, "requests": nothing, "workloads": {"w": workload}, "services": {"s": idle}, "checks": [], "faults": []}
    text = summary_text(empty)
    assert "–" in text
    assert "nan" not in text.lower()
    assert "none: the scenario states no steady_state" in text


def test_a_mesh_of_hundreds_is_cut_short_and_says_so(summary):
    """Thirty rows, and how many are left."""
    summary["services"] = {f"service-{i:03}": service() for i in range(400)}
    text = summary_text(summary)
    assert "service-029" in text
    assert "service-030" not in text
    assert "and 370 more in summary.json" in text


def test_long_names_are_told_apart_by_their_ends(summary):
    """Names that begin alike keep their ends where the table is too narrow for them."""
    one = summary["services"]["orders"]
    names = [f"a-service-with-a-rather-long-name-of-number-{number}" for number in (1, 2)]
    text = summary_text({**summary, "services": dict.fromkeys(names, one)})
    assert text.count("number-1 ") == text.count("number-2 ") == 1 and "…" in text


def test_what_stores_count_is_never_cut(summary):
    """As many lines as it takes, with the name before the first one only, and the groups of a broker set in below it."""
    lines = summary_text(summary, width=70).split("\n")
    start = lines.index("  BROKERS")
    assert lines[start + 1 : start + 5] == [
        "  events  published 16,927 · received 16,926 · stored 16,926",
        "          in the stream 28",
        "    mail  members 2 · offered 16,578 · deliveries 16,691",
        "          redeliveries 110 · acknowledged 16,566 · sent back 111",
    ]


def test_all_that_stores_count_has_words():
    """Whatever a database, a cache, a broker or a saga counts can be told in English and Spanish."""
    summary = run(loads(STORES)).summary
    parts = [part for section in SECTIONS for part in summary[section].values()]
    parts += [group for broker in summary["brokers"].values() for group in broker["groups"].values()]
    counted = {key for part in parts for key, value in part.items() if isinstance(value, int | float)}
    assert len(parts) == 6 and counted - {"instances"} <= set(FIGURES)


def test_it_ends_with_where_the_report_lies(summary, tmp_path):
    """The folder, and the page if there is one, on lines that are never wrapped."""
    assert summary_text(summary, folder=tmp_path).rstrip().endswith(f"results: {tmp_path}")
    (tmp_path / "report.html").touch()
    assert summary_text(summary, folder=tmp_path).rstrip().endswith(f"report: {tmp_path / 'report.html'}")
