"""Bulkhead: slots, line, waiting, giving up, shutting down; and pools of them."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience import Bulkhead, BulkheadFull, BulkheadPools, CircuitBreaker, Pipeline, Ticket
from sim.resilience.bulkhead import Permit


def test_one_more_than_the_slots_waits_and_one_more_than_the_line_is_refused():
    """Two slots and a line of one: in, in, waits, refused."""
    bulkhead = Bulkhead(2, max_queued_calls=1, max_wait_duration=5)
    assert [type(bulkhead.try_enter(now=0)) for _ in range(4)] == [Permit, Permit, Ticket, type(None)]


def test_a_leaving_call_lets_the_head_of_the_line_in():
    """First come, first served, and the slot changes hands in the same instant."""
    bulkhead = Bulkhead(1, max_queued_calls=2, max_wait_duration=5)
    permit = bulkhead.try_enter(now=0)
    first, second = bulkhead.try_enter(now=1), bulkhead.try_enter(now=2)
    assert bulkhead.leave(permit, now=3) is first
    assert (first.permit is not None, second.permit, bulkhead.inside) == (True, None, 1)


def test_a_waiter_who_leaves_as_the_slot_reaches_it_hands_it_on():
    """The race of every pool: let in and cancelled in one instant must not lose the slot."""
    bulkhead = Bulkhead(1, max_queued_calls=2, max_wait_duration=5)
    permit = bulkhead.try_enter(now=0)
    first, second = bulkhead.try_enter(now=0), bulkhead.try_enter(now=0)
    bulkhead.leave(permit, now=1)
    bulkhead.abandon(first, now=1)
    assert second.permit is not None
    assert bulkhead.inside == 1


def test_who_waited_too_long_is_passed_over():
    """At the end of its patience it is let in; later its place is given to the next."""
    bulkhead = Bulkhead(1, max_queued_calls=2, max_wait_duration=5)
    permit = bulkhead.try_enter(now=0)
    first, second = bulkhead.try_enter(now=0), bulkhead.try_enter(now=4)
    assert bulkhead.leave(permit, now=5.1) is second
    assert first.permit is None


def test_a_smaller_bulkhead_sends_nobody_out_and_a_larger_one_lets_waiters_in():
    """Two to one: the second call may finish first. One to three: both waiters are in."""
    bulkhead = Bulkhead(2, max_queued_calls=2, max_wait_duration=5)
    permits = [bulkhead.try_enter(now=0) for _ in range(2)]
    waiting = [bulkhead.try_enter(now=0) for _ in range(2)]
    bulkhead.resize(1, now=0)
    assert bulkhead.leave(permits[0], now=1) is None
    bulkhead.resize(3, now=1)
    assert (all(ticket.permit for ticket in waiting), bulkhead.inside, bulkhead.waiting) == (True, 3, 0)


def test_nobody_leaves_twice():
    """A slot given back twice is a bug of the caller."""
    bulkhead = Bulkhead(1)
    permit = bulkhead.try_enter(now=0)
    bulkhead.leave(permit, now=0)
    with pytest.raises(AssertionError, match="left the bulkhead twice"):
        bulkhead.leave(permit, now=0)


@pytest.mark.parametrize("sizes", [(0,), (1, -1), (1, 1, -1.0)])
def test_sizes_that_make_no_sense_are_refused(sizes):
    """No slot, a negative line, a negative wait."""
    with pytest.raises(ValueError, match="at least one slot"):
        Bulkhead(*sizes)


# the wrapper


def test_calls_beyond_slots_and_line_are_refused_and_the_others_finish(loop):
    """Ten calls at once through two slots and a line of two: four are answered, six refused at once."""
    bulkhead = Bulkhead(2, max_queued_calls=2, max_wait_duration=9)

    async def scenario():
        return await asyncio.gather(*(bulkhead(lambda: asyncio.sleep(0.001, "ok")) for _ in range(10)), return_exceptions=True)

    answers = loop.run_until_complete(scenario())
    assert (answers.count("ok"), sum(isinstance(answer, BulkheadFull) for answer in answers)) == (4, 6)
    assert (bulkhead.inside, bulkhead.waiting) == (0, 0)


def test_patience_ends(loop):
    """In line for 5 ms behind a call that goes on: refused, and the place in line is free."""
    bulkhead = Bulkhead(1, max_queued_calls=1, max_wait_duration=0.005)

    async def scenario():
        leave = asyncio.Event()
        holder = asyncio.ensure_future(bulkhead(leave.wait))
        await asyncio.sleep(0)
        with pytest.raises(BulkheadFull, match="waited"):
            await bulkhead(asyncio.sleep, 0)
        leave.set()
        await holder
        return bulkhead.waiting

    assert loop.run_until_complete(scenario()) == 0


@pytest.mark.parametrize("turns", range(8))
def test_cancelled_at_any_await_it_gives_everything_back(loop, turns):
    """Not begun, in line, let in or inside: a cancelled caller leaves no slot and no place behind."""
    bulkhead = Bulkhead(1, max_queued_calls=1, max_wait_duration=9)

    async def scenario():
        leave = asyncio.Event()
        holder = asyncio.ensure_future(bulkhead(leave.wait))
        waiter = asyncio.ensure_future(bulkhead(asyncio.Event().wait))
        for turn in range(turns):
            if turn == 3:
                leave.set()
            await asyncio.sleep(0)
        waiter.cancel()
        leave.set()
        await asyncio.wait([holder, waiter])
        return waiter.cancelled()

    assert loop.run_until_complete(scenario())
    assert (bulkhead.inside, bulkhead.waiting, type(bulkhead.try_enter(now=1e9))) == (0, 0, Permit)


def test_the_slot_that_arrives_as_the_waiter_is_cancelled_goes_to_the_next(loop):
    """Let in and cancelled in one turn of the loop: the second waiter runs."""
    bulkhead = Bulkhead(1, max_queued_calls=2, max_wait_duration=1)

    async def scenario():
        gate = asyncio.Event()
        holder = asyncio.ensure_future(bulkhead(gate.wait))
        await asyncio.sleep(0)
        first, second = (asyncio.ensure_future(bulkhead(asyncio.sleep, 0, name)) for name in ("first", "second"))
        await asyncio.sleep(0)
        gate.set()
        await holder  # its slot is now the first one's, which has not run yet
        first.cancel()
        return await asyncio.gather(first, second, return_exceptions=True)

    cancelled, answer = loop.run_until_complete(scenario())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert (answer, bulkhead.inside) == ("second", 0)


def test_shut_down(loop):
    """Those inside finish; those in line and newcomers are refused."""
    bulkhead = Bulkhead(1, max_queued_calls=2, max_wait_duration=1)

    async def scenario():
        calls = [asyncio.ensure_future(bulkhead(asyncio.sleep, 0.005, "done")) for _ in range(3)]
        await asyncio.sleep(0.001)
        bulkhead.shutdown(asyncio.get_running_loop().time())
        late = await asyncio.gather(bulkhead(asyncio.sleep, 0), *calls, return_exceptions=True)
        return [str(end) for end in late]

    refused = "bulkhead: shut down"
    assert loop.run_until_complete(scenario()) == [refused, "done", refused, refused]
    assert (bulkhead.inside, bulkhead.waiting) == (0, 0)


def test_every_refusal_is_told():
    """One slot, taken: one event with its reason."""
    events = []
    bulkhead = Bulkhead(1, on_event=events.append)
    bulkhead.try_enter(now=0)
    with SimLoop(seed=1) as loop, pytest.raises(BulkheadFull):
        loop.run_until_complete(bulkhead(asyncio.sleep, 0))
    assert [(event.kind, event.policy, event.reason) for event in events] == [("rejected", "bulkhead", "no slot and no place in line")]


# pools


def pools():
    return BulkheadPools({"critical": Bulkhead(2), "batch": Bulkhead(1)}, key=lambda kind: kind, default="batch")


def test_each_kind_of_call_has_its_own_slots():
    """Batch work fills its one slot, also with calls of unknown kind; critical calls are let in."""

    async def hold(kind):
        await asyncio.sleep(1)
        return kind

    async def scenario():
        through = pools()
        kinds = ["batch", "unknown", "critical", "critical", "critical"]
        return await asyncio.gather(*(through(hold, kind) for kind in kinds), return_exceptions=True)

    with SimLoop(seed=1) as loop:
        ends = loop.run_until_complete(scenario())
    assert [end if isinstance(end, str) else type(end) for end in ends] == ["batch", BulkheadFull, "critical", "critical", BulkheadFull]


def test_a_pools_refusal_is_an_own_one_and_names_the_pool():
    """No failure for the breaker around it."""

    async def scenario():
        breaker, through = CircuitBreaker(), pools()
        pipeline = Pipeline("db", [breaker, through])
        through.pools["batch"].try_enter(now=0)
        with pytest.raises(BulkheadFull) as refused:
            await pipeline.call(asyncio.sleep, 0)
        return refused.value.policy, breaker.metrics(0).failed

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == ("db.bulkhead_pools.batch", 0)


def test_all_pools_shut_down_together():
    """Nobody is let into any of them."""
    through = pools()
    through.shutdown(now=0)
    assert [pool.try_enter(now=0) for pool in through.pools.values()] == [None, None]


def test_the_default_pool_exists():
    """A name that is none of them is refused."""
    with pytest.raises(ValueError, match="not one of a"):
        BulkheadPools({"a": Bulkhead(1)}, key=str, default="b")
