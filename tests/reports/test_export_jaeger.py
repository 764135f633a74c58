"""Jaeger JSON, read by jaeger-stats, which takes no trace with a field missing or a parent that is not there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reports.export import jaeger
from reports.export.time import EPOCH_S
from tests.reports.export_runs import everything, repeated, shop

READER = shutil.which("trace_analysis", path=Path(sys.executable).parent) or shutil.which("trace_analysis")


def document(result):
    return json.loads("".join(jaeger.lines(everything(result))))


def spans_of(trace):
    """By the number in the span's id."""
    return {int(span["spanID"][-8:], 16): span for span in trace["spans"]}


def test_each_request_is_a_trace():
    """Three that ended and one of background work, with all their spans."""
    traces = document(shop())["data"]
    assert sorted(len(trace["spans"]) for trace in traces) == [2, 4, 4, 7]


def test_the_slowest_failed_trace_stands_first():
    """Grafana shows the first trace of a file only."""
    first, *_ = document(shop())["data"]
    assert first["traceID"].endswith("3")
    assert 20 in spans_of(first)


def test_every_reference_and_process_is_in_the_trace():
    """A reader looks both up there."""
    for trace in document(shop())["data"]:
        ids = {span["spanID"] for span in trace["spans"]}
        for span in trace["spans"]:
            assert span["processID"] in trace["processes"]
            assert span["traceID"] == trace["traceID"]
            assert all(reference["spanID"] in ids and reference["refType"] == "CHILD_OF" for reference in span["references"])


def test_times_are_whole_microseconds():
    """1.005 s to 1.095 s."""
    (span,) = [spans_of(trace)[2] for trace in document(shop())["data"] if 2 in spans_of(trace)]
    assert (span["startTime"] - EPOCH_S * 10**6, span["duration"]) == (1_005_000, 90_000)


def test_tags_have_types():
    """A failed call is marked with a truth value, its status is an integer, a list is text."""
    traces = document(shop())["data"]
    spans = {number: span for trace in traces for number, span in spans_of(trace).items()}
    tags = {tag["key"]: (tag["type"], tag["value"]) for number in (2, 21) for tag in spans[number]["tags"]}
    assert tags["error"] == ("bool", True)
    assert tags["http.response.status_code"] == ("int64", 503)
    assert tags["order.total"] == ("float64", 12.5)
    assert tags["tags"] == ("string", '["a","b"]')


def test_an_exception_is_a_log():
    """At the end of the span that it left."""
    (span,) = [spans_of(trace)[21] for trace in document(shop())["data"] if 21 in spans_of(trace)]
    (log,) = span["logs"]
    assert log["timestamp"] == span["startTime"] + span["duration"]
    assert {field["key"]: field["value"] for field in log["fields"]} == {
        "event": "exception", "exception.type": "PaymentFailed", "exception.message": "card declined"}


def test_a_trace_may_go_over_more_than_one_chunk():
    """Traces are written while chunks of rows are read: many of them come out whole, each once."""
    run = repeated(shop(), 1500)
    traces = document(run)["data"]
    assert len({trace["traceID"] for trace in traces}) == len(traces) == 4 * 1500
    assert sum(len(trace["spans"]) for trace in traces) == len(run.spans)


@pytest.mark.skipif(READER is None, reason="jaeger-stats is not installed")
def test_a_reader_finds_every_trace_complete(tmp_path):
    """It counts the traces, follows every call to its root, and finds none incomplete."""
    path = tmp_path / "traces.jaeger.json"
    path.write_text("".join(jaeger.lines(everything(shop()))))
    said = subprocess.run([READER, str(path)], capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path).stdout
    assert "Read 4 traces in total" in said
    assert "Observed 0 incomplete traces" in said
