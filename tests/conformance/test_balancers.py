"""Load balancing cases LB-* of the reference: Envoy's schedulers, tables and priority levels."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest

from sim.resilience.balancers import Maglev, RoundRobin, Weighted, ZoneAware
from sim.resilience.maglev import table
from sim.resilience.zone_aware import priority_load


@dataclass(eq=False)
class Host:
    name: str
    weight: float = 1.0
    zone: str | None = None
    healthy: bool = True


def test_lb_01_a_full_cycle_picks_everyone_by_its_weight():
    """128 hosts with weights 1 ... 128: in 8,256 picks each exactly weight times, and again in the next 8,256."""
    hosts = [Host(str(weight), weight=weight) for weight in range(1, 129)]
    balancer, rng = Weighted(), random.Random(1)
    for _ in range(2):
        counted = Counter(balancer.pick(hosts, 0.0, rng).name for _ in range(8256))
        assert counted == {str(weight): weight for weight in range(1, 129)}


def test_lb_03_a_maglev_table_follows_the_weights():
    """65,537 entries, weights 1 : 2: 21,846 and 43,691 of them."""
    counted = Counter(table([Host("a", weight=1), Host("b", weight=2)], 65537))
    assert [counted[0], counted[1]] == [21846, 43691]
    assert Maglev().table_size == 65537


@pytest.mark.parametrize(("healthy", "load"), [
    ((100, 100), (100, 0)), ((72, 100), (100, 0)), ((71, 100), (99, 1)), ((50, 100), (70, 30)), ((25, 100), (35, 65)), ((0, 100), (0, 100)),
    ((50, 50), (70, 30)), ((25, 25), (50, 50)), ((25, 25, 100), (35, 35, 30)), ((25, 25, 20), (36, 36, 28)),
])
def test_lb_05_the_load_of_priority_levels(healthy, load):
    """Overprovisioning of 140 %. Envoy counts whole percents; ours are exact, so they agree to within one."""
    ours = [100 * share for share in priority_load([percent / 100 for percent in healthy])]
    assert ours == pytest.approx(load, abs=0.61)
    assert sum(ours) == pytest.approx(100)


@pytest.mark.parametrize("balancer", [ZoneAware, lambda panic=0.5: RoundRobin(panic=panic)])
def test_lb_07_panic_below_half(balancer):
    """49 of 100 healthy: all are used; 50: the healthy ones only. Threshold 0 and nobody healthy: no host."""
    hosts, rng = [Host(str(number)) for number in range(100)], random.Random(1)

    def used(healthy, **options):
        for number, host in enumerate(hosts):
            host.healthy = number < healthy
        one = balancer(**options)
        return {one.pick(hosts, 0.0, rng) for _ in range(3000)}

    assert len(used(49)) == 100
    assert used(50) == set(hosts[:50])
    assert used(0, panic=0.0) == {None}
