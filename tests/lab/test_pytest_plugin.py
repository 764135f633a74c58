"""The pytest plugin, in test files of its own."""

# loaded before: pytester unloads what its runs have loaded, and not everything can be loaded twice
import numpy  # noqa: F401
import pytest

import sim.kernel.clock
import sim.lab.run
import sim.scenario.load  # noqa: F401

pytest_plugins = ["pytester"]
PLUGIN = ("-p", "sim.lab.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:xdist")


def run(pytester, text, *options):
    pytester.makepyfile(text)
    pytester._monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # an installed mesocosm would be loaded twice
    return pytester.runpytest_inprocess(*PLUGIN, *options)


def test_an_async_test_runs_on_simulated_time(pytester):
    """An hour passes at once, on the clocks that code reads too; a plain test has the loop as a fixture."""
    result = run(pytester, """
        import asyncio, time, pytest

        @pytest.mark.simulated
        async def test_an_hour():
            before = time.monotonic()
            await asyncio.sleep(3600)
            assert time.monotonic() - before == 3600

        @pytest.mark.simulated
        class TestMany:
            @pytest.mark.parametrize("seconds", [1, 2])
            async def test_seconds(self, seconds, sim_loop):
                await asyncio.sleep(seconds)
                assert sim_loop.time() == seconds

        def test_plain(sim_loop):
            assert sim_loop.run_until_complete(asyncio.sleep(5, "done")) == "done"
    """)
    result.assert_outcomes(passed=4)


def test_a_small_world_is_built_broken_and_run(pytester):
    """A second of delay under a timeout of 300 ms: the result says what became of it."""
    result = run(pytester, """
        def test_slow_payments(lab):
            lab.service("shop", endpoints={"POST /orders": [{"call": "payments POST /charges"}]},
                        uses={"payments": {"policies": [{"timeout": "300ms"}]}})
            lab.service("payments", endpoints={"POST /charges": [{"work": "20ms"}]})
            lab.load("users", to="shop", send="POST /orders", rate="20/s")
            lab.fault("network.delay", "shop->payments", at="10s", during="10s", latency="1s")
            users = lab.run("30s").summary["workloads"]["users"]
            assert 0.5 < users["success_ratio"] < 0.8 and users["by_status"]["504"] > 100
    """)
    result.assert_outcomes(passed=1)


def test_a_failure_tells_seed_faults_and_how_to_see_it_again(pytester):
    """What is printed is enough to come back to it."""
    result = run(pytester, """
        def test_it(lab):
            lab.service("shop").load("users", to="shop", send="GET /", rate="1/s")
            lab.fault("instance.kill", "shop", at="2s", name="gone", restart_after="1s")
            lab.run("5s")
            assert False
    """, "--lab-seed", "7")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["seed 7", "ran to t=5s, verdict *", "gone (instance.kill) on shop* from t=2s until t=*",
                                 "to see it again: pytest '*test_it' --lab-seed 7"])


def test_many_seeds_stop_at_the_first_that_fails(pytester):
    """Seeds 1 and 2 pass, 3 fails, 4 and 5 are not needed."""
    result = run(pytester, """
        def test_it(lab, lab_seed):
            assert lab.seed < 3
    """, "--lab-seeds", "5")
    result.assert_outcomes(passed=2, failed=1, skipped=2)
    result.stdout.fnmatch_lines(["*test_it' --lab-seed 3"])


def test_other_async_tests_are_left_to_others(pytester):
    """Without the mark an async test is not ours: pytest says that it knows no way to run it."""
    result = run(pytester, """
        async def test_somebody_elses():
            pass
    """)
    assert result.ret != pytest.ExitCode.INTERNAL_ERROR and result.parseoutcomes().get("passed") is None


def test_a_mistake_is_told_as_for_a_file(pytester):
    """The name that was meant, and where."""
    result = run(pytester, """
        def test_it(lab):
            lab.service("shop").load("users", to="shopp", send="GET /", rate="1/s").run("5s")
    """)
    result.stdout.fnmatch_lines(["*did you mean 'shop'?*"])
