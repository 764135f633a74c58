"""Balancers while hosts come, go, fall ill and recover, and calls start and end in any order."""

import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sim.resilience import LeastRequest, Maglev, Outcome, PeakEwma, PowerOfTwoChoices, Random, RingHash, RoundRobin, Weighted, ZoneAware


@dataclass(eq=False)
class Host:
    name: str
    weight: float = 1.0
    zone: str = "a"
    healthy: bool = True


class Balancing(RuleBasedStateMachine):
    """Whoever is picked is there, healthy and not excluded; nobody is picked only where nobody is left; counts of calls are right."""

    def __init__(self):
        super().__init__()
        self.rng, self.now, self.created = random.Random(1), 0.0, 3
        self.hosts = [Host(f"h{number}", 1.0 + number % 3, "ab"[number % 2]) for number in range(3)]
        self.balancers = [RoundRobin(), Random(), Weighted(), LeastRequest(), PowerOfTwoChoices(), PowerOfTwoChoices(3), PeakEwma(),
                          RingHash(20), Maglev(101), ZoneAware(panic=0.0, zone="a"), ZoneAware(panic=0.0, zone="b", inner=LeastRequest)]
        self.calls = []  # host, since when: seen by all balancers

    @rule()
    def a_host_comes(self):
        if len(self.hosts) < 8:
            self.hosts = [*self.hosts, Host(f"h{self.created}", 1.0 + self.created % 3, "ab"[self.created % 2])]
            self.created += 1

    @precondition(lambda self: self.hosts)
    @rule(data=st.data())
    def a_host_goes(self, data):
        gone = data.draw(st.sampled_from(self.hosts))
        self.hosts = [host for host in self.hosts if host is not gone]

    @precondition(lambda self: self.hosts)
    @rule(data=st.data())
    def health_changes(self, data):
        host = data.draw(st.sampled_from(self.hosts))
        host.healthy = not host.healthy

    @rule(data=st.data(), key=st.none() | st.integers(0, 50))
    def pick(self, data, key):
        excluded = data.draw(st.lists(st.sampled_from(self.hosts), max_size=2)) if self.hosts else []
        allowed = [host for host in self.hosts if host.healthy and host not in excluded]
        for balancer in self.balancers:
            host = balancer.pick(self.hosts, self.now, self.rng, key, excluded)
            assert host in allowed if allowed else host is None, type(balancer).__name__

    @precondition(lambda self: self.hosts)
    @rule(data=st.data())
    def a_call_starts(self, data):
        host = data.draw(st.sampled_from(self.hosts))
        self.calls.append((host, self.now))
        for balancer in self.balancers:
            balancer.started(host, self.now)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), passes=st.floats(0, 5), outcome=st.sampled_from(Outcome))
    def a_call_ends(self, data, passes, outcome):
        self.now += passes
        host, since = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        for balancer in self.balancers:
            balancer.finished(host, self.now, self.now - since, outcome)

    @invariant()
    def calls_in_flight_are_counted(self):
        in_flight = Counter(host.name for host, _ in self.calls)
        for balancer in self.balancers:
            if isinstance(balancer, PowerOfTwoChoices | LeastRequest):
                assert balancer.active == in_flight

    @invariant()
    def the_least_busy_is_the_least_busy(self):
        healthy = [host for host in self.hosts if host.healthy]
        if healthy:
            active, least = self.balancers[3].active, self.balancers[3].pick(self.hosts, self.now, self.rng)
            loads = {host: active.get(host.name, 0) / host.weight for host in healthy}
            assert loads[least] == min(loads.values())

    @invariant()
    def turns_are_fair_as_long_as_nothing_changes(self):
        healthy = [host for host in self.hosts if host.healthy]
        if len(healthy) == len(self.hosts) > 0:
            counted = Counter(self.balancers[0].pick(self.hosts, self.now, self.rng).name for _ in range(2 * len(self.hosts)))
            assert set(counted.values()) == {2}
            total = int(sum(host.weight for host in self.hosts))
            counted = Counter(self.balancers[2].pick(self.hosts, self.now, self.rng).name for _ in range(4 * total))
            assert all(abs(counted[host.name] - 4 * host.weight) <= 2 for host in self.hosts)

    @invariant()
    def a_key_stays_where_it_is(self):
        for balancer in (self.balancers[7], self.balancers[8]):
            picked = {balancer.pick(self.hosts, self.now, self.rng, key="a key") for _ in range(3)}
            assert len(picked) == 1


Balancing.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBalancing = Balancing.TestCase
