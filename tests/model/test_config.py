"""Configuration that changes: late, not everywhere at once, and sometimes wrong."""

import pytest

from sim.kernel import SimLoop
from sim.model.versions import Behaviour

from .platform_runs import events, shop, simulate, statuses
from .small_world import SmallWorld


def configured(updates, instances=8, duration=120, faults="", rate=100):
    """A service with *updates* of its configuration, one request each 10 ms."""
    text = shop({"GET /": "[{work: 1ms}]"}, "", rate=rate, duration=duration, of_shop=f"instances: {instances}\n    config_updates: {updates}", faults=faults)
    return simulate(text)


def arrivals(result):
    """By instance, when it had the first change."""
    return {event["instance"]: event["at"] for event in events(result, "config.applied") if event["version"] == 1}


def test_a_watch_tells_each_instance_after_a_delay_of_its_own():
    """The change reaches them one after the other, as the distribution of the delay says."""
    came = arrivals(configured("{watch: {exponential: 2s}, changes: [{at: 30s}]}", instances=200))
    assert len(came) == 200 and min(came.values()) >= 30
    assert sum(came.values()) / 200 - 30 == pytest.approx(2, rel=0.25)


def test_a_poll_finds_a_change_within_its_period():
    """Each instance asks at a moment of its own: the delay is anything up to the period, half of it on average."""
    came = arrivals(configured("{poll: 20s, changes: [{at: 30s}]}", instances=200))
    assert len(came) == 200 and min(came.values()) >= 30 and max(came.values()) <= 50
    assert sum(came.values()) / 200 - 30 == pytest.approx(10, rel=0.15)


def test_words_that_are_lost_leave_instances_behind():
    """Whoever has not heard keeps the old values until the next change, or its next start."""
    result = configured("{watch: 1s, lost: 50%, changes: [{at: 20s}]}", instances=40,
                        faults="{kind: instance.kill, target: {service: shop}, schedule: {at: 60s}, restart_after: 1s}")
    came = arrivals(result)
    assert 10 < sum(at < 60 for at in came.values()) < 30 and len(came) == 40  # after the restart all have it


def test_a_bad_value_hurts_as_far_as_it_has_got():
    """Errors grow with the share of instances that have it, and end when it is taken back everywhere."""
    result = configured("{poll: 40s, changes: [{at: 20s, error_rate: 100%}, {at: 70s}]}", instances=20, duration=150)
    requests = result.requests

    def errors(start, until):
        some = requests[(requests.start >= start) & (requests.start < until)]
        return float((some.status >= 500).mean())

    assert errors(0, 20) == 0 and errors(38, 42) == pytest.approx(0.5, abs=0.2) and errors(61, 69) == 1.0
    assert 0.2 < errors(80, 100) < 0.9 and errors(112, 150) == 0


def test_a_value_that_makes_slow():
    """`speed` of a change: a tenth of it for those who have it."""
    result = configured("{watch: 0s, changes: [{at: 60s, speed: 0.1}]}", instances=4)
    requests = result.requests
    before, after = (requests.latency[window].mean() for window in (requests.start < 60, requests.start > 61))
    assert before == pytest.approx(0.001, rel=0.01) and after == pytest.approx(0.01, rel=0.05)


def test_a_value_that_crashes_takes_everybody_down_and_the_cure_brings_them_back():
    """Whoever reads it ends, and ends again at each start, with longer waits between; good values let the next start live."""
    result = configured("{watch: {exponential: 5s}, changes: [{at: 20s, crashes: true}, {at: 80s}]}", instances=4, duration=200)
    crashes = events(result, "instance.crash")
    assert len(crashes) > 8 and {event["instance"] for event in crashes} == {f"shop-{number}" for number in range(4)}
    requests = result.requests
    middle, late = (requests.status[window] for window in ((requests.start > 60) & (requests.start < 80), requests.start > 170))
    assert (middle == -4).mean() > 0.9  # no healthy instance
    assert (late == 200).all() and statuses(result)["200"] > 0


def test_a_change_that_comes_by_a_fault_goes_with_it():
    """`config.bad` publishes a bad value, and the one before when it ends; both reach the instances as any change does."""
    result = configured("{watch: 1s}", instances=4, faults="{kind: config.bad, target: {service: shop}, schedule: {at: 30s, for: 30s}, error_rate: 100%}")
    requests = result.requests
    assert (requests.status[(requests.start > 31.1) & (requests.start < 60.9)] == 500).all()
    assert (requests.status[(requests.start < 30.9) | (requests.start > 61.1)] == 200).all()


def test_service_code_reads_the_value_that_its_instance_has():
    """`self.config` changes under the code, instance by instance; what is taken back is gone."""
    spec = {"code": "tests.model.config_service:Priced", "instances": 2, "config": {"price": 5}, "config_updates": {"poll": "10s"}}
    with SimLoop(seed=3) as loop:
        small = SmallWorld(loop, {"shop": spec})
        node = small.world.node("shop")

        def prices():
            return [instance.config["price"] for instance in node.instances]

        assert small.send("shop", "GET", "/price").json == 5
        node.configuration.lay("trial", {"price": 7, "more": True}, Behaviour())
        assert prices() == [5, 5]
        loop.run_until(loop.time() + 5)
        assert sorted(prices()) in ([5, 5], [5, 7], [7, 7])
        loop.run_until(loop.time() + 6)
        assert prices() == [7, 7] and small.send("shop", "GET", "/price").json == 7
        node.configuration.lift("trial")
        loop.run_until(loop.time() + 11)
        assert prices() == [5, 5] and "more" not in node.instances[0].config


def test_what_is_laid_over_a_configuration_takes_only_itself_away():
    """Of two that lie over it and a change of its own between them, each leaves what there would be without it."""
    spec = {"code": "tests.model.config_service:Priced", "instances": 1, "config": {"price": 5}, "config_updates": {}}
    with SimLoop(seed=3) as loop:
        node = SmallWorld(loop, {"shop": spec}).world.node("shop")

        def values():
            loop.run_until(loop.time() + 1)
            return node.instances[0].config

        node.configuration.lay("one", {"price": 7, "size": 1}, Behaviour(speed=0.5))
        node.configuration.push({"price": 6, "name": "new"}, Behaviour(error_rate="25%"))
        node.configuration.lay("two", {"size": 2}, Behaviour(speed=0.25, error_rate="50%"))
        assert values() == {"price": 7, "size": 2, "name": "new"}
        assert node.configuration.versions[-1][1] == Behaviour(speed=0.125, error_rate="62.5%")
        node.configuration.lift("one")
        assert values() == {"price": 6, "size": 2, "name": "new"}
        node.configuration.lift("two")
        assert values() == {"price": 6, "name": "new"}
        assert node.configuration.versions[-1][1] == Behaviour(error_rate="25%")
