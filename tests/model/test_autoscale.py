"""Autoscaling: how many instances it comes to, how long it takes, and how it hurts when it is set wrongly."""

import pytest

from .platform_runs import events, shop, simulate, statuses


def scaled(autoscale, rate=None, stages=None, instances=2, workers=4, work="{exponential: 100ms}", startup="5s", duration=600, more="", queue=10_000, warmup=0):
    """A service that scales, under a steady load or one that goes in *stages*."""
    of_shop = f"instances: {instances}\n    startup: {startup}\n    queue: {{limit: {queue}}}\n    autoscale: {autoscale}\n    {more}"
    text = shop({"GET /": f"[{{work: {work}}}]"}, "", rate=rate or 1, duration=duration, of_shop=of_shop).replace("workers: 100000", f"workers: {workers}")
    text = text.replace("network:", f"warmup: {warmup}s\nnetwork:", 1)
    if stages is not None:
        text = text.replace(f"executor: constant-arrival-rate, rate: {rate or 1}/s", f"executor: ramping-arrival-rate, {stages}")
    return simulate(text)


def sizes(result):
    """(time, instances) of each decision."""
    return [(event["at"], event["instances"]) for event in events(result, "autoscale")]


def at_the_end(result, first):
    """Instances after the last decision."""
    return sizes(result)[-1][1] if sizes(result) else first


@pytest.mark.parametrize("rate", [40, 120, 200])
def test_it_comes_to_as_many_as_the_target_needs(rate):
    """Offered load a = rate * 0.1 worker-seconds a second: a / (workers * target) instances, rounded up, give or take the tolerance."""
    result = scaled("{utilisation: 60%, max: 30}", rate=rate)
    wanted = rate * 0.1 / (4 * 0.6)
    assert wanted * 0.85 <= at_the_end(result, 2) <= wanted * 1.15 + 1


@pytest.mark.validate
def test_it_can_go_by_requests_in_flight_and_by_cpu():
    """The other targets: requests in an instance, queue included; cores at work."""
    assert at_the_end(scaled("{in_flight: 2, max: 30}", rate=120), 2) == pytest.approx(6, abs=1)
    by_cpu = scaled("{cpu: 50%, max: 30}", rate=120, workers=1000, more="cpu: {cores: 2}")
    assert at_the_end(by_cpu, 2) == pytest.approx(12 / (2 * 0.5), abs=2)


@pytest.mark.validate
def test_it_stays_between_its_bounds():
    """Never more than `max`, never fewer than `min`, whatever the load says."""
    assert at_the_end(scaled("{utilisation: 60%, max: 4}", rate=200, queue=10), 2) == 4
    assert at_the_end(scaled("{utilisation: 60%, min: 3, max: 8, cooldown_down: 0s}", rate=1, instances=6), 6) == 3


@pytest.mark.parametrize("looks", ["", ", every: 5s", ", window: 60s"])
@pytest.mark.parametrize(("target", "enough"), [("utilisation: 50%", 8), ("in_flight: 5", 8)])
def test_a_constant_load_is_not_overshot_by_what_the_window_remembers(target, enough, looks):
    """38 workers are busy all the time: 8 instances of 10 each, and not more because the window still has the time when there were 5."""
    result = scaled(f"{{{target}, max: 50{looks}}}", rate=380, instances=5, workers=10, work="100ms", startup="0s", duration=150)
    assert enough <= max(number for _, number in sizes(result)) <= enough + 1


SPIKE = "start_rate: 20/s, stages: [{duration: 100s, target: 20/s}, {duration: 1s, target: 200/s}, {duration: 200s, target: 200/s}, {duration: 1s, target: 20/s}]"


def waiting(startup):
    """The longest queue that a spike leaves where instances take so long to start."""
    result = scaled("{utilisation: 60%, max: 20, every: 5s, window: 10s}", stages=SPIKE, startup=startup, duration=300)
    return result.summary["services"]["shop"]["queue_max"]


def test_a_spike_is_faster_than_instances_that_start():
    """While new ones start, what comes beyond the capacity waits: the longer the start takes, the longer the line."""
    fast, slow = waiting("1s"), waiting("30s")
    assert slow > fast + 0.5 * (200 - 80) * 29 / 2


def test_it_shrinks_after_the_cooldown_and_loses_no_request():
    """Those that are too many leave after they have finished what they have, and not before the load has been low for so long."""
    result = scaled("{utilisation: 60%, min: 2, max: 20, every: 5s, window: 10s, cooldown_down: 60s}", stages=SPIKE, duration=500)
    grown = max(number for _, number in sizes(result))
    falls = [at for (at, number), (_, before) in zip(sizes(result)[1:], sizes(result), strict=False) if number < before and number < grown]
    assert grown >= 8 and at_the_end(result, 2) == 2
    assert next(at for at in falls if at > 302) >= 302 + 60 - 10
    assert set(statuses(result)) == {"200"}


def test_without_a_cooldown_it_flaps():
    """A load that changes faster than it scales makes it start and stop instances all the time."""
    waves = ", ".join("{duration: 1s, target: 160/s}, {duration: 20s, target: 160/s}, {duration: 1s, target: 20/s}, {duration: 20s, target: 20/s}" for _ in range(10))
    stages = f"start_rate: 20/s, stages: [{waves}]"

    def moves(cooldown):
        return len(sizes(scaled(f"{{utilisation: 60%, min: 2, max: 20, every: 5s, window: 5s, cooldown_down: {cooldown}}}", stages=stages, duration=400)))

    assert moves("0s") > 3 * moves("5m")


def test_instances_that_leave_at_once_lose_what_is_on_its_way():
    """Scale-down without lingering and draining fails requests; the default loses none."""
    def lost(more):
        text = shop({"GET /": "[{work: 20ms}]"}, "", rate=1000, duration=40, network="latency: 20ms",
                    of_shop=f"instances: 20\n    autoscale: {{utilisation: 90%, min: 1, max: 20, every: 5s, window: 5s, cooldown_down: 0s{more}}}")
        result = simulate(text.replace("workers: 100000", "workers: 16"))
        return sum(count for status, count in statuses(result).items() if status in ("reset", "connect"))

    assert lost(", linger: 0s, drain_timeout: 1ms") > 5 and lost("") == 0


def test_capacity_is_counted_over_time():
    """Utilisation is of the workers that were there, and their number is sampled."""
    result = scaled("{utilisation: 60%, max: 30, cooldown_down: 30s}", rate=110, warmup=300)
    assert result.summary["services"]["shop"]["utilisation"] == pytest.approx(0.55, abs=0.03)
    assert result.series("shop", "capacity").mean[-1] == pytest.approx(4 * at_the_end(result, 2))


def test_a_slow_start_spares_a_new_instance():
    """`slow_start` of a balancer: who has just come gets its share little by little."""
    text = """
name: slow
duration: 120s
services:
  front:
    uses: {back: {balancer: {round_robin: {slow_start: 60s}}}}
    endpoints: {GET /: [{call: back GET /}]}
  back: {instances: 2, startup: 0s, endpoints: {GET /: [{work: 1ms}]}}
workloads:
  users: {executor: constant-arrival-rate, rate: 200/s, to: front, mix: [{send: GET /}]}
faults:
  - {kind: instance.kill, target: {instance: back-1}, schedule: {at: 20s}, restart_after: 10s}
"""
    result = simulate(text)
    server = result.spans.of(2)
    one = server.instance == result.names.instances.index("back-1")
    other = server.instance == result.names.instances.index("back-0")

    def share(start, until):
        window = (server.start >= start) & (server.start < until)
        return int((one & window).sum()) / int(((one | other) & window).sum())

    assert share(0, 20) == pytest.approx(0.5, abs=0.01)
    assert share(31, 35) < 0.15 and share(58, 62) == pytest.approx(0.5 / 1.5, abs=0.04) and share(95, 120) == pytest.approx(0.5, abs=0.01)


def with_deaths(target, most, more=""):
    """Four instances of four workers with seven at work, where three die at 32 s."""
    kill = f"{{kind: instance.kill, target: {{service: shop, mode: fixed, value: 3}}, schedule: {{at: 32s}}{more}}}"
    return simulate(shop({"GET /": "[{work: 100ms}]"}, "", rate=70, duration=200, of_users="arrivals: uniform,", faults=kill,
                         of_shop=f"instances: 4\n    startup: 1s\n    autoscale: {{{target}, max: {most}, every: 10s}}").replace(
        "workers: 100000", "workers: 4"))


@pytest.mark.parametrize("target", ["utilisation: 50%", "in_flight: 2"])
def test_the_dead_are_not_taken_for_idle(target):
    """They are down at 40 and at 50 s: then others are started for them; the maximum counts them too."""
    result = with_deaths(target, most=10)
    first = events(result, "autoscale")[0]
    assert first["at"] <= 50 and first["instances"] > first["before"]
    late = result.requests[(result.requests.intended > 90) & (result.requests.intended < 199)]
    assert (late.outcome == 0).all()
    assert all(number <= 4 - 3 for at, number in sizes(with_deaths(target, most=4)) if at >= 50)


def test_who_is_soon_back_is_not_replaced():
    """Down for less than the time between two looks."""
    assert sizes(with_deaths("utilisation: 50%", most=10, more=", restart_after: 7s")) == []


def test_what_watches_a_service_hears_of_an_instance_that_has_left():
    """The last event after a scale-down counts those that are there, and so do the members of a queue group."""
    mailer = "mailer: {workers: 4, instances: 2, subscribe: {order.*: [{work: 10ms}]}, autoscale: {utilisation: 60%, max: 2, cooldown_down: 10s}}"
    result = simulate(shop({"POST /": "[{publish: order.created}]"}, mailer + "\n  events: {kind: broker}", rate=1))
    last = [event for event in events(result, "instances") if event["node"] == "mailer"][-1]
    assert (last["reachable"], last["of"]) == (1, 1)
    assert result.summary["brokers"]["events"]["groups"]["mailer"]["members"] == 1
