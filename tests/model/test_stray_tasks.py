"""What service code starts by asyncio itself and does not look after: its errors, its end, and who sees it."""

import gc

import pytest

from sim.kernel import SimLoop, SimulationError
from tests.model.small_runs import at, ran
from tests.model.small_world import SmallWorld

CARELESS = {"code": "tests.model.careless_service:Careless"}


@pytest.fixture
def loop():
    with SimLoop(seed=7) as loop:
        yield loop


def background(result):
    return [(event["at"], event["instance"], event["error"]) for event in result.events if event["kind"] == "background.error"]


@pytest.mark.parametrize(("what", "when", "error"), [
    ("task", 3.001, "ValueError: after 2 s, in True"), ("kept", 3.001, "ValueError: after 2 s, in True"),
    ("gathered", 3.001, "ValueError: after 2 s, in True"), ("callback", 3.001, "IndexError: pop from empty list"),
    ("thread", 1.001, "IndexError: pop from empty list"), ("exit", 1.001, "SystemExit: 3"),
])
def test_an_error_that_nobody_handles_is_an_event_and_the_run_goes_on(what, when, error):
    """At the time of the error, with the instance, and once; the log has a line of it with the trace of the request."""
    result = ran({"api": CARELESS}, {"users": at("1s", send=f"POST /{what}")}, duration="10s")
    assert background(result) == [(pytest.approx(when), "api-0", error)]
    (line,) = result.logs
    assert (line["level"], line["service"], line["instance"], line["error"], line["trace"]) == ("error", "api", "api-0", error, 1)
    assert [event["at"] for event in result.events] == sorted(event["at"] for event in result.events)
    assert result.summary["workloads"]["users"]["ok"] == 1


def test_an_error_that_is_looked_at_later_is_handled():
    """The handler waits for its first task for three seconds, and only then for the second one, that failed after two."""
    result = ran({"api": CARELESS}, {"users": at("1s", send="POST /awaited")}, duration="10s")
    assert not background(result) and result.summary["workloads"]["users"]["ok"] == 1


def test_the_collection_of_garbage_moves_nothing():
    """Tasks that only the collector can find, which comes all the time or never: the same events in the same order."""

    def digest():
        return ran({"api": CARELESS, "web": CARELESS}, {
            to: at("1s", "1s", "1500ms", to=to, send="POST /task", timeout="1s") for to in ("api", "web")}, duration="10s").digest

    before = gc.get_threshold()
    try:
        gc.set_threshold(1)
        often = digest()
        gc.disable()
        assert digest() == often
    finally:
        gc.enable()
        gc.set_threshold(*before)


def test_what_a_killed_process_has_started_ends_with_it(loop):
    """Ticks at 1 s and 2 s, none after the kill; the task of another instance goes on."""
    small = SmallWorld(loop, {"one": CARELESS, "other": CARELESS})
    for name in ("one", "other"):
        small.send(name, "POST", "/ticks")
    one, other = small.process("one"), small.process("other")
    loop.run_until(2.5)
    small.world.node("one").instances[0].kill()
    loop.run_until(4.5)
    assert (len(one.ticks), len(other.ticks)) == (2, 4)


def test_a_handler_of_errors_is_that_of_one_process(loop):
    """As if its loop were its own: it hears of its errors alone, and a new process after a kill has none yet."""
    small = SmallWorld(loop, {"one": CARELESS, "other": CARELESS})
    for path in ("/handler", "/task"):
        small.send("one", "POST", path)
    small.send("other", "POST", "/task")
    loop.run_until(3)
    gc.collect()  # asyncio tells of an error when the task is collected
    one, instance = small.process("one"), small.world.node("one").instances[0]
    instance.kill()
    instance.start()
    loop.run_until(4)
    small.send("one", "POST", "/task")
    loop.run_until(7)
    assert one.taken == ["after 2 s, in True"]
    assert [failure.owner.instance.name for failure in loop.take_failures(held=True)] == ["other-0", "one-0"]


def test_a_process_sees_its_own_tasks_alone(loop):
    """In the order of their start: six that tick, under the names that asyncio gives; ten of another process are not among them."""
    small = SmallWorld(loop, {"one": CARELESS, "other": CARELESS})
    for name, number in (("other", 5), ("one", 6), ("other", 5)):
        for _ in range(number):
            small.send(name, "POST", "/ticks")
    number, names = small.send("one", "GET", "/tasks").json
    assert number == 7 and [name.partition("-")[0] for name in names] == ["Task"] * 6
    assert names == sorted(names, key=lambda name: int(name.partition("-")[2]))


def test_a_process_that_cancels_all_tasks_ends_its_own(loop):
    """As many do when they stop: its handlers and what they started, and nothing of the rest of the system."""
    small = SmallWorld(loop, {"one": CARELESS, "other": CARELESS})
    for name in ("one", "other"):
        small.send(name, "POST", "/ticks")
    waiting = loop.create_task(small.sending("one", "POST", "/awaited"))
    elsewhere = loop.create_task(small.sending("other", "POST", "/awaited"))
    loop.run_until(1.5)
    assert small.send("one", "DELETE", "/tasks").status == 200
    loop.run_until(5.5)
    assert (len(small.process("one").ticks), len(small.process("other").ticks)) == (1, 5)
    assert (waiting.result().status, elsewhere.result().status) == (500, 200)


def test_a_handler_that_sleeps_without_asyncio_is_told_so():
    """A 500 at once, in no real time, and the event names the cure."""
    result = ran({"api": CARELESS}, {"users": at("1s", send="GET /asleep")}, duration="10s")
    (event,) = [event for event in result.events if event["kind"] == "handler.error"]
    assert "time.sleep is not part of a simulation" in event["error"] and "await asyncio.sleep" in event["error"]
    assert result.summary["workloads"]["users"]["failed"] == 1 and result.wall_s < 30


def test_our_own_bugs_still_end_the_run(loop):
    """A task of the simulation itself that fails, beside a service of user code."""

    async def fail():
        raise ValueError("ours")

    SmallWorld(loop, {"one": CARELESS})
    loop.create_task(fail(), name="ours")
    with pytest.raises(SimulationError, match="ValueError: ours"):
        loop.run_until(1)
