"""Load shedding: client throttle, CoDel, priorities, expired requests, and the door of a server."""

import asyncio
import math
import random

import pytest

from sim.kernel import SimLoop
from sim.resilience.admission import Admission, AdmissionSpec, CoDelGate
from sim.resilience.client_throttle import ClientThrottle, ClientThrottleSpec
from sim.resilience.codel import CoDel
from sim.resilience.drop_expired import DropExpired
from sim.resilience.errors import LoadShed, RateLimited
from sim.resilience.policy import PolicyParts
from sim.resilience.priority_shedder import Priority, PriorityShedder
from sim.resilience.token_bucket import TokenBucket

RNG = random.Random(1)


def test_a_throttle_lets_everything_through_while_all_is_accepted():
    """A thousand accepted requests: no draw, no rejection."""
    throttle = ClientThrottle()
    for _ in range(1000):
        assert throttle.admit(0, rng=None)
        throttle.on_result(0, True)


def test_a_throttle_forgets_after_its_window():
    """All refused for a while; two minutes later the next request goes out for certain."""
    throttle = ClientThrottle(k=2, window=120)
    for _ in range(100):
        throttle.admit(0, RNG)
    assert throttle.rejection_probability(100) == pytest.approx(100 / 101)
    assert throttle.rejection_probability(120) == 0


@pytest.mark.parametrize(("error", "accepts"), [
    (None, 1), (ValueError("answered"), 1), (TimeoutError(), 0), (ConnectionResetError(), 0), (LoadShed("inner", "full"), 0),
    (type("Busy", (Exception,), {"status": 503})(), 0), (type("Broken", (Exception,), {"status": 500})(), 1),
])
def test_what_a_throttle_takes_as_accepted(loop, error, accepts):
    """Any answer but overload; timeouts, broken connections and refusals are none."""
    throttle = ClientThrottle(rng=random.Random(1))

    async def call():
        if error is not None:
            raise error

    async def scenario():
        await asyncio.gather(throttle(call), return_exceptions=True)

    loop.run_until_complete(scenario())
    throttle.rejection_probability(loop.time())
    assert throttle._counts.sums == [1, accepts]


def test_a_throttled_call_is_not_sent(loop):
    """After 200 refused requests most of the next hundred stay here, and are told so."""
    throttle, sent, heard = ClientThrottle(now=loop.time(), rng=random.Random(1)), 0, []
    throttle.on_event = heard.append

    async def call():
        nonlocal sent
        sent += 1
        raise TimeoutError

    async def scenario():
        return [(await asyncio.gather(throttle(call), return_exceptions=True))[0] for _ in range(300)]

    errors = loop.run_until_complete(scenario())
    shed = sum(isinstance(error, LoadShed) for error in errors)
    assert sent + shed == 300
    assert shed > 200
    assert len(heard) == shed


def offered(throttle, backend, rate, seconds):
    """*rate* calls a second for so long, each through *throttle*; returns when calls reached the backend, and how many were rejected."""
    reached = []

    async def call():
        reached.append(asyncio.get_running_loop().time())
        await backend()

    async def scenario():
        calls = []
        for _ in range(rate * seconds):
            calls.append(asyncio.ensure_future(throttle(call)))
            await asyncio.sleep(1 / rate)
        return await asyncio.gather(*calls, return_exceptions=True)

    with SimLoop(seed=1) as loop:
        ends = loop.run_until_complete(scenario())
    return reached, sum(isinstance(end, LoadShed) for end in ends)


@pytest.mark.parametrize("k", [2.0, 1.1])
def test_a_slow_backend_that_accepts_everything_is_not_throttled(k):
    """A hundred calls are under way at a time, all of them accepted in the end: none is rejected, from the first to the last."""
    reached, rejected = offered(ClientThrottle(k, rng=random.Random(1)), lambda: asyncio.sleep(0.5), rate=200, seconds=10)
    assert (len(reached), rejected) == (2000, 0)


def test_a_slow_backend_is_asked_k_times_what_it_accepts():
    """It accepts 50 a second and tells after 100 ms: offered 200 a second it sees 100, as one that tells at once."""
    limiter = TokenBucket(50, 50)

    async def backend():
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(0.1)
        if not limiter.try_acquire(now):
            raise ConnectionResetError

    reached, _ = offered(ClientThrottle(2.0, window=10, rng=random.Random(1)), backend, rate=200, seconds=40)
    assert sum(at > 20 for at in reached) / 20 == pytest.approx(100, rel=0.05)


def test_calls_that_outlive_the_window_count_when_they_fail():
    """Each hangs for 15 s, the window is 10 s: nothing is known before, and then most are kept here."""

    async def backend():
        await asyncio.sleep(15)
        raise TimeoutError

    reached, _ = offered(ClientThrottle(2.0, window=10, rng=random.Random(1)), backend, rate=20, seconds=40)
    assert sum(at < 15 for at in reached) == 300
    assert sum(at > 20 for at in reached) < 20


def test_codel_leaves_a_burst_alone_and_sheds_a_standing_queue():
    """Some delays above the target are a burst as long as one of the interval is below; if none is, the long ones are shed."""
    codel = CoDel(target=0.005, interval=0.1)
    burst = [codel.admit(now / 100, RNG, queue_delay=0.05 if now % 5 else 0.001) for now in range(40)]
    assert all(burst)
    standing = [codel.admit(1 + now / 100, RNG, queue_delay=0.05) for now in range(30)]
    assert all(standing[:11])
    assert not any(standing[11:20])
    assert standing[20], "the first of an interval is never shed"
    assert codel.admit(1.295, RNG, queue_delay=0.009), "below twice the target nothing is shed"


def test_codel_forgets_an_overload_that_ended_long_ago():
    """After ten quiet seconds a burst is a burst again."""
    codel = CoDel()
    for now in range(20):
        codel.admit(now / 100, RNG, queue_delay=0.05)
    assert all(codel.admit(10 + now / 1000, RNG, queue_delay=0.05) for now in range(50))


def overload(shedder, seconds, delay, levels, rng, start=0.0):
    """A hundred requests a second with the given queue delay; returns the admitted levels of the last second."""
    last = []
    for number in range(seconds * 100):
        level = levels(rng)
        if shedder.admit(start + number / 100, rng, delay, level) and number >= (seconds - 1) * 100:
            last.append(level)
    return last


def test_priorities_shed_the_least_important_first():
    """Ten seconds of overload with classes low and high: all that is shed is low."""
    shedder, rng = PriorityShedder(), random.Random(1)
    admitted = overload(shedder, 8, 0.1, lambda rng: rng.choice([Priority.LOW, Priority.HIGH]).level(rng), rng)
    assert 50 < len(admitted) < 80
    assert Priority.LOW < shedder.threshold < Priority.MEDIUM
    assert sum(level >= Priority.HIGH for level in admitted) > 40


def test_when_the_queue_is_short_again_everybody_is_let_in():
    """After an overload the threshold falls back by 1 % a second until nothing is shed."""
    shedder, rng = PriorityShedder(), random.Random(1)
    overload(shedder, 10, 0.1, lambda rng: rng.randrange(500), rng)
    assert shedder.threshold > 100
    assert len(overload(shedder, 60, 0.001, lambda rng: rng.randrange(500), rng, start=10)) == 100
    assert shedder.threshold == 0


def test_a_single_level_is_shed_by_a_share_and_not_as_a_whole():
    """All requests alike, five seconds of overload: about 0.95 ** 4 of them are admitted in the fifth."""
    shedder, rng = PriorityShedder(), random.Random(1)
    admitted = overload(shedder, 5, 0.1, lambda rng: 200, rng)
    assert len(admitted) == pytest.approx(81, abs=10)
    assert 200 < shedder.threshold < 201


def test_what_has_expired_is_dropped():
    """Served with a second left, and not at the deadline, nor with less than what is needed."""
    assert DropExpired().admit(1.0, RNG, deadline=2.0)
    assert DropExpired().admit(1.0, RNG)
    assert not DropExpired().admit(2.0, RNG, deadline=2.0)
    assert not DropExpired(needed=0.5).admit(1.6, RNG, deadline=2.0)


def test_the_door_of_a_server():
    """Two a second; CoDel and expiry behind: each refusal names its gate and comes with an event."""
    heard = []
    shedders = ["codel", {"drop_expired": {"needed": "100ms"}}]
    spec = AdmissionSpec.model_validate({"load_shedder": shedders, "rate_limiter": {"rate": "2/s", "burst": 2}})
    door = spec.build(now=0.0, name="orders", on_event=heard.append)
    door.arrive(0.0, RNG)
    with pytest.raises(LoadShed, match="drop_expired"):
        door.arrive(0.0, RNG, deadline=0.05)
    with pytest.raises(RateLimited) as refused:
        door.arrive(0.0, RNG)
    assert refused.value.retry_after == pytest.approx(0.5)
    for number in range(3):
        door.start(1.0 + number / 10, RNG, queue_delay=0.2)
    with pytest.raises(LoadShed, match=r"orders: codel: waited 0\.2 s"):
        door.start(1.25, RNG, queue_delay=0.2)
    assert [event.kind for event in heard] == ["rejected"] * 3


def test_a_listener_that_fails_does_not_change_what_the_door_says(caplog):
    """RateLimited is raised, the listener's error is logged."""

    def broken(event):
        raise RuntimeError("listener")

    door = Admission({}, TokenBucket(1, 1), on_event=broken)
    door.arrive(0.0, RNG)
    with pytest.raises(RateLimited):
        door.arrive(0.0, RNG)
    assert "listener" in caplog.text


def test_priorities_are_shed_at_the_door_by_the_delay_at_the_end_of_the_queue():
    """Requests start after 100 ms in the queue: from the next window on some of the low ones do not get into it."""
    door, rng, shed = AdmissionSpec.model_validate({"load_shedder": "priority"}).build(), random.Random(1), 0
    for number in range(500):
        try:
            door.arrive(number / 100, rng, priority=Priority.LOW.level(rng))
        except LoadShed:
            shed += 1
        else:
            door.start(number / 100, rng, queue_delay=0.1)
    assert 20 < shed < 150


def test_an_empty_door_is_open():
    """No gates, no limiter."""
    door = Admission({})
    door.arrive(0.0, RNG)
    door.start(0.0, RNG, queue_delay=100.0)
    assert door.limiter is None


def test_nobody_waits_at_a_door():
    """`max_wait` is a mistake there, with its cure."""
    with pytest.raises(ValueError, match="leave `max_wait` out"):
        AdmissionSpec.model_validate({"rate_limiter": {"rate": "2/s", "max_wait": "1s"}})


def test_gates_and_limiter_may_be_put_together_by_hand():
    """Without a scenario."""
    door = Admission({"codel": CoDelGate(CoDel())}, TokenBucket(1, 1))
    door.arrive(0.0, RNG, deadline=math.inf)
    with pytest.raises(RateLimited):
        door.arrive(0.0, RNG)


def test_a_throttle_from_a_scenario():
    """With the scenario's k and window."""
    throttle = ClientThrottleSpec.model_validate({"k": 1.5, "window": "30s"}).build(PolicyParts())
    for _ in range(9):
        throttle.admit(0, RNG)
    throttle.on_result(0, True)
    assert throttle.rejection_probability(0) == pytest.approx(0.75)
