"""Outlier detection: who is ejected, for how long, and how many at a time."""

import pytest

from sim.resilience.outcomes import Outcome
from sim.resilience.outlier_detection import OutlierDetectionSpec, OutlierDetector

S, F = Outcome.SUCCESS, Outcome.FAILURE


def fail(detector, host, now, times=5):
    for _ in range(times):
        detector.record(host, F, now)


def test_only_failures_in_a_row_eject_at_once():
    """Four and a success are none; ignored and cancelled calls neither count nor break the row."""
    detector = OutlierDetector()
    for outcome in (F, F, F, F, S, F, F, Outcome.CANCELLED, F, Outcome.IGNORED, F):
        detector.record("a", outcome, 0)
    assert not detector.is_ejected("a", 0)
    detector.record("a", F, 0)
    assert detector.is_ejected("a", 0)


def test_an_ejected_host_is_back_exactly_when_its_time_is_over():
    """Thirty seconds from the fifth failure; the next tick reports it."""
    detector = OutlierDetector()
    fail(detector, "a", now=1)
    assert detector.is_ejected("a", 30.9)
    assert not detector.is_ejected("a", 31)
    assert detector.tick(10) == (["a"], [])
    assert detector.tick(20) == ([], [])
    assert detector.tick(31) == ([], ["a"])


def test_late_answers_of_an_ejected_host_do_not_count():
    """Failures of calls that were under way when it was ejected do not eject it again as soon as it is back."""
    detector = OutlierDetector(base_ejection_time=10)
    fail(detector, "a", now=0)
    fail(detector, "a", now=1, times=4)
    fail(detector, "a", now=10, times=4)
    assert not detector.is_ejected("a", 10)
    fail(detector, "a", now=10, times=1)
    assert detector.is_ejected("a", 10 + 19.9)
    assert detector.tick(11) == (["a", "a"], ["a"])


def test_at_most_a_share_of_the_hosts_is_out_but_always_one_may_be():
    """Of twenty hosts two; of three, one; and an event tells of the one that was not ejected."""
    for count, expected in ((20, 2), (3, 1)):
        heard = []
        detector = OutlierDetector(hosts=range(count), on_event=heard.append)
        for host in range(count):
            fail(detector, host, now=0)
        assert sum(detector.is_ejected(host, 0) for host in range(count)) == expected
        assert [event.enforced for event in heard] == [True] * expected + [False] * (count - expected)


def test_a_host_far_below_the_mean_is_ejected_at_the_tick():
    """Nine hosts at 99 % and one at 50 % over 100 calls: mean 94.1 %, deviation 14.7 %, threshold 66 %."""
    detector = OutlierDetector(max_ejection_share=0.5)
    for host in range(10):
        for number in range(100):
            detector.record(host, F if number % 2 and (host == 0 or number == 1) else S, 5)
    assert detector.tick(10) == ([0], [])
    for number in range(50):
        detector.record(1, F if number % 2 else S, 15)
    assert detector.tick(20) == ([], []), "fifty calls are no volume, and each interval is judged by itself"


def test_too_many_failures_eject_whatever_the_others_do():
    """All hosts at 90 % failures: nobody is below the mean, but all are above 85 %; half of them may go."""
    detector = OutlierDetector(consecutive_5xx=100, max_ejection_share=0.5)
    for host in range(6):
        for number in range(60):
            detector.record(host, F if number % 10 else S, 5)
    ejected, _ = detector.tick(10)
    assert len(ejected) == 3


def test_a_listener_that_fails_keeps_nobody_in(caplog):
    """The host is ejected and comes back all the same; the listener's errors are logged."""

    def broken(event):
        raise RuntimeError("listener")

    detector = OutlierDetector(on_event=broken)
    fail(detector, "a", now=0)
    assert detector.is_ejected("a", 0)
    assert detector.tick(30) == (["a"], ["a"])
    assert "listener" in caplog.text


def test_hosts_that_are_gone_are_forgotten():
    """A host that left and came back starts afresh."""
    detector = OutlierDetector()
    fail(detector, "a", now=0)
    detector.set_hosts(["b"])
    detector.set_hosts(["a", "b"])
    assert not detector.is_ejected("a", 1)


@pytest.mark.parametrize(("base", "longest"), [(30, 300), (400, 400)])
def test_the_longest_ejection(base, longest):
    """300 s, or the base time if that is longer."""
    assert OutlierDetector(base_ejection_time=base).max_ejection_time == longest


def test_from_a_scenario():
    """With the words of a scenario."""
    detector = OutlierDetectionSpec.model_validate({"consecutive_5xx": 2, "base_ejection_time": "5s", "max_ejection": "50%"}).build()
    fail(detector, "a", now=0, times=2)
    assert detector.is_ejected("a", 4.9)
    assert not detector.is_ejected("a", 5)
    assert detector.max_ejection_share == 0.5
