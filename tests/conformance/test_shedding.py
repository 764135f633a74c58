"""Load shedding cases LS-* of the reference: failsafe-go's throttler and prioritizer, Envoy's admission control."""

import random

import pytest

from sim.resilience.client_throttle import ClientThrottle
from sim.resilience.priority_shedder import Priority, PriorityShedder


def throttle_after(requests, accepted, **options):
    """A throttle that has seen so many requests, of which so many were accepted. It rejects none of them: nothing is drawn."""
    throttle = ClientThrottle(**options)

    class Lucky:
        def random(self):
            return 1.0

    for number in range(requests):
        assert throttle.admit(0, Lucky())
        throttle.on_result(0, number < accepted)
    return throttle


@pytest.mark.parametrize(("requests", "accepted", "options", "low", "high"), [
    (100, 95, {"k": 1 / 0.9}, 0, 0), (120, 90, {"k": 1 / 0.9}, 20 / 121, 20 / 121), (200, 50, {"k": 1 / 0.9}, 0.7, 0.8),
    (1000, 10, {"k": 1 / 0.9, "max_rejection": 0.8}, 0.8, 0.8), (0, 0, {}, 0, 0),
    (9, 0, {"minimum_number_of_calls": 10}, 0, 0), (1, 0, {}, 0.5, 0.5),
])
def test_ls_01_rejection_probability(requests, accepted, options, low, high):
    """failsafe-go's table; its success threshold of 0.9 is our k of 1 / 0.9."""
    chance = throttle_after(requests, accepted, **options).rejection_probability(0)
    assert low - 1e-12 <= chance <= high + 1e-12


def test_ls_03_history_decides():
    """Envoy: nothing accepted of 1000 rejects; half accepted passes 5500/10,000 and rejects 4500; no history passes.

    With success rate 95 % of 1000/500: p = (1000 - 500 / 0.95) / 1001 = 0.473.
    """

    def passes(throttle, drawn):
        class Fixed:
            def random(self):
                return drawn

        return throttle.admit(0, Fixed())

    assert not passes(throttle_after(1000, 0, k=1 / 0.95), 0.9)
    assert passes(throttle_after(1000, 500, k=1 / 0.95), 0.55)
    assert not passes(throttle_after(1000, 500, k=1 / 0.95), 0.45)
    assert passes(ClientThrottle(k=1 / 0.95), 0.0)


def test_ls_05_higher_levels_pass_where_lower_ones_do_not():
    """With a threshold set, both answers come at the same instant; the levels of a class stay within its hundred."""
    shedder, rng = PriorityShedder(), random.Random(1)
    shedder.threshold = 250.0
    assert shedder.admit(0, rng, priority=300)
    assert not shedder.admit(0, rng, priority=200)
    for priority in Priority:
        levels = {priority.level(rng) for _ in range(2000)}
        assert min(levels) == priority
        assert max(levels) == priority + 99
