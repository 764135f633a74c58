"""`mesocosm logs` and `mesocosm traces`."""

import re

import pytest

from reports import folder, search
from reports.export.ids import Ids
from reports.export.sampling import EVERYTHING
from sim.errors import InvalidInput, TargetNotFound
from sim.telemetry.codes import SpanKind
from tests.reports.export_runs import shop
from tests.reports.hand_made import client, run_of, span


@pytest.fixture(scope="module", params=["jsonl", "ecs"])
def place(request, tmp_path_factory):
    return folder.write(shop(), tmp_path_factory.mktemp("search") / "run", sampling=EVERYTHING, log_format=request.param)


def messages(place, **which):
    return [(entry["service"], entry["message"]) for entry in search.logs(place, **which)]


def test_one_request_through_all_services(place):
    """By its number or by its id, in the order of time."""
    expected = [
        ("orders", "request started"), ("payments", "request started"), ("payments", "request failed"), ("orders", 'no "luck"\n'),
        ("orders", "request failed"),
    ]
    assert messages(place, trace="3") == expected
    assert messages(place, trace=Ids(7).trace(3)) == expected


def test_by_service_instance_level_and_text(place):
    """A level means that and worse."""
    assert {service for service, _ in messages(place, service="payments")} == {"payments"}
    assert {entry["instance"] for entry in search.logs(place, service="orders-1")} == {"orders-1"}
    assert messages(place, service="orders", level="error") == [("orders", 'no "luck"\n'), ("orders", "request failed")]
    assert messages(place, text="o-3") == [("orders", 'no "luck"\n')]


def test_a_level_that_does_not_exist(place):
    """Is answered with the one that was meant."""
    with pytest.raises(TargetNotFound, match="no log level 'eror': did you mean 'error'"):
        messages(place, level="eror")


def test_a_line_for_people(place):
    """Time within the run, who, what; fields of the service's own; the number to ask for the trace with."""
    failed, own = (next(e for e in search.logs(place, trace="3", service="orders") if e["message"] == what)
                   for what in ("request failed", 'no "luck"\n'))
    assert re.split("  +", search.log_text(failed)) == [
        "00:00:05.045", "error", "orders-0", "request failed", "POST /orders 503", "40.0 ms", "trace=3"]
    assert "order_id=o-3" in search.log_text(own)


def test_the_slowest_traces(place):
    """The longest first; of those that failed, only those."""
    traces = search.Traces(place)
    assert traces.slowest(2) == [2, 1]
    assert traces.slowest(5, failed=True) == [3]


def test_a_trace_as_a_tree(place):
    """Each attempt under its call, each request under its attempt, with its status and duration."""
    traces = search.Traces(place)
    lines = [line.rstrip(" ━") for line in traces.text(2).splitlines()]
    assert lines[0].startswith("request 2  trace ")
    assert lines[0].endswith("at 2.500 s, 600.0 ms; work went on for 500.0 ms")
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "shoppers → orders POST /orders 202 degraded 600.0 ms",
        "└─ orders-1 POST /orders 202 degraded 590.0 ms",
        "└─ orders-1 → payments POST /orders (2 attempts) 200 550.0 ms",
        "├─ orders-1 → payments POST /orders #1 ✗ timeout 400.0 ms",
        "│ └─ payments-0 POST /orders 200 1.080 s",
        "└─ orders-1 → payments POST /orders #2 200 110.0 ms",
        "└─ payments-0 POST /orders 200 90.0 ms",
    ]


def test_bars_show_where_a_span_lies(place):
    """The first attempt begins at the left, the second in the middle, and none is longer than the whole."""
    lines = search.Traces(place).text(2).splitlines()[1:]
    bars = [line.rpartition("s  ")[2] for line in lines]
    assert bars[0].startswith("━")
    assert bars[5].startswith(" " * 9 + "━")
    assert max(map(len, bars)) <= search.BAR


def test_a_trace_that_does_not_exist(place):
    """Says which there are."""
    with pytest.raises(TargetNotFound, match="no trace '99': the run has requests 1 to 3"):
        search.Traces(place).find("99")
    with pytest.raises(InvalidInput, match="'many' is no trace"):
        search.Traces(place).find("many")


def test_a_parent_that_never_ended(tmp_path):
    """Its children are shown as roots of their own."""
    run = run_of([], [client(8, 5, "orders", "payments", 1.0, 1.1), client(9, 5, "orders", "payments", 1.2, 1.3)])
    text = search.Traces(folder.write(run, tmp_path / "run")).text(1)
    assert len([line for line in text.splitlines() if line.startswith("orders → payments")]) == 2


def test_a_chain_deeper_than_pythons_stack(tmp_path):
    """Two thousand calls under one another: the first are drawn, the rest counted."""
    spans = [span(number, number - 1, SpanKind.CLIENT, "orders", "payments", 1.0, 2.0) for number in range(1, 2001)]
    text = search.Traces(folder.write(run_of([], spans), tmp_path / "run")).text(1)
    assert text.endswith("... and 1800 spans more")


def test_a_folder_that_is_no_run(tmp_path):
    """Is refused before anything is read."""
    with pytest.raises(folder.FolderError, match="holds no complete run"):
        list(search.logs(tmp_path))
