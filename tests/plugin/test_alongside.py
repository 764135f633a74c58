"""Beside other plugins that run coroutines, and in suites that have nothing to do with simulations."""

import pytest

from tests.plugin.small import apart

pytest_plugins = ["pytester"]
OURS = """
    import asyncio, pytest

    @pytest.mark.simulated
    async def test_simulated(sim_loop):
        await asyncio.sleep(3600)
        assert asyncio.get_running_loop() is sim_loop

    @pytest.fixture
    async def moment(sim_loop):
        await asyncio.sleep(60)
        return sim_loop.time()

    @pytest.fixture
    async def opened():
        things = []
        await asyncio.sleep(60)
        yield things
        await asyncio.sleep(60)
        assert things == ["used"] and asyncio.get_running_loop().time() == 180

    @pytest.mark.simulated
    async def test_with_asynchronous_fixtures(moment, opened):
        assert (moment, asyncio.get_running_loop().time()) == (60, 120)
        opened.append("used")

    @pytest.mark.simulated
    class TestMany:
        async def test_in_a_class(self, lab):
            lab.services(shop={"endpoints": {"GET /": [{"work": "1ms"}]}})
            assert (await lab.request("GET /", to="shop")).status == 200
"""
THEIRS = """
    @pytest.mark.{mark}
    async def test_theirs():
        await asyncio.sleep(0.01)
        assert type(asyncio.get_running_loop()).__name__ != "SimLoop"
"""


@pytest.mark.parametrize("options", [
    ("-p", "no:asyncio", "-p", "no:anyio"), ("-p", "no:asyncio"), ("-p", "no:anyio"),
    ("-o", "asyncio_mode=auto"), ("-o", "anyio_mode=auto", "-p", "no:asyncio"),
], ids=["alone", "anyio", "asyncio", "asyncio auto", "anyio auto"])
def test_ours_are_ours(pytester, options):
    """Whoever else is there, and however eager."""
    pytester.makepyfile(OURS)
    result = apart(pytester, "-p", "no:xdist", "--strict-markers", *options)
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize("mark", ["asyncio", "anyio"])
def test_theirs_are_theirs(pytester, mark):
    """A coroutine that bears another plugin's mark runs on a loop of the machine."""
    pytester.makepyfile(OURS + THEIRS.format(mark=mark))
    pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'")
    result = apart(pytester, "-p", "no:xdist")
    result.assert_outcomes(passed=4)


def test_a_suite_without_simulated_tests_pays_nothing(pytester):
    """Nothing of the simulator is loaded, and its fixtures may have our names."""
    pytester.makepyfile("""
        import sys, pytest

        @pytest.fixture
        def lab():
            return "theirs"

        def test_it(lab):
            assert lab == "theirs"
            loaded = [name for name in sys.modules if name.partition(".")[0] in ("simpy", "numpy", "pydantic", "yaml")]
            loaded += [name for name in sys.modules if name.startswith("sim.") and name not in ("sim.testing", "sim.testing.plugin")]
            assert loaded == []
    """)
    apart(pytester).assert_outcomes(passed=1)


def test_a_test_on_another_loop_is_told_how_to_get_onto_ours(pytester):
    """The lab is there for it, and time does not pass for both."""
    pytester.makepyfile("""
        import asyncio, pytest

        async def test_it(lab):
            lab.services(shop={})
            await lab.request("GET /", to="shop")
    """)
    result = apart(pytester, "-p", "no:xdist", "-o", "asyncio_mode=auto")
    result.stdout.fnmatch_lines(["E*this test runs on another loop than its lab: mark it with @pytest.mark.simulated"])
