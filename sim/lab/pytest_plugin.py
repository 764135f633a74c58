"""The pytest plugin: tests on simulated time, and small worlds to break.

    @pytest.mark.simulated
    async def test_it_gives_up_after_an_hour(sim_loop):
        ...                                                 # asyncio.sleep(3600) costs nothing

    def test_my_shop_survives(lab):
        ...                                                 # see sim.lab.small

`--lab-seed N` fixes the seed, `--lab-seeds N` repeats each test that asks for one with seeds 1 to N and stops it at the first that fails.
A test that fails tells its seed, how far it had got, which faults were on when, and how to see it again.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.lab.small import Lab

MARK = "simulated"
SEEDED = ("sim_loop", "lab")
_LOOP = pytest.StashKey["SimLoop"]()
_LAB = pytest.StashKey["Lab"]()
_FAILED = pytest.StashKey[dict[str, int]]()
_running: list[SimLoop] = []  # innermost last


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--lab-seed` and `--lab-seeds`."""
    group = parser.getgroup("mesocosm")
    group.addoption("--lab-seed", type=int, default=1, help="the seed of simulated tests (default: 1)")
    group.addoption("--lab-seeds", type=int, default=None, help="repeat simulated tests with seeds 1 to N, each until it fails")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", f"{MARK}: run the test, async or not, on a loop with simulated time")
    config.stash[_FAILED] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run for each seed."""
    count = metafunc.config.getoption("lab_seeds")
    marked = metafunc.definition.get_closest_marker(MARK) is not None
    if count is not None and (marked or any(name in metafunc.fixturenames for name in SEEDED)):
        if "lab_seed" not in metafunc.fixturenames:
            metafunc.fixturenames.append("lab_seed")
        metafunc.parametrize("lab_seed", range(1, count + 1), ids=lambda seed: f"seed{seed}")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: Any) -> Any:
    """Turn a marked async test into a plain one before any other plugin can take it for its own."""
    if not (inspect.iscoroutinefunction(obj) and collector.funcnamefilter(name)):
        return None
    marks = [*getattr(obj, "pytestmark", ()), *collector.iter_markers()]
    if all(mark.name != MARK for mark in marks):
        return None
    functions = list(collector._genfunctions(name, obj))
    for function in functions:
        function.obj = _on_the_loop(function.obj)
    return functions


def _on_the_loop(test: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **options: Any) -> None:
        _running[-1].run_until_complete(test(*args, **options))

    return run


@pytest.fixture
def lab_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test."""
    return int(request.config.getoption("lab_seed"))


@pytest.fixture
def sim_loop(request: pytest.FixtureRequest, lab_seed: int) -> Iterator[SimLoop]:
    """An asyncio loop on simulated time; clocks that the code under test reads show that time, too."""
    from sim.kernel import SimLoop
    from sim.kernel.clock import virtual_clock

    with SimLoop(lab_seed) as loop, virtual_clock(loop):
        request.node.stash[_LOOP] = loop
        _running.append(loop)
        try:
            yield loop
        finally:
            _running.pop()


@pytest.fixture(autouse=True)
def _simulated(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker(MARK) is not None:
        request.getfixturevalue("sim_loop")


@pytest.fixture
def lab(request: pytest.FixtureRequest, lab_seed: int) -> Lab:
    """A world to be built, broken and run: see sim.lab.small."""
    from sim.lab.small import Lab

    made = request.node.stash[_LAB] = Lab(lab_seed)
    return made


def pytest_runtest_setup(item: pytest.Item) -> None:
    """After the first seed that failed, the others of the same test tell nothing new."""
    failed = item.config.stash[_FAILED].get(_without_seed(item))
    if failed is not None and item.config.getoption("lab_seeds") is not None:
        pytest.skip(f"seed {failed} has failed before")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[Any]:
    """Tell what somebody needs who looks into a failure."""
    outcome: Any = yield
    report = outcome.get_result()
    loop, lab = item.stash.get(_LOOP, None), item.stash.get(_LAB, None)
    if report.when != "call" or not report.failed or (loop is None and lab is None):
        return
    seed = lab.seed if lab is not None else loop.seed if loop is not None else 0
    lines = [lab.told() if lab is not None else f"seed {seed}, t={loop.time():g}s" if loop is not None else ""]
    lines.append(f"to see it again: pytest '{_without_seed(item)}' --lab-seed {seed}")
    report.sections.append(("mesocosm", "\n".join(lines)))
    item.config.stash[_FAILED].setdefault(_without_seed(item), seed)


def _without_seed(item: pytest.Item) -> str:
    """The test's id, as it is called without `--lab-seeds`."""
    seed = getattr(item, "callspec", None) and item.callspec.params.get("lab_seed")  # type: ignore[attr-defined]
    if not seed:
        return item.nodeid
    return item.nodeid.replace(f"[seed{seed}]", "").replace(f"-seed{seed}]", "]").replace(f"[seed{seed}-", "[")
