"""Rows, their memory and their end."""

import numpy as np

from sim.telemetry.columns import REQUEST, SPAN, Rows, pack_request, pack_span
from sim.telemetry.integrals import Level
from sim.telemetry.recorder import MOST_NAMES, Recorder


def test_a_span_takes_less_than_100_bytes():
    """The columns of a span, and of a request."""
    assert Rows(SPAN).size == 46 and Rows(REQUEST).size == 35


def test_rows_come_back_as_columns():
    """What was packed is what numpy sees."""
    rows = Rows(REQUEST)
    for number in range(3):
        rows.write(pack_request(number, 1, 2, 0.5 * number, 1.0, 2.0, -1, 4))
    assert rows.array()["intended"].tolist() == [0.0, 0.5, 1.0] and rows.array()["status"].tolist() == [-1, -1, -1]


def test_rows_on_disk_are_the_same_rows():
    """Spilled in chunks in between, the table, its parts and its length are those of one that was never spilled."""
    kept, spilled = Rows(SPAN), Rows(SPAN)
    for number in range(1000):
        row = pack_span(number, 0, 1, number, number + 1, 0.25, 1, 2, 3, 4, 200, 1, 2, 0)
        kept.write(row)
        spilled.write(row)
        if number % 300 == 299:
            spilled.spill(above=0)
    assert len(spilled) == len(kept) == 1000
    assert spilled.array().tobytes() == kept.array().tobytes()
    assert np.concatenate(list(spilled.chunks(64))).tobytes() == kept.array().tobytes()


def test_after_the_seal_nothing_is_written():
    """What closes after the end was not part of the run."""
    recorder = Recorder(lambda: 1.0)
    recorder.write_request(pack_request(1, 0, 0, 0.0, 0.0, 1.0, 200, 0))
    recorder.seal()
    before = recorder.digest()
    recorder.write_request(pack_request(2, 0, 0, 0.0, 0.0, 1.0, 200, 0))
    recorder.event("late")
    assert len(recorder.requests) == 1 and recorder.digest() == before


def test_a_level_is_integrated_to_the_event():
    """Three for two seconds and one for half a second are 6.5."""
    level = Level()
    level.change(3, now=1.0)
    level.change(-2, now=3.0)
    assert level.integral(3.5) == 6.5 and level.peak() == 3 and level.peak() == 1 and level.ever == 3


def test_names_keep_the_order_of_their_first_use():
    """An index never changes, and a node's kind is that of its first mention."""
    recorder = Recorder(lambda: 0.0)
    assert [recorder.node("a", "gateway"), recorder.node("b"), recorder.node("a", "service")] == [0, 1, 0]
    assert recorder.names().node_kinds == ("gateway", "service")


def test_names_without_end_share_one():
    """An index has 16 bits: who sends each request to a path of its own finds the last of them under `(others)`, and nobody else's name."""
    recorder = Recorder(lambda: 1.0)
    indices = [recorder.operation(f"GET /{number}") for number in range(MOST_NAMES + 10)]
    names = recorder.names().operations
    assert len(names) == MOST_NAMES and names[indices[-12]] == f"GET /{MOST_NAMES - 2}"
    assert {names[index] for index in indices[-11:]} == {"(others)"} and recorder.operation("GET /0") == 0


def test_where_there_is_very_much_to_read_samples_are_taken_less_often():
    """Gauges of many parts are read at every so-many-th step, and always at the last."""
    now = 0.0
    recorder = Recorder(lambda: now)
    recorder.gauge("node", "", "busy", lambda at: (2.0 * at, 2.0), parts=5_000)
    recorder.thin(600)
    for step in range(1, 601):
        now = step / 10
        recorder.sample()
    rows = recorder.samples.array()
    assert len(rows) == 120 and rows["at"][-1] == 60.0 and rows["mean"].tolist() == [2.0] * 120
