"""Operational laws: identities that hold in every run, whatever the distributions."""

import numpy as np
import pytest

from sim.telemetry.codes import Outcome, SpanKind

from .runs import simulate, station

BUSY = """
name: busy
duration: 200s
network: {default: {latency: {lognormal: {median: 1ms, p99: 20ms}}, loss: 1%}}
services:
  front:
    instances: 2
    workers: 4
    queue: {limit: 8, order: lifo}
    uses: {back: {policies: [{retry: {max_attempts: 3, backoff: {initial: 10ms, max: 100ms}, on: [timeout, 5xx]}}, {timeout: 150ms}]}}
    endpoints: {GET /: [{work: {exponential: 20ms}}, {call: back GET /}]}
  back:
    workers: 3
    queue: {limit: 5}
    endpoints: {GET /: [{work: {gamma: {mean: 40ms, cv: 2}}}, {fail: {share: 5%}}]}
workloads:
  users: {executor: constant-arrival-rate, rate: 60/s, to: front, timeout: 1s, mix: [{send: GET /}]}
"""


@pytest.fixture(scope="module")
def busy():
    return simulate(BUSY)


def ending(text, rate, after):
    """The same station, whose users stop coming *after* seconds."""
    stages = f"stages: [{{duration: {after}s, target: {rate}/s}}, {{duration: 1ms, target: 0/s}}]"
    old, new = f"constant-arrival-rate, rate: {rate}/s, arrivals: poisson", f"ramping-arrival-rate, start_rate: {rate}/s, {stages}"
    return text.replace(old, new)


def test_v1_littles_law_is_exact_where_the_system_starts_and_ends_empty():
    """The integral of the number in the system is the sum of the times in it, to rounding."""
    text = ending(station(0.8, "{exponential: 1s}", duration=20_000, warmup=0), rate=0.8, after=15_000)
    result = simulate(text)
    assert result.summary["requests"]["unfinished"] == 0 and result.summary["requests"]["ok"] > 10_000
    server = result.spans.of(SpanKind.SERVER)
    in_system = result.summary["services"]["server"]["in_system_mean"] * result.duration
    assert in_system == pytest.approx(float(server.duration.sum()), rel=1e-9)
    waiting = result.summary["services"]["server"]["queue_mean"] * result.duration
    assert waiting == pytest.approx(float(server.queued.astype(float).sum()), rel=1e-6)  # waits are kept in single precision


def test_v1_littles_law_holds_for_the_workload_too():
    """Users under way, integrated, are the sum of their latencies."""
    result = simulate(ending(station(20, "{exponential: 30ms}", duration=300, warmup=0), rate=20, after=200))
    series = result.series("users", "in_flight")
    area = float((series.mean.astype(float) * np.diff(series.at, prepend=0.0)).sum())
    assert area == pytest.approx(float(result.requests.latency.sum()), rel=1e-5)  # samples are kept in single precision


def test_v2_busy_workers_are_rate_times_time_of_service(busy):
    """The utilisation law, and Little's for the line, of each service: what was measured over time against what was measured per request."""
    for name, workers in (("front", 8), ("back", 3)):
        server = busy.spans.of(SpanKind.SERVER)
        server = server[(server.node == busy.names.nodes.index(name)) & np.isfinite(server.end)]
        figures = busy.summary["services"][name]
        served = float((server.duration - server.queued).sum()) / busy.duration
        assert figures["busy_mean"] == pytest.approx(served, rel=1e-3)  # but for what is under way at the end
        assert figures["utilisation"] == pytest.approx(figures["busy_mean"] / workers, rel=1e-9)
        assert figures["queue_mean"] == pytest.approx(float(server.queued.astype(float).sum()) / busy.duration, rel=1e-3)


@pytest.mark.validate
def test_v4_the_response_time_law_of_users_who_think():
    """R = N/X - Z, and each service is visited as often as its requests say: nothing is assumed of how times are distributed."""
    result = simulate("""
name: thinkers
duration: 300s
network: {default: {latency: {exponential: 3ms}}}
services:
  a: {workers: 3, cpu: {cores: 2}, endpoints: {GET /: [{work: {gamma: {mean: 20ms, cv: 2}}}, {repeat: {times: 3, do: [{call: b GET /}]}}]}}
  b: {workers: 1, endpoints: {GET /: [{work: 5ms}]}}
workloads: {users: {executor: constant-vus, vus: 20, think: 200ms, to: a, mix: [{send: GET /}]}}
""")
    users, services = result.summary["workloads"]["users"], result.summary["services"]
    assert users["latency_s"]["mean"] == pytest.approx(20 / users["throughput_rps"] - 0.2, rel=5e-3)
    assert services["b"]["requests"] == pytest.approx(3 * services["a"]["requests"], abs=3 * 20)


def test_v3_nothing_is_lost_between_the_edges_of_a_busy_system(busy):
    """What was called ended or is under way, what was sent arrived or is on its way, attempts are first tries and retries."""
    totals = busy.summary["requests"]
    assert totals["started"] == sum(totals[outcome.name.lower()] for outcome in Outcome)
    assert totals["failed"] > 0 and totals["rejected"] > 0
    client, server = busy.spans.of(SpanKind.CLIENT), busy.spans.of(SpanKind.SERVER)
    names = busy.names.nodes
    calls = client[(client.node == names.index("front")) & (client.peer == names.index("back"))]
    attempts = int(calls.attempt.sum())
    edge = busy.summary["calls"]["front->back"]
    assert edge["calls"] == len(calls) and edge["attempts"] == attempts
    assert attempts == len(calls) + edge["retries"]
    arrived = len(server[server.node == names.index("back")])
    assert 0 <= attempts - arrived <= 20  # what is still on its way, or served, when the run ends


def test_v5_the_same_seed_gives_the_same_bytes_and_another_seed_others(busy):
    """The digest depends on the seed alone."""
    assert busy.digest == simulate(BUSY).digest != simulate(BUSY, seed=8).digest


def test_v5_a_service_that_nobody_calls_changes_no_other_figure(busy):
    """Streams are asked for by name, so a new part moves nobody else's dice."""
    bystander = BUSY.replace("workloads:", "  aside:\n    workers: 2\n    endpoints: {GET /: [{work: {exponential: 1s}}]}\nworkloads:")
    before, after = busy.summary, simulate(bystander).summary
    after["services"].pop("aside")
    for part in ("requests", "workloads", "services", "calls"):
        assert before[part] == after[part]
