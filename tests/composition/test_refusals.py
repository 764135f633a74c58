"""Everything that refuses: with which status, for which reason, and where in the trace it shows, as `mesocosm traces` prints it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports import folder, search
from sim import load, run
from sim.model import spans
from sim.telemetry.codes import status_text
from sim.telemetry.recorder import Recorder


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """The run, and its traces as they are found in its folder."""
    result = run(load(Path(__file__).parent / "refusals.yaml"))
    return result, search.Traces(folder.write(result, tmp_path_factory.mktemp("refused") / "run"))


# the user's request; the status at the service whose call or work was refused; who refused what, with which status or reason, and why
TABLE = [
    ("POST /size", "door-0", "413", "door-0", "413", "too large"),
    ("GET /token", "door-0", "401", "door-0", "401", "no token"),
    ("GET /rate", "door-0", "429", "door-0", "429", "rate limit"),
    ("GET /time", "door-0", "504", "door-0", "504", "timeout of the route"),
    ("GET /nobody", "door-0", "503", "door-0 → nobody", "unavailable", ""),
    ("GET /pool", "pooled-0", "503", "pooled-0 → db", "pool_timeout", ""),
    ("GET /connections", "connected-0", "503", "connected-0 → slow", "pool_timeout", ""),
    ("GET /lock", "locking-0", "503", "locking-0 → db", "lock_timeout", ""),
    ("GET /lock", "locking-0", "503", "db-0", "503", "lock wait timeout exceeded"),
    ("GET /deadlock", "locking-0", "503", "locking-0 → rows", "deadlock", ""),
    ("GET /deadlock", "locking-0", "503", "rows-0", "503", "deadlock"),
    ("GET /readonly", "writing-0", "503", "writing-0 → copied", "read_only", ""),
    ("GET /readonly", "writing-0", "503", "copied-1", "503", "read-only"),
    ("GET /in", "sending-0", "429", "receiving-0", "429", "message larger than max"),
    ("GET /out", "sending-0", "429", "sending-0 → receiving", "429", "message larger than max"),
    ("GET /allowed", "guest-0", "403", "closed-0", "403", "guest is not allowed"),
    ("GET /strict", "guest-0", "502", "guest-0 → strict", "certificate", ""),
    ("GET /certificate", "member-0", "502", "member-0 → expired", "certificate", ""),
    ("GET /queue", "door-0", "503", "full-0", "503", "queue full"),
    ("GET /circuit", "careful-0", "503", "careful-0 → bad", "circuit_open", ""),
    ("GET /slots", "careful-0", "503", "careful-0 → slow", "bulkhead_full", ""),
    ("GET /limit", "careful-0", "429", "careful-0 → plain", "rate_limited", ""),
    ("GET /deadline", "hasty-0", "504", "hasty-0 → slow", "deadline", ""),
    ("GET /late", "hasty-0", "504", "busy-0", "504", "deadline exceeded"),
    ("GET /message", "publisher-0", "413", "events-0", "413", "message larger than 1048576 bytes"),
    ("GET /stream", "publisher-0", "503", "tiny-0", "503", "stream full"),
    ("GET /refused", "refused-0", "502", "refused-0 → away", "connect", ""),
]


@pytest.mark.parametrize(("request_name", "answering", "status", "who", "how", "why"), TABLE)
def test_a_refusal_has_its_status_and_its_reason_where_it_happened(refused, request_name, answering, status, who, how, why):
    """In the trace of a refused request both are told: what the service answered, and who refused."""
    result, traces = refused
    operation = result.names.operations.index(request_name)
    mine = [int(row["id"]) for row in result.requests.rows if row["operation"] == operation]
    wanted = re.compile(rf"{re.escape(who)}  [^✗]*{re.escape(f': {why}') if why else ''}  +✗ {how} ")
    answer = re.compile(rf"{re.escape(answering)}  [^✗]*✗ {status} ")
    assert any(wanted.search(text) and answer.search(text) for text in map(traces.text, map(traces.find, map(str, mine[:60])))), (
        traces.text(mine[-1]))


def test_users_see_the_gateways_answer(refused):
    """An own refusal and one of a part behind that was refused itself keep their status; a service that answered 5xx is a bad gateway."""
    result, _ = refused
    seen: dict[str, set[str]] = {}
    for row in result.requests.finished.rows:
        seen.setdefault(result.names.operations[row["operation"]], set()).add(status_text(int(row["status"])))
    assert {name: statuses - {"200"} for name, statuses in seen.items()} == {
        "POST /size": {"413"}, "GET /token": {"401"}, "GET /rate": {"429"}, "GET /time": {"504"}, "GET /nobody": {"503"}, "GET /pool": {"503"},
        "GET /connections": {"503"}, "GET /lock": {"502"}, "GET /deadlock": {"502"}, "GET /readonly": {"502"}, "GET /in": {"429"},
        "GET /out": {"429"}, "GET /allowed": {"403"}, "GET /strict": {"502"}, "GET /certificate": {"502"}, "GET /queue": {"503"},
        "GET /circuit": {"502", "503"}, "GET /slots": {"503"}, "GET /limit": {"429"}, "GET /deadline": {"502"}, "GET /late": {"504"},
        "GET /message": {"413"}, "GET /stream": {"503"}, "GET /refused": {"502"}}


def test_so_many_reasons_are_kept_and_no_more(monkeypatch):
    """An overload of hours must not fill the memory with the words `queue full`."""
    monkeypatch.setattr(spans, "MOST_EXPLAINED", 3)
    recorder = Recorder(lambda: 0.0)
    for span in range(1, 10):
        spans.explain(recorder, span, "queue full")
    assert recorder.attributes == {span: {"error.message": "queue full"} for span in (1, 2, 3)}
