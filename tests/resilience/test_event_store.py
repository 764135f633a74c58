"""Event store: versions, snapshots that change nothing, projections that follow."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience.event_store import ConcurrencyConflict, EventStore, Projection, SnapshotPolicy, Sourced


def balance(state, event):
    return state + event


def account(store, **options):
    return Sourced(store, lambda: 0, balance, **options)


def test_a_writer_who_has_not_seen_the_latest_is_refused():
    """Two read version 1; the first writes, the second is refused and nothing of its events is there."""
    store = EventStore()
    store.append("a", [100], expected_version=0)
    assert store.append("a", [-30], expected_version=1) == 2
    with pytest.raises(ConcurrencyConflict, match="at version 2, not 1"):
        store.append("a", [-80, -1], expected_version=1)
    assert [recorded.event for recorded in store.read("a")] == [100, -30]
    assert store.append("a", [5]) == 3


def test_events_that_cannot_all_be_made_are_not_written():
    """A generator that raises after the first one: all or none."""

    def decisions():
        yield 100
        raise ValueError("no credit")

    store = EventStore()
    with pytest.raises(ValueError, match="no credit"):
        store.append("a", decisions())
    assert (store.version("a"), store.position) == (0, 0)


def test_streams_have_versions_and_the_store_has_positions():
    """Versions count in a stream, positions over all."""
    store = EventStore()
    store.append("a", [1, 2])
    store.append("b", [3])
    assert [(r.stream, r.version, r.position) for r in store.read_all()] == [("a", 1, 1), ("a", 2, 2), ("b", 1, 3)]
    assert [r.event for r in store.read_all(after=1, limit=1)] == [2]
    assert [r.event for r in store.read("a", after=1)] == [2]


def test_with_snapshots_the_state_is_the_same():
    """After every event of fifty, snapshots every five: as the full replay."""
    store = EventStore()
    plain, quick = account(store), account(store, snapshots=SnapshotPolicy(after_events=5))
    for event in range(50):
        store.append("a", [event])
        assert quick.load("a") == plain.load("a")
    version, state = store.snapshot("a")
    assert (version, state) == (48, sum(range(48)))


def test_a_snapshot_is_not_changed_by_what_happens_to_the_state_later():
    """It is a copy, going in and coming out."""
    store = EventStore()
    items = Sourced(store, list, lambda state, event: [*state, event], snapshots=SnapshotPolicy(after_events=0))
    store.append("a", [1])
    state, _ = items.load("a")
    state.append("garbage")
    assert items.load("a")[0] == [1]


@pytest.mark.parametrize("bad", [(1, "not a number"), (99, 7)])
def test_a_bad_snapshot_is_discarded(bad):
    """One to which nothing can be applied, and one from the future: all events are replayed."""
    store = EventStore()
    store.append("a", [1, 2, 3])
    store.save_snapshot("a", *bad)
    assert account(store).load("a") == (6, 3)


def test_an_error_in_an_event_itself_is_raised():
    """Without a snapshot there is nothing to discard."""
    store = EventStore()
    store.append("a", ["not a number"])
    with pytest.raises(TypeError):
        account(store).load("a")


def total(state, recorded):
    return state + recorded.event


def test_a_projection_keeps_its_place_and_can_be_rebuilt():
    """It catches up in steps, and made anew it says the same."""
    store = EventStore()
    view = Projection(store, lambda: 0, total)
    store.append("a", [1, 2])
    store.append("b", [3])
    assert (view.lag, view.catch_up(limit=2), view.state, view.lag) == (3, 2, 3, 1)
    view.catch_up()
    before = view.state
    view.rebuild()
    assert (view.state, view.lag) == (before, 0) == (6, 0)


def test_an_event_that_cannot_be_applied_is_tried_again():
    """The view stops before it, and goes on once it can."""
    store, broken = EventStore(), [True]

    def apply(state, recorded):
        if recorded.event == 2 and broken:
            raise ValueError("not yet")
        return state + recorded.event

    view = Projection(store, lambda: 0, apply)
    store.append("a", [1, 2, 3])
    with pytest.raises(ValueError, match="not yet"):
        view.catch_up()
    assert (view.position, view.state) == (1, 1)
    broken.clear()
    assert view.catch_up() == 2


def test_whoever_waits_for_a_position_reads_what_it_wrote():
    """The view follows every 50 ms; a read at once is stale, a read that waits is not. A reader that leaves harms nobody."""
    with SimLoop(seed=1) as loop:
        store = EventStore()
        view = Projection(store, lambda: 0, total)

        async def scenario():
            follower = asyncio.ensure_future(view.run(interval=0.05))
            await asyncio.sleep(0.01)
            store.append("a", [7])
            leaver = asyncio.ensure_future(view.seen(store.position))
            stale = view.state
            await asyncio.sleep(0)
            leaver.cancel()
            await view.seen(store.position)
            follower.cancel()
            return stale, view.state, loop.time()

        assert loop.run_until_complete(scenario()) == (0, 7, pytest.approx(0.05))
