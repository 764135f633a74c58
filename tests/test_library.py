"""The package as a library: its public names are documented by examples that run, and typed for those who use them."""

import doctest
import importlib
import subprocess
import sys

import pytest

import sim
from tests.source_tree import ROOT

EXAMPLES = ["sim", "sim.kernel.loop", "sim.model.messages", "sim.scenario.load"]
USER = '''
import asyncio

from sim import Delivery, Request, Response, RunResult, Scenario, Service, SimLoop, World, health_check, load, loads, route, run, subscribe
from sim.testing import Lab


class Orders(Service):
    async def start(self) -> None:
        self.taken = 0

    @route("POST", "/orders/{name}")
    async def create(self, request: Request, name: str) -> Response:
        stock = await self.call("stock", "GET", f"/{name}", optional=True)
        rows = await self.query("db", lambda tables: len(tables["orders"]), write=True)
        self.log.info("taken", name=name, rows=rows + 1)
        return Response(201 if stock.ok else 202, json=request.json)

    @subscribe("order.*")
    async def listen(self, delivery: Delivery) -> None:
        self.taken += delivery.number

    @health_check("itself")
    async def lives(self) -> str:
        return "is there"


def look(world: World) -> None:
    print(list(world.nodes))


def main(path: str) -> float:
    scenario: Scenario = load(path) if path else loads("name: x")
    result: RunResult = run(scenario, seed=1, on_end=look)
    longest: float = result.requests.latency.max()
    with SimLoop(seed=1) as loop:
        return longest + loop.run_until_complete(asyncio.sleep(3600, 1.0)) + loop.time()


async def test_orders(lab: Lab) -> None:
    lab.services(orders={"code": Orders, "instances": 2})
    with lab.fault("instance.kill", target="orders"):
        answer: Response = await lab.request("POST /orders/1", to="orders", timeout="1s")
        assert answer.status == 503 and lab.now > 0
    lab.end().expect("success_ratio", at_most="50%")
'''


@pytest.mark.parametrize("module", EXAMPLES)
def test_the_examples_of_docstrings_run(module, monkeypatch):
    """As they stand there."""
    monkeypatch.chdir(ROOT)
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.parametrize("name", sim.__all__)
def test_every_public_name_has_an_example(name):
    """In the docstring of the package; and it can be imported."""
    imports = [line for line in sim.__doc__.splitlines() if line.startswith(">>> from sim import ")]
    assert any(name in line.removeprefix(">>> from sim import ").split(", ") for line in imports)
    assert getattr(sim, name) is not None


@pytest.mark.validate
def test_a_users_strict_type_checker_is_content(tmp_path):
    """`mypy --strict` on a small file with all the public names, and it does see their types."""
    (tmp_path / "orders.py").write_text(USER)
    (tmp_path / "wrong.py").write_text("from sim import Response, SimLoop\nSimLoop(seed='one')\nnumber: str = Response(200).status\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache")]
    command += ["--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "orders.py"), str(tmp_path / "wrong.py")]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    assert [line.partition("error: ")[2].partition("  [")[2] for line in told] == ["arg-type]", "assignment]"], "\n".join(told)


def test_the_package_says_that_it_is_typed():
    """The marker of PEP 561 lies beside the code, and is part of what is installed."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert (ROOT / "sim" / "py.typed").is_file() and 'sim = ["py.typed"]' in project
