"""How evenly open load comes: `arrivals:` by its one key."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.scenario.scenario import Scenario
from sim.streams import Streams
from sim.workload.patterns import Bursts, Gamma
from tests.model.small_runs import ran, users

API = {"api": {"workers": 10_000, "endpoints": {"GET /": []}}}


def sent(arrivals, duration="200s", seed=1, faults=(), **more):
    """When requests were sent, in seconds: 100 a second, if nothing else is said."""
    load = users("api", **{"rate": "100/s", "arrivals": arrivals, **more})
    return np.sort(np.array(ran(API, {"users": load}, duration, "0ms", seed, faults=list(faults)).requests.start))


def dispersion(times, window, duration):
    """Variance over mean of the number of arrivals in windows of so many seconds."""
    counts = np.histogram(times, np.arange(0, duration + window / 2, window))[0]
    return counts.var() / counts.mean()


def bursts(on, off, quiet="0%"):
    """The pattern, as it is read."""
    return Bursts.model_validate({"on": on, "off": off, "quiet": quiet})


@pytest.mark.parametrize("cv", [0.3, 1, 3])
def test_gamma_gaps_have_their_coefficient_of_variation(cv):
    """Mean 10 ms, and the standard deviation that was asked for."""
    gaps = np.diff(sent({"gamma": {"cv": cv}}))
    assert gaps.mean() == pytest.approx(0.01, rel=0.05) and gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


def test_gamma_gaps_follow_a_rate_that_changes():
    """On a ramp from 0 to 200/s the integral of the rate, t², grows between arrivals by gaps of mean 1 and that variation."""
    times = sent({"gamma": {"cv": 0.5}}, "100s", executor="ramping-arrival-rate", rate=None, stages=[{"duration": "100s", "target": "200/s"}])
    gaps = np.diff(times**2)
    assert gaps.mean() == pytest.approx(1, rel=0.02) and gaps.std() == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("quiet", [0.0, 0.5])
@pytest.mark.parametrize("window", [0.05, 0.5])
def test_bursts_disperse_the_numbers_of_arrivals(window, quiet):
    """By what two rates that change at random add to Poisson's 1, the more the longer one looks: 1 + A (1 - (1 - e^-st) / st)."""
    on, off = 0.05, 0.2
    times = sent({"bursts": {"on": "50ms", "off": "200ms", "quiet": f"{quiet:%}"}}, "400s")
    spread = bursts("50ms", "200ms", f"{quiet:%}").dispersion(100.0) - 1
    seen = window * (1 / on + 1 / off)
    assert len(times) == pytest.approx(40_000, rel=0.06)
    assert dispersion(times, window, 400) == pytest.approx(1 + spread * (1 + math.expm1(-seen) / seen), rel=0.12)


def test_bursts_last_for_seconds_whatever_the_rate():
    """A quarter of the time 400/s and else nothing; when the rate is doubled by a surge the same bursts are twice as dense."""
    pattern, surge = {"bursts": {"on": "1s", "off": "3s"}}, {"kind": "load.surge", "factor": 2.0}
    once, twice = sent(pattern, "100s"), sent(pattern, "100s", faults=[surge])
    busy = [np.histogram(times, np.arange(0, 100.05, 0.1))[0] > 0 for times in (once, twice)]
    assert (busy[0] == busy[1]).mean() > 0.98 and 0.1 < busy[0].mean() < 0.4
    assert len(twice) == pytest.approx(2 * len(once), rel=0.05)
    assert len(once) / (0.1 * busy[0].sum()) == pytest.approx(400, rel=0.1)


def test_bursts_begin_anywhere():
    """Half of the runs begin in a burst, as any moment may be in one."""
    phases = [next(bursts("2s", "2s").phases(Streams(seed)["bursts"])) for seed in range(400)]
    assert np.mean([level == 2.0 for level, _ in phases]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([lasts for _, lasts in phases]) == pytest.approx(2.0, rel=0.2)


def test_the_mean_rate_is_kept():
    """Bursts are so much higher than what is left in between."""
    some = bursts("1s", "3s", "20%")
    assert 0.25 * some.peak() + 0.75 * some.quiet == pytest.approx(1)
    assert bursts("1s", "3s", "100%").dispersion(100.0) == Gamma(cv=1).dispersion(100.0) == 1


@pytest.mark.parametrize(("written", "resolved"), [
    ("poisson", "poisson"), ({"uniform": {}}, "uniform"), ({"batch": None}, "batch"), ({"gamma": {"cv": 2}}, {"gamma": {"cv": 2.0}}),
    ({"bursts": {"on": "1s", "off": "9s"}}, {"bursts": {"on": "1s", "off": "9s", "quiet": "0%"}}),
])
def test_a_pattern_is_written_by_its_one_key(written, resolved):
    """And one that has nothing to say but its name is that name, also where a scenario is written out."""
    whole = Scenario.model_validate({"name": "x", "duration": "1s", "services": API, "workloads": {"users": users("api", arrivals=written)}})
    assert whole.model_dump(mode="json", by_alias=True)["workloads"]["users"]["arrivals"] == resolved
