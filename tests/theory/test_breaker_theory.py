"""Circuit breakers, bulkheads and adaptive throttling before a dependency that fails, hangs or is overloaded (V49, V51, V53)."""

import numpy as np
import pytest

from sim.telemetry.codes import Reason, SpanKind

from .formulas import erlang_b
from .runs import simulate


@pytest.mark.parametrize(("offered", "seen"), [(150, 150), (200, 200), (250, 200), (400, 200), (800, 200)])
def test_v49_a_throttled_backend_sees_k_times_what_it_accepts(offered, seen):
    """It takes 100/s: with K = 2 it is asked min(offered, 200) times a second, however much is offered."""
    result = simulate(f"""
name: throttle
duration: 60s
network: {{default: {{latency: 0ms}}}}
services:
  server: {{workers: 1000, admission: {{rate_limiter: {{rate: 100/s, burst: 100}}}}}}
workloads:
  users: {{rate: {offered}/s, to: server, policies: [{{client_throttle: {{k: 2, window: 20s}}}}], mix: [{{send: GET /}}]}}
""")
    server = result.spans.of(SpanKind.SERVER)
    assert (server.start > 30).sum() / 30 == pytest.approx(seen, rel=0.04)


CLIENTS, RATE, OPEN = 12, 10, 5.0
REST = 12  # seconds between two outages: long enough for each client to find out, and to fill its window anew
BREAKER = """circuit_breaker: {
  sliding_window: {calls: 20}, minimum_number_of_calls: 20, failure_rate_threshold: 50%, wait_duration_in_open_state: 5s}"""


def outages(lengths, policies=f"[{{{BREAKER}}}]"):
    """A dozen clients of 10/s before a service that fails for each of *lengths* in turn. Arrays of outages by clients: seconds from the
    begin until the circuit opened, from the end until it closed, and how many calls leaked through."""
    starts = np.cumsum([10.0, *(length + REST for length in lengths[:-1])])
    faults = ", ".join(f"{{kind: http.abort, target: {{service: server}}, schedule: {{at: {at:.3f}s, for: {length}s}}}}"
                       for at, length in zip(starts, lengths, strict=True))
    load = f"rate: {RATE}/s, to: server, policies: {policies}, mix: [{{send: GET /}}]"
    users = "\n".join(f"  user{number}: {{{load}}}" for number in range(CLIENTS))
    result = simulate(f"""
name: outages
duration: {starts[-1] + lengths[-1] + REST}s
network: {{default: {{latency: 0ms}}}}
services: {{server: {{workers: 1000}}}}
workloads:
{users}
faults: [{faults}]
""")
    moves = [event for event in result.events if event["kind"] == "circuit_breaker.state_transition"]
    spans = result.spans.of(SpanKind.CLIENT)
    found = np.zeros((3, len(lengths), CLIENTS))
    for client in range(CLIENTS):
        mine = [event for event in moves if event["caller"] == f"user{client}"]
        leaked = spans[(spans.node == result.names.nodes.index(f"user{client}")) & (spans.status == 503)].start
        for number, (at, length) in enumerate(zip(starts, lengths, strict=True)):
            found[:, number, client] = (when(mine, "closed", "open", at) - at, when(mine, "half_open", "closed", at) - at - length,
                                        ((leaked >= at) & (leaked < at + length + REST)).sum())
    return found


def when(moves, source, target, since):
    """When a circuit first went from one state to another."""
    return next((event["at"] for event in moves if (event["source"], event["target"]) == (source, target) and event["at"] >= since), np.nan)


def test_v51_how_soon_it_opens_what_leaks_and_when_it_is_back():
    """Ten failures of twenty open it after 1.0 s, then there is one probe each 5.1 s; over outages of 20 to 40 s it closes 2.6 s after
    the end on average, at most 5 s and the wait for a call."""
    lengths = np.arange(21, 40, 2)
    opened, closed, leaked = outages(list(map(int, lengths)))
    assert opened.mean() == pytest.approx(10 / RATE, rel=0.06)
    assert closed.mean() == pytest.approx(OPEN / 2 + 1 / RATE, rel=0.06)
    assert closed.min() >= 0 and closed.max() < OPEN + 1.0
    assert leaked.mean() == pytest.approx(np.mean(10 + np.floor((lengths - 1.0) / (OPEN + 1 / RATE))), rel=0.02)


@pytest.mark.parametrize(("length", "leak", "delay"), [(20, 13, 1.4), (22.5, 14, 4.0)])
def test_v51_the_delay_depends_on_the_phase(length, leak, delay):
    """An outage of 20 s ends 1.4 s before the fourth probe, one of 22.5 s 4.0 s before the fifth."""
    _, closed, leaked = outages([length] * 5)
    assert leaked.mean() == pytest.approx(leak, rel=0.02)
    assert closed.mean() == pytest.approx(delay, abs=0.15)


def test_v51_without_a_breaker_everything_leaks():
    """200 calls in 20 s."""
    assert outages([20] * 3, "[]")[2].mean() == pytest.approx(200, rel=0.03)


def hanging(policies, *, rate=50, other=0, line=10_000, until=30, at=10):
    """20 workers call `a` at *rate*, which hangs from *at* on, and `b` (1 s) at *other*."""
    users = "" if not other else f"\n  others: {{rate: {other}/s, to: front, mix: [{{send: GET /b}}]}}"
    return simulate(f"""
name: hanging
duration: {until}s
warmup: {at}s
network: {{default: {{latency: 0ms}}}}
services:
  front:
    workers: 20
    queue: {{limit: {line}}}
    uses: {{a: {{policies: {policies}}}, b: {{policies: [bulkhead: {{max_concurrent_calls: 10}}]}}}}
    endpoints: {{GET /a: [{{call: a GET /}}], GET /b: [{{call: b GET /}}]}}
  a: {{workers: 1000, endpoints: {{GET /: [{{work: 10ms}}]}}}}
  b: {{workers: 1000, endpoints: {{GET /: [{{work: {{exponential: 1s}}}}]}}}}
workloads:
  users: {{rate: {rate}/s, arrivals: uniform, to: front, mix: [{{send: GET /a}}]}}{users}
faults: [{{kind: instance.pause, target: {{service: a}}, schedule: {{at: {at}s}}}}]
""")


def first_to_wait(result):
    """When the first request came to `front` that had to wait for a worker; None if none did."""
    front = result.spans.of(SpanKind.SERVER)
    front = front[(front.node == result.names.nodes.index("front")) & (front.queued > 0)]
    return float(front.start.min()) if len(front) else None


def test_v53_a_dependency_that_hangs_takes_all_workers():
    """20 workers, 50/s, a timeout of 10 s: none is free after 0.4 s."""
    assert first_to_wait(hanging("[timeout: 10s]")) == pytest.approx(10 + 20 / 50, abs=1 / 50)


def test_v53_unless_the_timeout_is_short_enough():
    """At 0.3 s only 15 of the 20 workers wait at a time."""
    assert first_to_wait(hanging("[timeout: 300ms]")) is None


def test_v53_a_breaker_frees_them():
    """Five timeouts of 300 ms open it; from then on callers know at once, but for one probe each 5 s."""
    result = hanging("[circuit_breaker: {sliding_window: {consecutive: 5}, wait_duration_in_open_state: 5s}, timeout: 300ms]")
    users = result.requests[result.requests.intended > 11]
    assert np.quantile(users.latency, 0.99) < 0.001
    slow = users[users.latency > 0.001]
    assert set(slow.status) == {504} and len(slow) == 3
    calls = result.spans.of(SpanKind.CLIENT)
    assert (calls.status == Reason.CIRCUIT_OPEN).sum() > 900


def test_v53_bulkheads_keep_them_apart():
    """Ten workers each: those who call `b` (8 erlangs) are turned away as Erlang's formula says, while all calls of `a` hang."""
    result = hanging("[bulkhead: {max_concurrent_calls: 10}, timeout: 10s]", rate=10, other=8, line=0, until=1500)
    others = result.summary["workloads"]["others"]
    assert others["rejected"] / others["started"] == pytest.approx(erlang_b(10, 8), abs=0.012)
    assert result.summary["workloads"]["users"]["ok"] == 0
