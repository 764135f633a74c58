"""Open load: rates, arrivals, ramps, batches, traces, surges, and what is dropped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from sim.workload.arrivals import Stages
from sim.workload.executors import AnyWorkload
from tests.model.small_runs import answers, at, of_users, ran, users

API = {"api": {"workers": 10_000, "endpoints": {"GET /": []}}}


def sent(duration="10s", seed=1, faults=(), **more):
    """When requests were sent, in seconds."""
    result = ran(API, {"users": users("api", **more)}, duration, "0ms", seed, faults=list(faults))
    return np.sort(np.array(result.requests.start))


def surge(factor, start, length):
    return {"kind": "load.surge", "factor": factor, "schedule": {"at": start, "for": length}}


def test_uniform_arrivals_are_evenly_spaced():
    """8/s for ten seconds: one each 125 ms, the first after 125 ms."""
    assert sent(rate="8/s") == pytest.approx(np.arange(1, 81) / 8)


def test_poisson_arrivals_have_exponential_gaps():
    """Mean and standard deviation of the gaps are both 1/rate; their number is Poisson's."""
    times = sent("100s", rate="100/s", arrivals="poisson")
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(0.01, rel=0.03) and gaps.std() == pytest.approx(0.01, rel=0.03)
    counts = np.histogram(times, np.arange(0, 101))[0]
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.4)


def test_poisson_is_the_default_and_depends_on_the_seed():
    """Two seeds differ, one seed does not."""
    load = {"users": {"rate": "10/s", "to": "api", "mix": [{"send": "GET /"}]}}
    starts = [list(ran(API, load, "5s", seed=seed).requests.start) for seed in (1, 1, 2)]
    assert starts[0] == starts[1] != starts[2]


@pytest.mark.parametrize("size", [1, 10, 2.5])
def test_batches_keep_the_rate_of_requests(size):
    """So many at the same instant, and still 100 requests a second; a size of 2.5 is 2 and 3 in turn."""
    times = sent("200s", rate="100/s", arrivals="batch", batch_size=size)
    instants, counts = np.unique(times, return_counts=True)
    assert len(times) == pytest.approx(20_000, abs=4 * math.sqrt(20_000 * size))
    assert set(counts.tolist()) == {math.floor(size), math.ceil(size)} and len(instants) > 1


def test_geometric_batches():
    """Mean 4, from 1 on: a quarter of the batches are single requests."""
    _, counts = np.unique(sent("200s", rate="100/s", arrivals="batch", batch_size=4, batch_sizes="geometric"), return_counts=True)
    assert counts.mean() == pytest.approx(4, rel=0.06) and (counts == 1).mean() == pytest.approx(0.25, abs=0.03) and counts.min() == 1


def test_a_ramp_is_exact():
    """From 0 to 20/s in 10 s and flat for 5 s: the k-th request comes when the integral of the rate is k."""
    stages = [{"duration": "10s", "target": "20/s"}, {"duration": "5s", "target": "20/s"}]
    times = sent("15.01s", executor="ramping-arrival-rate", rate=None, stages=stages)
    up = np.sqrt(np.arange(1, 101))  # t^2 = k
    assert times == pytest.approx(np.concatenate([up, 10 + np.arange(1, 101) / 20]))


def test_a_ramp_goes_down_to_nothing_and_up_again():
    """20/s to 0 in 10 s, to 20/s in 10 s: the second half mirrors the first, and the end keeps its rate."""
    stages = [{"duration": "10s", "target": "0/s"}, {"duration": "10s", "target": "20/s"}]
    times = sent("25.01s", executor="ramping-arrival-rate", rate=None, start_rate="20/s", stages=stages)
    down, up, flat = times[times < 10], times[(times > 10.001) & (times <= 20)], times[times > 20]
    assert down == pytest.approx(10 - np.sqrt(100 - np.arange(1, len(down) + 1)))
    assert len(down) + len(up) == pytest.approx(200, abs=1) and flat == pytest.approx(20 + np.arange(1, 101) / 20, abs=0.01)


def test_a_ramp_that_hardly_rises_is_as_good_as_flat():
    """The quadratic's roots cancel there: 1000/s that grow by a millionth must not be off by more."""
    stages = Stages(1000.0, [(1000.0, 1000.0 + 1e-6)])
    assert stages.when(0.0, 1.0) == pytest.approx(0.001, rel=1e-9)
    assert stages.when(500.0, 1.0) - 500.0 == pytest.approx(0.001, rel=1e-9)


def test_after_the_last_stage_the_rate_stays():
    """Also at nothing: then no more requests come."""
    times = sent("20s", executor="ramping-arrival-rate", rate=None, start_rate="10/s", stages=[{"duration": "2s", "target": "0/s"}])
    assert len(times) == 10 and times[-1] <= 2.0


def test_a_surge_in_the_middle_of_a_gap_shortens_what_is_left_of_it():
    """One request a second; three times as many from 1.25 s to 2.25 s: what is left of a gap shrinks to a third, and grows back."""
    times = sent("4.5s", rate="1/s", faults=[surge(3, "1.25s", "1s")])
    assert times == pytest.approx([1, 1.5, 1.5 + 1 / 3, 1.5 + 2 / 3, 3, 4])


def test_surges_multiply():
    """Twice and three times as much: six times."""
    faults = [{**surge(2, "10s", "10s"), "name": "a"}, {**surge(3, "10s", "10s"), "name": "b"}]
    times = sent("30s", rate="10/s", faults=faults)
    assert [((times > low) & (times <= low + 10)).sum() for low in (0, 10, 20)] == pytest.approx([100, 600, 100], abs=1)


def test_a_surge_of_nothing_is_a_silence():
    """Nobody comes, and afterwards the rate is as before."""
    times = sent("10s", rate="10/s", faults=[surge(0, "3s", "4s")])
    assert not ((times > 3) & (times < 7)).any() and len(times) == pytest.approx(60, abs=1)


def test_a_surge_of_the_whole_run_counts_from_the_first_request():
    """A fault without a schedule is there before the load is: the rate is doubled, and not in any other way."""
    assert sent("10s", rate="5/s", faults=[{"kind": "load.surge", "factor": 2.0}]) == pytest.approx(np.arange(1, 101) / 10)


def test_load_that_starts_later():
    """The first gap counts from its start, whatever surges there were before."""
    assert sent("10s", rate="1/s", start_after="5s", faults=[surge(2, "1s", "3s")]) == pytest.approx([6, 7, 8, 9, 10])


def test_a_trace_is_played_as_it_is():
    """In order of time, two at the same instant, one at the very start and one at the end; later ones never come."""
    result = ran(API, {"users": at("2s", "0ms", "500ms", "500ms", "3s", "9s")}, "3s", "0ms")
    assert list(result.requests.start) == [0.0, 0.5, 0.5, 2.0, 3.0]


def test_a_trace_from_a_file(tmp_path):
    """The first column, in seconds; a heading is left out."""
    file = tmp_path / "trace.csv"
    file.write_text("at,what\n0.5,x\n0.25,y\n")
    result = ran(API, {"users": {"executor": "trace", "file": str(file), "to": "api", "mix": [{"send": "GET /"}]}})
    assert list(result.requests.start) == [0.25, 0.5]
    file.write_text("0.5\nsoon\n")
    with pytest.raises(ValidationError, match="no list of seconds"):
        TypeAdapter(AnyWorkload).validate_python({"executor": "trace", "file": str(file), "to": "api", "mix": [{"send": "GET /"}]})


def test_a_surge_repeats_the_requests_of_a_trace():
    """Ten times a tenth is one: every tenth request is sent; two and a half times sends two and three in turn."""
    trace = at(*[f"{second}s" for second in range(1, 21)])
    some = ran(API, {"users": trace}, "30s", faults=[{"kind": "load.surge", "factor": 0.1}])
    assert list(some.requests.start) == [10.0, 20.0]
    more = ran(API, {"users": trace}, "30s", faults=[{"kind": "load.surge", "factor": 2.5}])
    assert of_users(more)["started"] == 50


def test_beyond_max_in_flight_arrivals_are_dropped_and_counted():
    """Answers take most of a second, ten arrive in it and four may be under way: four are, six are dropped, each second."""
    slow = {"api": {"workers": 100, "endpoints": {"GET /": [{"work": "950ms"}]}}}
    figures = of_users(ran(slow, {"users": users("api", max_in_flight=4)}, "10.05s", "0ms"))
    assert (figures["started"], figures["dropped"]) == (40, 60)
    assert figures["offered_rps"] == pytest.approx(100 / 10.05), "what was dropped was offered, too"


def test_a_timeout_is_the_users_patience():
    """A request that takes 500 ms, for a user who waits 300 ms: an answer of 'timeout' after 300 ms."""
    slow = {"api": {"endpoints": {"GET /": [{"work": "500ms"}]}}}
    result = ran(slow, {"users": at("0s", timeout="300ms")})
    assert answers(result) == [("timeout", 300.0)]


@pytest.mark.parametrize("wrong", [
    {"rate": "0/s"}, {"rate": "10"}, {"arrivals": "bursty"}, {"batch_size": 0}, {"max_in_flight": 0}, {"mix": []}, {"timeout": "0ms"},
    {"executor": "ramping-arrival-rate"}, {"executor": "ramping-arrival-rate", "rate": None, "stages": []}, {"executor": "trace"},
    {"executor": "k7"},
    {"mix": [{"send": "GET /{zipf:0}"}]}, {"mix": [{"send": "POST /", "json": {"customer": ["{uniform:x}"]}}]},
])
def test_what_makes_no_sense_is_refused(wrong):
    """No rate, no stages, no requests, draws from nothing."""
    with pytest.raises(ValidationError):
        TypeAdapter(AnyWorkload).validate_python(users(**{"to": "api", **wrong}))
