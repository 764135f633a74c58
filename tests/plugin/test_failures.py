"""What a failing test tells, and how tests are repeated with many seeds."""

import pytest

from tests.plugin.small import apart, inside

pytest_plugins = ["pytester"]
SHOP = """
    import asyncio, pytest
    from tests.plugin.small import shop
"""


def test_a_failure_tells_seed_time_faults_errors_and_how_to_see_it_again(pytester):
    """All that is needed to come back to it."""
    result = inside(pytester, SHOP + """
    @pytest.mark.simulated(seed=7)
    def test_it(lab):
        shop(lab)
        lab.fault("instance.kill", target={"instance": "payments-1"}, at=2, restart_after="1s", name="gone")
        lab.wait(5)
        lab.send("POST /orders", to="orders", json="broken")
        with lab.fault("network.delay", target="orders->payments", latency="1s"):
            lab.wait(1)
            assert lab.now == 0
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        "*- simulation -*", "seed 7, t=6.*s when the test failed", "faults:", "  2 s – 3 s  gone (instance.kill)  payments-1",
        "  5.* s – (still on)  network.delay  orders->payments", "errors in service code:",
        "  5.* s  orders-0: ZeroDivisionError: in the handler", "replay: pytest 'test_a_failure*.py::test_it' --lab-seed 7"])


def test_a_test_that_passes_tells_nothing(pytester):
    """Nor does one that is not simulated."""
    result = inside(pytester, """
        def test_passes(lab):
            lab.services(shop={})
            lab.run(1)

        def test_fails():
            assert False
    """)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*simulation*")


SEEDS = """
    import pytest

    @pytest.mark.simulated
    async def test_from_three(lab_seed):
        assert lab_seed < 3

    @pytest.mark.parametrize("word", ["a", "b"])
    def test_for_b(lab, word):
        assert word == "a" or lab.seed < 4

    @pytest.mark.simulated(seed=10)
    def test_with_a_seed_of_its_own(lab_seed):
        assert 10 <= lab_seed < 14

    def test_plain():
        pass
"""


def test_many_seeds_end_with_the_first_that_fails(pytester):
    """Later ones of the same test are skipped; others go on, and a plain test runs once."""
    result = inside(pytester, SEEDS, "--lab-seeds", "4")
    result.assert_outcomes(passed=2 + 4 + 3 + 4 + 1, failed=2, skipped=1)
    result.stdout.fnmatch_lines(["*first failing seeds*", "*::test_for_b[[]b] fails with seed 4: pytest '*::test_for_b[[]b]' --lab-seed 4",
                                 "*::test_from_three fails with seed 3: pytest '*::test_from_three' --lab-seed 3"])


@pytest.mark.parametrize("options", [("--lab-seeds", "0"), ("--lab-seed", "-1")])
def test_seeds_that_are_none_are_refused(pytester, options):
    """As wrong usage, before anything runs."""
    result = inside(pytester, SEEDS, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR and "--lab-seeds is 1 or more" in result.stderr.str()


def test_the_replay_fails_as_the_first_time(pytester):
    """As it is printed."""
    inside(pytester, SEEDS, "--lab-seed", "3", "-k", "three").assert_outcomes(failed=1, deselected=4)
    inside(pytester, SEEDS, "--lab-seed", "2", "-k", "three").assert_outcomes(passed=1, deselected=4)


@pytest.mark.validate
def test_seeds_are_spread_over_processes(pytester):
    """With pytest-xdist the lowest seed that failed is found all the same."""
    pytester.makepyfile(SEEDS)
    result = apart(pytester, "-n", "2", "--lab-seeds", "12", "-k", "three or plain")
    assert result.parseoutcomes()["failed"] >= 1
    result.stdout.fnmatch_lines(["*::test_from_three fails with seed 3: *"])
