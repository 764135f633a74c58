"""Outlier detection cases OD-* of the reference: Envoy."""

import pytest

from sim.resilience.outcomes import Outcome
from sim.resilience.outlier_detection import OutlierDetector

S, F = Outcome.SUCCESS, Outcome.FAILURE


def test_od_01_five_in_a_row():
    """One 500, one 200, four 500: not ejected; the fifth: ejected."""
    detector = OutlierDetector()
    for outcome in (F, S, F, F, F, F):
        detector.record("a", outcome, 0)
    assert not detector.is_ejected("a", 0)
    detector.record("a", F, 0)
    assert detector.is_ejected("a", 0)


def test_od_03_ejections_grow_and_shrink():
    """Base 10 s: 10, 20, 30 s; after two healthy intervals 20 s; after a long healthy time 10 s again."""
    detector, now, lengths = OutlierDetector(base_ejection_time=10), 0.0, []

    def eject():
        nonlocal now
        for _ in range(5):
            detector.record("a", F, now)
        start = now
        while detector.is_ejected("a", now):
            now += 10
            detector.tick(now)
        lengths.append(now - start)

    for healthy_intervals in (0, 0, 0, 2, 20):
        for _ in range(healthy_intervals):
            now += 10
            detector.tick(now)
        eject()
    assert lengths == [10, 20, 30, 20, 10]


@pytest.mark.parametrize(("failed", "total", "ejected"), [(250, 300, []), (300, 350, ["a"])])
def test_od_07_failure_percentage(failed, total, ejected):
    """Threshold 85 %: 83.3 % stays, 85.7 % goes. The other hosts are as bad, so that no success rate stands out."""
    detector = OutlierDetector(consecutive_5xx=10_000, max_ejection_share=0.0)
    for host in "abcde":
        for number in range(total):
            detector.record(host, F if number < failed else S, 0)
    assert detector.tick(10)[0] == ejected


def test_od_09_observing_only():
    """Not enforcing: an event with enforced=False, and the host stays."""
    heard = []
    detector = OutlierDetector(enforcing=False, on_event=heard.append)
    for _ in range(5):
        detector.record("a", F, 0)
    assert not detector.is_ejected("a", 0)
    assert [(event.host, event.enforced) for event in heard] == [("a", False)]
