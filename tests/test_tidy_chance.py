"""The rules of the house about time, chance and order: the same seed gives the same bytes, on every machine and in every process.

Each rule looks at one module and gives what is wrong with it, with the cure; a second test shows what it catches.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.source_tree import Source, imports, sources, told

Rule = Callable[[Source], Iterator[str]]
LOOP_TIME = "take the time from the loop (`loop.time()`), or have it handed in as `now`"
STREAM = 'draw from a stream that is handed in: streams["what it is for"]'


def no_wall_clock(source: Source) -> Iterator[str]:
    """Only kernel/clock.py touches the real clocks; the lab may measure how long a run took.

    It imports `perf_counter` by name, since by attribute it would be simulated time while a user's own code runs.
    """
    if source.path == "sim/kernel/clock.py":
        return
    loads_time = any(one.target == "time" for one in imports(source))
    calendar = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            if source.room == "lab" and [alias.name for alias in node.names] == ["perf_counter"]:
                continue
            yield f"{source.path}:{node.lineno}: imports from `time`: {LOOP_TIME}"
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            real = loads_time and name.startswith("time.")
            if real or ".".join(name.split(".")[-2:]) in calendar:
                yield f"{source.path}:{node.lineno}: {name} is the wall clock: {LOOP_TIME}"


def no_global_chance(source: Source) -> Iterator[str]:
    """No global generator, and no entropy of the machine; only kernel/chance.py seeds what code under test draws from."""
    if source.path == "sim/kernel/chance.py":
        return
    generators = {"random.Random", "np.random.Generator", "np.random.PCG64"}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if re.fullmatch(r"(random|np\.random|numpy\.random|secrets)\.\w+|uuid\.uuid[14]|os\.urandom", name) and name not in generators:
                yield f"{source.path}:{node.lineno}: {name} is not of this run: {STREAM}"
        elif isinstance(node, ast.ImportFrom) and node.module in {"random", "secrets", "numpy.random"}:
            for alias in node.names:
                if alias.name not in {"Random", "Generator", "PCG64"}:
                    yield f"{source.path}:{node.lineno}: {alias.name} of {node.module} is not of this run: {STREAM}"


def no_hash(source: Source) -> Iterator[str]:
    """`hash` of a text differs from process to process."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash":
            yield f"{source.path}:{node.lineno}: hash() differs from process to process: use sim.streams.stream_seed, or hashlib"


def no_order_of_sets(source: Source) -> Iterator[str]:
    """A set of texts has another order in every process."""
    for node in ast.walk(source.tree):
        for one in _in_order(node):
            if _is_set(one):
                yield (f"{source.path}:{one.lineno}: `{ast.unparse(one)}` has the order of hashes: "
                       "write sorted(...), or keep a dict or a list instead of a set")


def _in_order(node: ast.AST) -> list[ast.expr]:
    """What *node* goes through one by one, where the order shows."""
    if isinstance(node, ast.For | ast.AsyncFor):
        return [node.iter]
    if isinstance(node, ast.ListComp | ast.DictComp):
        return [generator.iter for generator in node.generators]
    if isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Load):
        return [node.value]
    if not isinstance(node, ast.Call):
        return []
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
    taken = [argument for argument in node.args if isinstance(argument, ast.GeneratorExp)]
    inside = [generator.iter for argument in taken for generator in argument.generators]
    if name in {"sorted", "set", "frozenset", "any", "all", "min", "max", "len"}:
        return []
    if name in {"list", "tuple", "enumerate", "iter", "zip", "map", "filter", "deque", "sum", "join", "extend", "fromkeys", "gather"}:
        return [*node.args, *inside]
    return inside


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr | ast.Sub | ast.BitXor):
        return any(_is_set(side) or _is_keys(side) for side in (node.left, node.right))
    return False


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def no_wait_for(source: Source) -> Iterator[str]:
    """On Python 3.11 `asyncio.wait_for` can lose a cancellation."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for":
            yield f"{source.path}:{node.lineno}: asyncio.wait_for can lose a cancellation: write `async with asyncio.timeout(...)`"


RULES = [no_wall_clock, no_global_chance, no_hash, no_order_of_sets, no_wait_for]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_simulation_keeps_the_rule(rule):
    """Every module under sim/ does."""
    told(wrong for source in sources().values() if source.name.startswith("sim") for wrong in rule(source))


@pytest.mark.parametrize(("rule", "text", "lines"), [
    (no_wall_clock, "import time\ntime.time()\ntime.sleep(1)\nloop.time()", [2, 3]),
    (no_wall_clock, "from time import monotonic", [1]),
    (no_wall_clock, "import datetime\ndatetime.datetime.now()\ndatetime.date.today()", [2, 3]),
    (no_global_chance, "import random\nrandom.random()\nrandom.Random(1)\nrng.random()", [2]),
    (no_global_chance, "from random import Random, choice", [1]),
    (no_global_chance, "np.random.normal()\nnp.random.default_rng()\nos.urandom(4)\nuuid.uuid4()", [1, 2, 3, 4]),
    (no_hash, "hash('a')\nx.hash('a')\nhashlib.sha256()", [1]),
    (no_order_of_sets, "for x in {1, 2}: pass\nfor x in sorted({1, 2}): pass\nfor x in [1, 2]: pass", [1]),
    (no_order_of_sets, "list({1})\n[x for x in set(a)]\n{x for x in set(a)}\nlen({1})\n[*{1}]\n', '.join({1})", [1, 2, 5, 6]),
    (no_order_of_sets, "for k in a.keys() & b.keys(): pass\nfor k in a.keys(): pass\nmax(a.keys() - b)", [1]),
    (no_order_of_sets, "tuple(x for x in {1})\nany(x for x in {1})\nf(x for x in {1})", [1, 3]),
    (no_wait_for, "asyncio.wait_for(x, 1)\nasyncio.wait(x)", [1]),
])
def test_a_rule_catches_what_it_is_for(rule, text, lines):
    """And lets pass what only looks like it."""
    source = Source("sim/model/example.py", "sim.model.example", ast.parse(text))
    assert sorted(int(wrong.split(":")[1]) for wrong in rule(source)) == lines
