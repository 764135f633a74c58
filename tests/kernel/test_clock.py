"""Inside `virtual_clock` every clock of the standard library gives simulated time; outside, and elsewhere, nothing changes."""

import asyncio
import datetime
import queue
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date
from datetime import datetime as Moment
from time import monotonic, monotonic_ns, perf_counter, perf_counter_ns, time_ns
from time import time as wall

import pybreaker
import pytest
import stamina
import tenacity
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from sim.kernel import NotSimulated, SimLoop
from sim.kernel.clock import EPOCH, virtual_clock
from tests.source_tree import ROOT

SLEEP = time.sleep
START = EPOCH.timestamp()


def now_by_default(clock=monotonic, *, other=time.perf_counter):
    return clock(), other()


class Stopwatch:
    def __init__(self, clock=time.monotonic):
        self.clock = clock


def at(loop, when, read):
    """What *read* returns at simulated time *when*, inside the run."""

    async def main():
        await asyncio.sleep(when - loop.time())
        return read()

    return loop.run_until_complete(main())


@pytest.mark.parametrize(("read", "expected"), [
    (lambda: time.time(), START + 90.25),
    (lambda: wall(), START + 90.25),
    (lambda: time.time_ns(), int(START) * 10**9 + 90_250_000_000),
    (lambda: time_ns(), int(START) * 10**9 + 90_250_000_000),
    (lambda: time.monotonic(), 90.25),
    (lambda: monotonic(), 90.25),
    (lambda: time.monotonic_ns(), 90_250_000_000),
    (lambda: monotonic_ns(), 90_250_000_000),
    (lambda: time.perf_counter(), 90.25),
    (lambda: perf_counter(), 90.25),
    (lambda: time.perf_counter_ns(), 90_250_000_000),
    (lambda: perf_counter_ns(), 90_250_000_000),
    (now_by_default, (90.25, 90.25)),
    (lambda: Stopwatch().clock(), 90.25),
    (lambda: Moment.now(UTC), Moment(2026, 1, 1, 0, 1, 30, 250_000, tzinfo=UTC)),
    (lambda: datetime.datetime.now(), Moment(2026, 1, 1, 0, 1, 30, 250_000)),
    (lambda: Moment.utcnow(), Moment(2026, 1, 1, 0, 1, 30, 250_000)),
    (lambda: date.today(), date(2026, 1, 1)),
    (lambda: datetime.datetime.today(), Moment(2026, 1, 1, 0, 1, 30, 250_000)),
    (lambda: time.strftime("%Y-%m-%d %H:%M:%S %Z"), "2026-01-01 00:01:30 UTC"),
    (lambda: time.localtime().tm_sec, 30),
], ids=range(21))
def test_every_clock_gives_simulated_time(loop, read, expected):
    """By whatever name it was imported, bound as a default, and in UTC whatever the machine's zone."""
    with virtual_clock(loop):
        value = at(loop, 90.25, read)
    assert value == expected


def test_identifiers_made_from_the_time_have_simulated_time(loop):
    """`uuid1` counts in 100 ns from 1582-10-15."""
    with virtual_clock(loop):
        made = at(loop, 90.25, uuid.uuid1)
    assert Moment(1582, 10, 15, tzinfo=UTC) + datetime.timedelta(microseconds=made.time // 10) == EPOCH + datetime.timedelta(seconds=90.25)


def test_the_calendar_moves_over_midnight(loop):
    """From the last second of 2025-12-31 into the new year."""
    with virtual_clock(loop, epoch=Moment(2025, 12, 31, 23, 59, 59, tzinfo=UTC)):
        assert at(loop, 0.5, date.today) == date(2025, 12, 31)
        assert at(loop, 1.0, date.today) == date(2026, 1, 1)


def test_everything_is_put_back(loop):
    """After the block, also after one that ended in an error, every name is the standard library's own again."""

    def clocks():
        defaults = (*now_by_default.__defaults__, *now_by_default.__kwdefaults__.values(), *Stopwatch.__init__.__defaults__)
        return time.monotonic, monotonic, time.perf_counter, perf_counter_ns, *defaults

    before = clocks()

    def fail():
        with virtual_clock(loop):
            loop.run_until_complete(asyncio.sleep(5))
            assert not set(clocks()) & set(before)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert clocks() == before
    assert abs(Moment.now(UTC).timestamp() - wall()) < 5
    assert wall() != START + 5


def test_blocks_nest():
    """The inner loop's time inside, the outer one's again afterwards."""
    with SimLoop() as outer, SimLoop(start=1000) as inner:
        with virtual_clock(outer):
            outer.run_until(10)
            with virtual_clock(inner, epoch=Moment(2030, 1, 1, tzinfo=UTC)):
                inner.run_until(2000)
                assert (monotonic(), Moment.now().year) == (2000, 2030)
                assert at(outer, 20, lambda: (monotonic(), Moment.now().year)) == (20, 2026)
            assert (monotonic(), Moment.now().year) == (20, 2026)
        assert monotonic() != 20


def test_other_threads_keep_their_clocks(loop):
    """A progress display that refreshes in a thread of its own sees real time, and so does its `Event.wait`."""
    real = monotonic()
    seen = []

    def watch():
        threading.Event().wait(0.001)
        seen.extend([monotonic(), wall(), Moment.now(UTC).timestamp()])

    with virtual_clock(loop):
        thread = threading.Thread(target=watch)
        thread.start()
        thread.join()
        assert monotonic() == 0
    assert real < seen[0] < real + 60
    assert abs(seen[1] - wall()) < 60
    assert abs(seen[2] - wall()) < 60


def test_a_real_event_loop_inside_the_block_keeps_its_clock(loop):
    """`asyncio.run` in the same thread still sleeps in real time and comes back."""

    async def main():
        before = monotonic()
        await asyncio.sleep(0.002)
        return before, monotonic()

    with virtual_clock(loop):
        before, after = asyncio.run(main())
        assert monotonic() == 0
    assert after - before >= 0.002


def test_the_standard_librarys_own_waiting_stays_real(loop):
    """`queue.get(timeout=...)` would wait for ever on a clock that stands still."""
    with virtual_clock(loop):
        assert queue.time() > 0  # the name under which `queue` imported `time.monotonic`
        with pytest.raises(queue.Empty):
            queue.Queue().get(timeout=0.001)


def test_sleeping_outside_of_asyncio_is_refused_where_the_loop_runs(loop):
    """It would take real time and no simulated time; the error says what to write. Elsewhere it sleeps."""
    with virtual_clock(loop):
        with pytest.raises(NotSimulated, match=r"time\.sleep is not part of a simulation: .* write `await asyncio\.sleep"):
            at(loop, 1, lambda: time.sleep(60))
        at(loop, 2, lambda: time.sleep(0))
        time.sleep(0.001)
        with ThreadPoolExecutor() as pool:
            at(loop, 3, lambda: pool.submit(time.sleep, 0.001).result())
    assert time.sleep is SLEEP


def test_a_name_that_was_imported_inside_tells_real_time_afterwards(loop):
    """Code that is imported in the block keeps a stand-in; outside of any block that is as good as the real clock."""
    with virtual_clock(loop):
        from time import monotonic as kept

        assert kept() == 0
    assert abs(kept() - time.monotonic()) < 60


def test_an_epoch_needs_a_time_zone(loop):
    """Without one it would mean another moment on another machine."""
    with pytest.raises(ValueError, match="time zone"), virtual_clock(loop, epoch=Moment(2026, 1, 1)):
        pass
    assert time.monotonic is monotonic


def test_the_kernel_does_not_load_the_calendar_library_before_it_is_needed():
    """Importing the clock costs nothing."""
    program = "import sys, sim.kernel.clock; print('time_machine' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False\n"


# libraries that read a clock themselves


async def fail():
    raise ConnectionError("down")


def test_tenacity_stops_after_a_delay(loop):
    """`stop_after_delay(10)` with a wait of 3 s: attempts at 0, 3, 6, 9 and 12 s, and then no more."""
    times = []

    async def call():
        times.append(loop.time())
        await fail()

    retrying = tenacity.AsyncRetrying(stop=tenacity.stop_after_delay(10), wait=tenacity.wait_fixed(3), reraise=True)
    with virtual_clock(loop), pytest.raises(ConnectionError):
        loop.run_until_complete(retrying(call))
    assert times == [0, 3, 6, 9, 12]


def test_stamina_stops_after_its_timeout(loop):
    """`timeout=10` is measured in simulated time as well."""
    times = []

    @stamina.retry(on=ConnectionError, attempts=None, timeout=10, wait_initial=4, wait_jitter=0, wait_max=4)
    async def call():
        times.append(loop.time())
        await fail()

    with virtual_clock(loop), pytest.raises(ConnectionError):
        loop.run_until_complete(call())
    assert times[:3] == [0, 4, 8]
    assert len(times) <= 4


def test_pybreakers_reset_timeout_runs_in_simulated_time(loop):
    """Open after two failures, closed to callers for 30 s, then one call goes through and closes it."""
    breaker = pybreaker.CircuitBreaker(fail_max=2, reset_timeout=30)

    def down():
        raise ConnectionError("down")

    def attempt(function):
        try:
            return breaker.call(function)
        except (ConnectionError, pybreaker.CircuitBreakerError) as error:
            return type(error).__name__

    async def main():
        answers = [attempt(down), attempt(down), attempt(lambda: "ok")]
        await asyncio.sleep(29)
        answers.append(attempt(lambda: "ok"))
        await asyncio.sleep(2)
        return [*answers, attempt(lambda: "ok"), breaker.current_state]

    with virtual_clock(loop):
        assert loop.run_until_complete(main()) == ["ConnectionError", *["CircuitBreakerError"] * 3, "ok", "closed"]


def test_purgatorys_ttl_runs_in_simulated_time(loop):
    """Open after three failures, refusing for 20 s, then it tries again."""

    async def main():
        breaker = await AsyncCircuitBreakerFactory(default_threshold=3, default_ttl=20).get_breaker("payments")
        log = []

        async def attempt(function):
            try:
                async with breaker:
                    await function()
                log.append("ok")
            except (ConnectionError, OpenedState) as error:
                log.append(type(error).__name__)

        for _ in range(4):
            await attempt(fail)
        await asyncio.sleep(19)
        await attempt(fail)
        await asyncio.sleep(2)
        await attempt(lambda: asyncio.sleep(0))
        return log

    with virtual_clock(loop):
        assert loop.run_until_complete(main()) == ["ConnectionError"] * 3 + ["OpenedState"] * 2 + ["ok"]
