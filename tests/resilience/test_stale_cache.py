"""Stale cache: fresh, stale, too old; one fetch for many."""

import asyncio
import math

import pytest

from sim.kernel import SimLoop
from sim.resilience import Deadline, Pipeline, StaleCache, current_deadline


class Source:
    """Answers with the number of the call after *takes* seconds, or raises while it is down."""

    def __init__(self, takes=1.0):
        self.takes, self.calls, self.down = takes, 0, False

    async def __call__(self, key="key"):
        self.calls += 1
        number = self.calls
        await asyncio.sleep(self.takes)
        if self.down:
            raise ConnectionError(f"call {number}")
        return number


def run(coroutine):
    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(coroutine)


async def ends(*coroutines):
    return [str(end) if isinstance(end, Exception) else end for end in await asyncio.gather(*coroutines, return_exceptions=True)]


def test_fresh_until_its_age_is_the_ttl():
    """Fetched at 1 s for 10 s: served until just before 11, fetched again at 11."""

    async def scenario():
        cache, source, seen = StaleCache(ttl=10), Source(), []
        for pause in (0, 9.9, 0.1):
            await asyncio.sleep(pause)
            seen.append(await cache(source))
        return seen, cache.hits, cache.misses

    assert run(scenario()) == ([1, 1, 2], 1, 2)


@pytest.mark.parametrize("refresh", ["on_error", "background"])
def test_a_result_that_says_failed_is_not_kept(refresh):
    """It is handed on while there is nothing better, and an old answer takes its place, with those who wait for the same fetch too."""

    async def scenario():
        results, events = iter(["gone", "good", "gone", "gone", "new"]), []

        async def source():
            await asyncio.sleep(1)
            return next(results)

        cache = StaleCache(ttl=10, stale_ttl=100, refresh=refresh, bad_result=lambda result: result == "gone", mark=str.upper,
                           on_event=events.append)
        seen = [await cache(source), await cache(source)]
        for _ in range(3):
            await asyncio.sleep(20)
            seen += await asyncio.gather(cache(source), cache(source))
        return seen, [event.error for event in events if event.error is not None]

    old, last = ["GOOD"] * 4, ["new"] * 2 if refresh == "on_error" else ["GOOD"] * 2
    assert run(scenario()) == (["gone", "good", *old, *last], ["result 'gone'"] * (4 if refresh == "on_error" else 2))


def test_an_old_answer_rather_than_an_error():
    """Down after the ttl: the stale one, marked; too old: the error."""
    events = []

    async def scenario():
        cache = StaleCache(ttl=10, stale_ttl=20, mark=lambda result: ("stale", result), on_event=events.append)
        source = Source()
        await cache(source)
        source.down = True
        await asyncio.sleep(15)
        stale = await cache(source)
        await asyncio.sleep(15)
        return stale, await ends(cache(source)), cache.stale

    assert run(scenario()) == (("stale", 1), ["call 3"], 1)
    assert [(event.kind, event.age, event.error) for event in events] == [("stale_served", 16, "ConnectionError: call 2")]


def test_only_for_the_listed_errors():
    """Another error is raised in spite of a stale answer."""

    async def scenario():
        cache, source = StaleCache(ttl=1, stale_ttl=100, on=(TimeoutError,)), Source()
        await cache(source)
        source.down = True
        await asyncio.sleep(5)
        return await ends(cache(source))

    assert run(scenario()) == ["call 2"]


def test_refreshed_in_the_background():
    """The stale one at once, one fetch meanwhile without the deadline of the caller, then the new one."""
    deadlines = []

    async def fetch(source):
        deadlines.append(current_deadline())
        return await source()

    async def scenario():
        cache, source = StaleCache(ttl=10, stale_ttl=100, refresh="background", key=lambda source: "key"), Source()
        pipeline = Pipeline("test", [Deadline(5), cache])
        seen = [await pipeline.call(fetch, source)]
        await asyncio.sleep(20)
        seen += [await pipeline.call(fetch, source), await pipeline.call(fetch, source)]
        await asyncio.sleep(2)
        seen.append(await pipeline.call(fetch, source))
        return seen, source.calls

    assert run(scenario()) == ([1, 1, 1, 2], 2)
    assert deadlines == [5, math.inf]


def test_a_refresh_that_fails_is_told_and_the_old_answer_stays():
    """And the fetches in the background can be ended."""
    events = []

    async def scenario():
        cache, source = StaleCache(ttl=1, stale_ttl=100, refresh="background", on_event=events.append), Source()
        await cache(source)
        source.down = True
        await asyncio.sleep(5)
        seen = [await cache(source)]
        await asyncio.sleep(2)
        seen.append(await cache(source))
        await cache.aclose()
        return seen

    assert run(scenario()) == [1, 1]
    assert [event.kind for event in events] == ["stale_served", "refresh_failed", "stale_served"]


def test_many_callers_one_fetch(loop):
    """Ten at once: one fetch, ten equal answers; with single_flight off: ten."""

    async def scenario(single_flight):
        cache, source = StaleCache(ttl=10, single_flight=single_flight), Source(takes=0.001)
        answers = await asyncio.gather(*(cache(source) for _ in range(10)))
        return len(set(answers)), source.calls

    assert loop.run_until_complete(scenario(True)) == (1, 1)
    assert loop.run_until_complete(scenario(False)) == (10, 10)


def test_many_callers_one_failure():
    """They all get its error; nobody tries again by themselves."""

    async def scenario():
        cache, source = StaleCache(ttl=10), Source()
        source.down = True
        return await ends(*(cache(source) for _ in range(3))), source.calls

    assert run(scenario()) == (["call 1"] * 3, 1)


def test_the_fetching_caller_leaves(loop):
    """Cancelled: the next one fetches, and all the others get that answer."""

    async def scenario():
        cache, source = StaleCache(ttl=10), Source(takes=0.05)
        first, *others = (asyncio.ensure_future(cache(source)) for _ in range(4))
        await asyncio.sleep(0.001)
        first.cancel()
        answers = await asyncio.gather(*others)
        return first.cancelled(), answers, source.calls

    assert loop.run_until_complete(scenario()) == (True, [2, 2, 2], 2)


def test_a_waiting_caller_leaves(loop):
    """The fetch and the others go on."""

    async def scenario():
        cache, source = StaleCache(ttl=10), Source(takes=0.05)
        first, second, third = (asyncio.ensure_future(cache(source)) for _ in range(3))
        await asyncio.sleep(0.001)
        second.cancel()
        return await asyncio.gather(first, third), source.calls

    assert loop.run_until_complete(scenario()) == ([1, 1], 1)


def test_calls_with_other_arguments_are_other_calls_and_room_is_limited():
    """Three keys, room for two: the least recently used one is fetched again."""

    async def scenario():
        cache, source = StaleCache(ttl=100, max_entries=2), Source()
        return [await cache(source, key) for key in ("a", "b", "a", "c", "a", "b")]

    assert run(scenario()) == [1, 2, 1, 3, 1, 4]


@pytest.mark.parametrize("options", [{"ttl": -1}, {"ttl": 1, "max_entries": 0}, {"ttl": 1, "refresh": "never"}])
def test_options_that_make_no_sense_are_refused(options):
    """Negative times, no room, an unknown way to refresh."""
    with pytest.raises(ValueError, match=r"cache needs|refresh is"):
        StaleCache(**options)
