"""Single stations against their closed forms. Tolerances: Student's 99.9 % interval of the replications plus 1-4 %, seeds fixed."""

import math

import pytest

from .formulas import erlang_a, erlang_b, erlang_c, gamma_gaps, gi_m_1, mm_c_k, on_off_gaps
from .runs import latency, of, replicate, simulate, station


@pytest.mark.parametrize("load", [0.5, 0.7, 0.8])
def test_v7_latency_sneaks_up(load):
    """M/M/1: the mean time in the system is 1/(1-rho)."""
    mean, half = replicate(station(load, "{exponential: 1s}", duration=25_000, warmup=500), latency)
    assert mean == pytest.approx(1 / (1 - load), abs=half + 0.03 / (1 - load))


@pytest.mark.validate
@pytest.mark.parametrize(("load", "expected"), [(0.9, 10.0), (0.95, 20.0)])
def test_v7_near_saturation(load, expected):
    """The same near saturation, where it takes millions of requests."""
    mean, half = replicate(station(load, "{exponential: 1s}", duration=200_000, warmup=10_000), latency)
    assert mean == pytest.approx(expected, abs=half + 0.03 * expected) and half < 0.5 * expected


@pytest.mark.validate
@pytest.mark.parametrize(("servers", "load"), [(2, 1.6), (5, 4.0), (10, 8.0), (20, 16.0)])
def test_v9_erlang_c(servers, load):
    """M/M/c: how many wait, and how long."""
    text = station(load, "{exponential: 1s}", workers=servers, duration=50_000 / load, warmup=200)
    results = [simulate(text, seed) for seed in (1, 2, 3)]
    waited = [float((result.spans.of(2).queued > 0).mean()) for result in results]
    waits = [latency(result) - 1 for result in results]
    expected = erlang_c(servers, load)
    assert sum(waited) / 3 == pytest.approx(expected, abs=0.02)
    assert sum(waits) / 3 == pytest.approx(expected / (servers - load), rel=0.08)


@pytest.mark.parametrize("service", ["1s", "{exponential: 1s}", "{gamma: {mean: 1s, cv: 2}}"])
@pytest.mark.parametrize(("servers", "load"), [(2, 1.0), (5, 3.0), (10, 8.0), (10, 10.0)])
def test_v11_erlang_b_is_insensitive_to_the_service_law(servers, load, service):
    """M/G/c/c turns away the same share for constant, exponential and bursty service."""
    text = station(load, service, workers=servers, queue=0, duration=60_000 / load, warmup=100)
    result = simulate(text)
    counts = of(result, "workloads", "users")
    assert counts["rejected"] / counts["started"] == pytest.approx(erlang_b(servers, load), abs=0.008)
    assert set(counts["by_status"]) == {"200", "503"}


@pytest.mark.parametrize(("queue", "load"), [(10, 8.0), (10, 12.0), (0, 12.0)])
def test_v13_a_bulkhead_with_a_queue(queue, load):
    """M/M/10/K: a queue of ten buys success for latency."""
    result = simulate(station(load, "{exponential: 1s}", workers=10, queue=queue, duration=8_000, warmup=100))
    blocked, in_system = mm_c_k(10, 10 + queue, load)
    counts = of(result, "workloads", "users")
    assert counts["rejected"] / counts["started"] == pytest.approx(blocked, abs=0.01)
    assert latency(result) == pytest.approx(in_system, rel=0.02)


@pytest.mark.validate
@pytest.mark.parametrize("service", ["1s", "{exponential: 1s}", "{lognormal: {mean: 1s, cv: 1.5}}"])
def test_v15_unbounded_concurrency_is_poisson(service):
    """M/G/inf: the number in service has mean and variance of the load, for any service law."""
    result = simulate(station(20, service, workers=10**6, duration=6_000, warmup=0))
    series = result.series("server", "busy")
    assert float(series.mean[10:].mean()) == pytest.approx(20, rel=0.02)
    spans = result.spans.of(2)
    moments = _moments_of_level(spans.start, spans.end, 100, 5_900)
    assert moments[0] == pytest.approx(20, rel=0.02) and moments[1] == pytest.approx(20, rel=0.06)


def _moments_of_level(starts, ends, since, until):
    """Time-weighted mean and variance of how many intervals are open."""
    import numpy as np

    times = np.concatenate([starts, ends])
    steps = np.concatenate([np.ones(len(starts)), -np.ones(len(ends))])
    order = np.argsort(times, kind="stable")
    times, level = times[order], np.cumsum(steps[order])
    inside = (times[:-1] >= since) & (times[1:] <= until)
    weights, values = np.diff(times)[inside], level[:-1][inside]
    mean = float((weights * values).sum() / weights.sum())
    return mean, float((weights * (values - mean) ** 2).sum() / weights.sum())


@pytest.mark.validate
@pytest.mark.parametrize(("size", "kind", "expected"), [(1, "fixed", 5.0), (2, "fixed", 7.5), (5, "fixed", 15.0), (5, "geometric", 25.0)])
def test_v17_batches_wait_for_each_other(size, kind, expected):
    """M^[X]/M/1 at rho 0.8: the mean time in the system follows the batch's second moment."""
    batches = f"arrivals: batch, batch_size: {size}, batch_sizes: {kind}"
    text = station(0.8, "{exponential: 1s}", duration=60_000, warmup=1_000, arrivals=batches)
    mean, half = replicate(text, latency)
    assert mean == pytest.approx(expected, abs=half + 0.05 * expected)


@pytest.mark.parametrize(("pattern", "gaps"), [
    ("uniform", lambda s: math.exp(-s / 0.6)), ("{gamma: {cv: 0.70710678}}", gamma_gaps(0.6, math.sqrt(0.5))),
    ("{gamma: {cv: 1}}", gamma_gaps(0.6, 1)), ("{gamma: {cv: 2}}", gamma_gaps(0.6, 2)),
    ("{bursts: {on: 3s, off: 3s}}", on_off_gaps(0.6, 3, 3)), ("{bursts: {on: 2s, off: 8s}}", on_off_gaps(0.6, 2, 8)),
])
def test_arrivals_of_any_pattern_wait_as_the_root_of_their_transform_says(pattern, gaps):
    """GI/M/1 at rho 0.6, from a metronome over Erlang's two stages (cv² = 1/2) to bursts: the mean time in the system is 1/(1-sigma)."""
    mean, half = replicate(station(0.6, "{exponential: 1s}", duration=6_000, warmup=200, arrivals=f"arrivals: {pattern}"), latency,
                           seeds=10)
    assert mean == pytest.approx(gi_m_1(gaps), abs=half + 0.02 * mean) and half < 0.25 * mean


@pytest.mark.validate
@pytest.mark.parametrize(("pattern", "gaps"), [("{gamma: {cv: 0.5}}", gamma_gaps(0.85, 0.5)), ("{gamma: {cv: 3}}", gamma_gaps(0.85, 3))])
def test_the_same_near_saturation(pattern, gaps):
    """GI/M/1 at rho 0.85."""
    mean, half = replicate(station(0.85, "{exponential: 1s}", duration=80_000, warmup=5_000, arrivals=f"arrivals: {pattern}"), latency)
    assert mean == pytest.approx(gi_m_1(gaps), abs=half + 0.03 * mean) and half < 0.25 * mean


@pytest.mark.validate
@pytest.mark.parametrize(("arriving", "serving"), [(0.5, 0.5), (0.5, 2.0), (1.5, 0.5), (1.5, 1.5)])
def test_waiting_follows_the_squares_of_both_coefficients_of_variation(arriving, serving):
    """GI/G/1 at rho 0.9 is near Kingman's bound, rho/(1-rho) (ca² + cs²)/2: variability of either side costs as much."""
    text = station(0.9, f"{{gamma: {{mean: 1s, cv: {serving}}}}}", duration=60_000, warmup=5_000,
                   arrivals=f"arrivals: {{gamma: {{cv: {arriving}}}}}")
    mean, half = replicate(text, latency)
    assert mean - 1 == pytest.approx(9 * (arriving**2 + serving**2) / 2, abs=half + 0.12 * mean)


@pytest.mark.validate
def test_processor_sharing_has_the_same_mean_as_fifo_and_no_memory_of_the_service_law():
    """M/G/1-PS: mean time in the system is 1/(1-rho) for any service law (Kleinrock, Queueing Systems II, 4.4)."""
    for service in ("1s", "{exponential: 1s}", "{gamma: {mean: 1s, cv: 2}}"):
        text = station(0.7, service, workers=10**6, duration=15_000, warmup=500, more="cpu: {cores: 1}")
        mean, half = replicate(text, latency, seeds=5)
        assert mean == pytest.approx(1 / 0.3, abs=half + 0.15)


def test_waiting_is_exponential_in_its_tail():
    """M/M/1: the time in the system is exponential with rate 1-rho, so its p99 is ln(100)/(1-rho)."""
    mean, half = replicate(station(0.7, "{exponential: 1s}", duration=30_000, warmup=500), lambda result: latency(result, "p99"))
    assert mean == pytest.approx(math.log(100) / 0.3, abs=half + 0.6)


@pytest.mark.parametrize(("servers", "load", "impatience"), [(1, 0.8, 0.5), (1, 1.2, 0.5), (10, 10.0, 1.0), (10, 12.0, 0.5)])
def test_v19_who_waits_too_long_leaves_the_line(servers, load, impatience):
    """Erlang-A, M/M/c+M: with patience in the line even an overloaded station settles."""
    patience = f"queue: {{limit: 100000, max_wait: {{exponential: {1 / impatience}s}}}}"
    text = station(load, "{exponential: 1s}", workers=servers, duration=60_000 / load, warmup=200)
    result = simulate(text.replace("queue: {limit: 1000000}", patience))
    waiting, leaving = erlang_a(servers, load, impatience)
    counts, spans = of(result, "workloads", "users"), result.spans.of(2)
    assert counts["rejected"] / counts["started"] == pytest.approx(leaving, abs=0.008)
    assert float((spans.queued > 0).mean()) == pytest.approx(waiting, abs=0.015)
    assert of(result, "services", "server", "utilisation") == pytest.approx(load * (1 - leaving) / servers, abs=0.015)


@pytest.mark.validate
@pytest.mark.parametrize("load", [0.8, 0.9])
def test_v21_work_for_users_who_have_left_is_lost(load):
    """Users wait for 5 service times, and their requests are served all the same: good is what ends before, 1 - exp(-5 (1 - rho))."""
    text = station(load, "{exponential: 1s}", duration=60_000, warmup=500)
    result = simulate(text.replace("to: server", "to: server, timeout: 5s"))
    assert of(result, "workloads", "users", "success_ratio") == pytest.approx(1 - math.exp(-5 * (1 - load)), abs=0.03)
    assert of(result, "services", "server", "utilisation") == pytest.approx(load, abs=0.015)


def test_v21_beyond_capacity_nothing_is_answered_in_time():
    """A line that grows for ever is all work for users who have left; where their leaving is told, it does not even grow."""
    text = station(1.2, "{exponential: 1s}", duration=4_000, warmup=1_000).replace("to: server", "to: server, timeout: 5s")
    told = text.replace("workers: 1", "workers: 1\n    on_caller_gone: cancel")
    assert of(simulate(text), "workloads", "users", "success_ratio") < 0.01
    assert of(simulate(told), "workloads", "users", "success_ratio") > 0.6
