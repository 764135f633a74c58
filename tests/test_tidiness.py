"""The rules of the house about modules: who imports whom, where strangers are let in, what is dead, too long or slow to start.

Each message names the place, the rule and the cure.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib

import pytest

from tests.source_tree import FLOOR, ROOT, all_imports, sources, told

LONGEST = 400  # lines of a file
BORDERS = {  # third-party packages that only one part of the tree may import
    "simpy": ("sim/kernel/",),
    "time_machine": ("sim/kernel/clock.py",),
    "matplotlib": ("reports/charts/",),
    "mpl_toolkits": ("reports/charts/",),
    "networkx": ("reports/", "sim/lab/", "sim/scenario/"),
    "typer": ("cli.py",),
    "rich": ("reports/", "cli.py"),
    "jinja2": ("reports/",),
    "pytest": ("sim/testing/plugin.py",),
}
DISTRIBUTIONS = {  # where the name of the distribution is not that of the package
    "yaml": "PyYAML", "pydantic_core": "pydantic", "annotated_types": "pydantic",
    "mpl_toolkits": "matplotlib", "time_machine": "time-machine",
    "opentelemetry": "opentelemetry-sdk",
}
ENTRY_POINTS = {"cli", "sim"}  # loaded by people and by the installer, not by other modules
HEAVY = {"numpy", "matplotlib", "networkx", "simpy", "scipy", "time_machine", "jinja2"}


def test_imports_point_one_way():
    """base <- kernel | resilience | telemetry <- model <- faults | workload <- scenario <- lab <- reports <- cli."""
    wrong = []
    for one in all_imports():
        if one.target not in sources() or one.source.name == "sim":  # sim/__init__ only names what is public, and loads it late
            continue
        here, there = one.source.room, sources()[one.target].room
        if one.target == "sim":
            wrong.append(f"{one.place}: imports from `sim` itself, whose names are for users: name the module that holds it")
        elif FLOOR[there] > FLOOR[here] or (FLOOR[there] == FLOOR[here] and there != here):
            wrong.append(f"{one.place}: {here} must not see {there} ({one.target}): "
                         f"move what both need down to a lower room, or let {there} call {here}")
    told(wrong)


def test_strangers_stay_behind_their_borders():
    """simpy is for the kernel, matplotlib for the charts, typer for the command line, and so on."""
    told(
        f"{one.place}: {package} is imported in {' and '.join(allowed)} only: move this code there, or ask there for what it gives"
        for one in all_imports()
        for package, allowed in BORDERS.items()
        if one.target.partition(".")[0] == package and not one.source.path.startswith(allowed)
    )


def test_every_stranger_is_declared():
    """What the product imports is among the dependencies of pyproject.toml, so that a fresh machine has it."""
    project = _project()
    lines = [*project["dependencies"], *project["optional-dependencies"]["apps"]]
    declared = {re.split(r"[^\w-]", line)[0].lower() for line in lines}
    ours = {"sim", "reports", "cli", "scenarios"}
    wrong = []
    for one in all_imports():
        package = one.target.partition(".")[0]
        known = package in sys.stdlib_module_names or package in ours
        if not known and DISTRIBUTIONS.get(package, package).lower() not in declared:
            wrong.append(f"{one.place}: {package} is no dependency: add it to `dependencies` in pyproject.toml, or do without")
    told(wrong)


def _project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_no_file_is_dead():
    """Every module is imported by another one, or is an entry point."""
    used = {one.target for one in all_imports() if one.source.name != one.target} | _named_for_the_installer()
    for name in list(used):  # importing a module also runs the packages above it
        while "." in name:
            name = name.rpartition(".")[0]
            used.add(name)
    told(f"{source.path}: nobody imports it: use it, or delete it" for name, source in sources().items()
         if name not in used | ENTRY_POINTS and not name.endswith("__main__"))


def _named_for_the_installer():
    groups = [_project().get("scripts", {}), *_project().get("entry-points", {}).values()]
    return {target.partition(":")[0] for group in groups for target in group.values()}


def test_no_file_is_too_long():
    """One idea, one file; tests as well."""
    trees = ("sim/**/*.py", "reports/**/*.py", "tests/**/*.py", "scenarios/**/*.py", "cli.py")
    files = [path for tree in trees for path in ROOT.glob(tree)]
    lengths = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    told(f"{path}: {length} lines, more than {LONGEST}: find its second idea and give that a file of its own"
         for path, length in lengths.items() if length > LONGEST)


def test_every_test_says_what_it_shows():
    """A test's docstring is a sentence about behaviour."""
    told(
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has no docstring: say in a sentence which behaviour it shows"
        for path in ROOT.glob("tests/**/test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    )


PROBE = """
import importlib.abc, sys, traceback
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in {heavy!r}:
            chain = [f"{{f.filename}}:{{f.lineno}}" for f in traceback.extract_stack() if f.filename.startswith({root!r})]
            print("HEAVY", name, "<-", " <- ".join(reversed(chain[-4:])), file=sys.stderr)
sys.meta_path.insert(0, Watch())
sys.argv = ["mesocosm", *{arguments!r}]
import cli
try:
    cli.main()
except SystemExit as end:
    print("EXIT", end.code, file=sys.stderr)
"""
COMMANDS = [("--help",), ("kinds",), ("check", "scenarios/ecommerce/checkout.yaml")]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_starting_up_loads_nothing_heavy(arguments):
    """`--help`, `kinds` and `check` answer at once: numpy, matplotlib, networkx and simpy stay where they are."""
    missing = [name for name in ("cli.py", *arguments[1:]) if not (ROOT / name).exists()]
    if missing:
        pytest.skip(f"{missing[0]} does not exist yet")
    program = PROBE.format(heavy=HEAVY, arguments=arguments, root=str(ROOT))
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert re.search("^EXIT (0|None)$", ran.stderr, re.MULTILINE), ran.stderr + ran.stdout
    told(f"`{' '.join(arguments)}` loads {line.removeprefix('HEAVY ').replace(f'{ROOT}/', '')}: import it inside the function that needs it"
         for line in ran.stderr.splitlines() if line.startswith("HEAVY"))
