"""`@pytest.mark.simulated` and the fixture `sim_loop`."""

import asyncio
import random
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies

from sim import SimLoop
from tests.plugin.small import inside

pytest_plugins = ["pytester"]


@pytest.mark.simulated
async def test_a_coroutine_runs_on_simulated_time(sim_loop):
    """A day passes at once; the wall clock stays the machine's."""
    before = time.monotonic()
    await asyncio.sleep(86_400)
    assert sim_loop.time() == 86_400 and asyncio.get_running_loop() is sim_loop and time.monotonic() - before < 60


@pytest.mark.simulated(clock=True)
async def test_clocks_show_simulated_time_where_asked():
    """Code that looks at the clocks of the machine sees the hour pass."""
    before = time.monotonic(), time.time(), datetime.now(UTC)
    await asyncio.sleep(3600)
    assert (time.monotonic() - before[0], time.time() - before[1], (datetime.now(UTC) - before[2]).total_seconds()) == (3600, 3600, 3600)


@pytest.mark.simulated
def test_a_plain_function_may_use_asyncio_run():
    """Every new event loop is simulated; after the test they are as before."""
    async def an_hour():
        await asyncio.sleep(3600)
        return asyncio.get_running_loop()

    assert isinstance(asyncio.run(an_hour()), SimLoop) and asyncio.run(an_hour()).time() == 3600


def test_event_loops_are_those_of_the_machine_again():
    """The mark touches its own test alone."""
    loop = asyncio.new_event_loop()
    loop.close()
    assert not isinstance(loop, SimLoop)


def test_a_plain_test_has_the_loop_as_a_fixture(sim_loop):
    """Without the mark, too."""
    assert sim_loop.run_until_complete(asyncio.sleep(5, "done")) == "done" and sim_loop.time() == 5


@pytest.mark.simulated
class TestInAClass:
    """The mark of a class is that of its tests."""

    async def test_method(self, sim_loop):
        """A method has `self` and its fixtures."""
        await asyncio.sleep(10)
        assert sim_loop.time() == 10 and isinstance(self, TestInAClass)

    @pytest.mark.parametrize("seconds", [1, 2])
    async def test_parametrized(self, seconds, sim_loop, tmp_path):
        """Parameters and other fixtures come as ever."""
        await asyncio.sleep(seconds)
        assert sim_loop.time() == seconds and tmp_path.is_dir()


@pytest.mark.simulated
@settings(max_examples=5, database=None)
@given(seconds=strategies.floats(min_value=0, max_value=1e6))
async def test_hypothesis_may_draw_the_arguments(seconds):
    """Every example has a loop of its own, on which time begins anew."""
    assert asyncio.get_running_loop().time() == 0
    await asyncio.sleep(seconds)
    assert asyncio.get_running_loop().time() == seconds


@pytest.mark.simulated(seed=5)
async def test_chance_of_the_code_under_test_is_seeded(lab_seed):
    """`random` gives what the seed says."""
    assert lab_seed == 5 and random.random() == random.Random(5).random()


def test_chance_goes_on_afterwards_as_if_nothing_had_been(pytester):
    """A suite that has seeded `random` for itself keeps its numbers."""
    state = random.getstate()
    inside(pytester, """
        import random, pytest

        @pytest.mark.simulated
        async def test_it():
            random.random()
    """).assert_outcomes(passed=1)
    assert random.getstate() == state


def test_an_error_that_nobody_took_fails_the_test(pytester):
    """In a task of the background, with the line that raised."""
    result = inside(pytester, """
        import asyncio, pytest

        async def background():
            await asyncio.sleep(2)
            1 / 0

        @pytest.mark.simulated
        async def test_it():
            task = asyncio.create_task(background(), name="the background")
            await asyncio.sleep(5)
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([">*1 / 0", "E*ZeroDivisionError: division by zero",
                                 "E*SimulationError: ZeroDivisionError: division by zero (unhandled at t=2s in the background, seed 1)"])
    result.stdout.no_fnmatch_line("*_run_events*")


def test_a_test_that_waits_for_ever_fails_at_once(pytester):
    """Where nothing is scheduled any more, and where a world goes on for ever around it."""
    result = inside(pytester, """
        import asyncio, pytest

        @pytest.mark.simulated
        async def test_alone():
            await asyncio.Event().wait()

        @pytest.mark.simulated
        async def test_in_a_world(lab):
            lab.services(shop={})
            lab.scenario({"duration": "10m"})
            await asyncio.Event().wait()
    """)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*deadlock at t=0s, seed 1*", "*the test: in test_alone (*:5), waiting for Event.wait",
                                 "*lasts 600 s at most, and the test still waits in test_in_a_world (*:11), waiting for Event.wait*"])


def test_other_coroutines_are_left_to_others(pytester):
    """Without the mark a coroutine is not ours, and a suite without simulated tests loads nothing of the simulator."""
    result = inside(pytester, """
        async def test_somebody_elses():
            pass

        def test_mine():
            pass
    """)
    outcomes = result.parseoutcomes()
    assert outcomes.pop("passed") == 1 and sum(outcomes.get(word, 0) for word in ("failed", "skipped")) == 1


@pytest.mark.parametrize("given", ["5", "seeed=5", "seed=5, clocks=True"])
def test_a_mark_that_says_what_it_cannot_mean_is_refused(pytester, given):
    """A seed that is not taken would make a test look at another run than its author meant."""
    result = inside(pytester, f"""
        import pytest

        @pytest.mark.simulated({given})
        async def test_it():
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"@pytest.mark.simulated({given}): it takes seed=NUMBER and clock=True, by name"])


def test_the_mark_is_known(pytester):
    """To `pytest --markers`, and to suites that are strict about them."""
    inside(pytester, "def test_it(): pass", "--markers").stdout.fnmatch_lines(["@pytest.mark.simulated(seed=1, clock=False): *"])


def test_a_coroutine_without_the_mark_is_told_of_it(pytester):
    """Where it uses what is ours, and nobody else runs it; another one is told what pytest says."""
    result = inside(pytester, """
        async def test_lab(lab): pass
        async def test_loop(sim_loop): pass
        async def test_other(): pass
    """)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["a coroutine that uses `lab` needs the mark: write @pytest.mark.simulated above it*",
                                 "a coroutine that uses `sim_loop` needs the mark*", "async def functions are not natively supported*"])
