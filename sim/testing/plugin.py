"""What pytest calls: the mark `simulated`, the fixtures `sim_loop`, `lab` and `lab_seed`, and the options `--lab-seed` and `--lab-seeds`.

pytest imports this module in every session of an environment that has the package, so it imports nothing of the simulator before a
test asks for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.testing.lab import Lab

MARK = "simulated"
MARK_TAKES = frozenset({"seed", "clock"})
FIRST_SEED = 1  # of a test that names none


@dataclass
class Simulation:
    """What the simulated part of one test consists of."""

    loop: SimLoop
    lab: Lab | None = None


SIMULATION = pytest.StashKey[Simulation]()
FAILED = pytest.StashKey[dict[str, int]]()  # by test, without its seed: the lowest seed that failed here


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mesocosm", "tests on simulated time")
    group.addoption("--lab-seed", type=int, metavar="SEED", help="the seed of simulated tests (default: 1, or what their marks say)")
    group.addoption("--lab-seeds", type=int, metavar="N", default=1, help="repeat simulated tests with N seeds; tells the first that fails")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(seed=1, clock=False): run the test, a coroutine or not, on simulated time; "
                                       "with clock=True time.time(), datetime.now() and their like show it too")
    config.stash[FAILED] = {}
    if config.getoption("lab_seeds") < 1 or (config.getoption("lab_seed") or 0) < 0:
        raise pytest.UsageError("--lab-seeds is 1 or more, and --lab-seed no less than 0")


# fixtures

@pytest.fixture
def lab_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run of the test."""
    return int(getattr(request, "param", _first_seed(request.node, request.config)))


@pytest.fixture
def sim_loop(request: pytest.FixtureRequest, lab_seed: int) -> Iterator[SimLoop]:
    """An asyncio event loop on simulated time. A test marked `simulated` that is a coroutine runs on it."""
    from contextlib import ExitStack

    from sim.kernel import SimLoop
    from sim.kernel.chance import seeded_chance

    mark = request.node.get_closest_marker(MARK)
    if mark is not None and (mark.args or not mark.kwargs.keys() <= MARK_TAKES):
        given = ", ".join([*map(repr, mark.args), *(f"{key}={value!r}" for key, value in mark.kwargs.items())])
        pytest.fail(f"@pytest.mark.{MARK}({given}): it takes seed=NUMBER and clock=True, by name", pytrace=False)
    with ExitStack() as stack:
        stack.enter_context(seeded_chance(lab_seed))
        loop = stack.enter_context(SimLoop(lab_seed))
        if mark is not None and mark.kwargs.get("clock"):
            from sim.kernel.clock import virtual_clock

            stack.enter_context(virtual_clock(loop))
        request.node.stash[SIMULATION] = Simulation(loop)
        yield loop


@pytest.fixture
def lab(request: pytest.FixtureRequest, sim_loop: SimLoop) -> Iterator[Lab]:
    """A small world on `sim_loop`: see sim.testing.lab."""
    from sim.testing.lab import Lab

    with Lab(sim_loop) as lab:
        request.node.stash[SIMULATION].lab = lab
        yield lab


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Generator[None, Any, None]:
    """A fixture that is a coroutine, of a marked test, runs on the loop of the test."""
    function = fixturedef.func
    asynchronous = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if not asynchronous or fixturedef.scope != "function" or request.node.get_closest_marker(MARK) is None:
        yield
        return
    from sim.testing.running import fixture_in_loop

    fixturedef.func = fixture_in_loop(function, request.getfixturevalue("sim_loop"))
    try:
        yield
    finally:
        fixturedef.func = function


# the mark

@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> None:
    """A marked test has a loop, whether it asks for one or not."""
    own = getattr(obj, "pytestmark", ())
    if collector.istestfunction(obj, name) and (collector.get_closest_marker(MARK) or any(mark.name == MARK for mark in own)):
        pytest.mark.usefixtures("sim_loop")(obj)


def _nobody_runs(excinfo: Any) -> bool:
    """What pytest says of a coroutine that no plugin runs; before version 8.4 it skips such a test."""
    return excinfo is not None and issubclass(excinfo[0], pytest.fail.Exception | pytest.skip.Exception) and (
        str(excinfo[1]).startswith("async def function"))


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, None]:
    """Before any other plugin sees that the test is a coroutine, it is a plain function that runs it."""
    mark = pyfuncitem.get_closest_marker(MARK)
    if mark is None:
        outcome = yield
        if SIMULATION in pyfuncitem.stash and _nobody_runs(outcome.excinfo):
            fixture = "lab" if pyfuncitem.stash[SIMULATION].lab is not None else "sim_loop"
            outcome.force_exception(pytest.fail.Exception(
                f"a coroutine that uses `{fixture}` needs the mark: write @pytest.mark.{MARK} above it, and it runs on simulated time",
                pytrace=False))
        return
    from sim.testing.running import conducted

    before = pyfuncitem.obj
    with conducted(before, pyfuncitem.stash[SIMULATION].loop) as pyfuncitem.obj:
        yield
    pyfuncitem.obj = before


# seeds

@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    number = metafunc.config.getoption("lab_seeds")
    if number > 1 and "lab_seed" in metafunc.fixturenames:
        first = _first_seed(metafunc.definition, metafunc.config)
        seeds = range(first, first + number)
        metafunc.parametrize("lab_seed", seeds, indirect=True, ids=[f"seed{seed}" for seed in seeds])


def _first_seed(node: Any, config: pytest.Config) -> int:
    asked = config.getoption("lab_seed")
    if asked is not None:
        return int(asked)
    mark = node.get_closest_marker(MARK)
    return int(mark.kwargs.get("seed", FIRST_SEED)) if mark is not None else FIRST_SEED


def _without_seed(nodeid: str, seed: int) -> str:
    return nodeid.replace(f"[seed{seed}]", "").replace(f"-seed{seed}", "").replace(f"seed{seed}-", "")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Once a seed has failed, the later ones have nothing to add."""
    seed = _seed_of(item)
    if seed is not None:
        failed = item.config.stash[FAILED].get(_without_seed(item.nodeid, seed), seed)
        if failed < seed:
            pytest.skip(f"seed {failed} has failed already")


def _seed_of(item: pytest.Item) -> int | None:
    """The seed that the test is repeated with, or None if it is not repeated."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return params.get("lab_seed")


# what a failing test tells

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    report = (yield).get_result()
    simulation = item.stash.get(SIMULATION, None)
    if not report.failed or simulation is None:
        return
    from sim.testing.story import story

    seed = simulation.loop.seed
    test = _without_seed(item.nodeid, seed)
    report.sections.append(("simulation", story(simulation.loop, simulation.lab, f"pytest '{test}' --lab-seed {seed}")))
    if _seed_of(item) is not None:
        report.lab_seed = [test, seed]
        failed = item.config.stash[FAILED]
        failed[test] = min(seed, failed.get(test, seed))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """With `--lab-seeds`, of each test the first seed that failed; also where several processes have looked."""
    first: dict[str, int] = {}
    for report in [*terminalreporter.stats.get("failed", ()), *terminalreporter.stats.get("error", ())]:
        if hasattr(report, "lab_seed"):
            test, seed = report.lab_seed
            first[test] = min(seed, first.get(test, seed))
    if first:
        terminalreporter.section("first failing seeds")
        for test, seed in sorted(first.items()):
            terminalreporter.line(f"{test} fails with seed {seed}: pytest '{test}' --lab-seed {seed}")
