"""What is shipped for readers runs: the bugs and the tests that find them, and the README's example."""

import re
import subprocess
import sys

from tests.plugin.small import QUICK, inside
from tests.source_tree import ROOT

pytest_plugins = ["pytester"]


def bugs(*options):
    command = [sys.executable, "-m", "pytest", "scenarios/bugs", *QUICK, "--no-header", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_each_bug_is_found_by_its_test_and_what_is_fixed_passes():
    """Three apps fail as expected, three pass."""
    assert re.search(r"3 passed, 3 xfailed", bugs("-o", "addopts="))


def test_the_failures_say_what_is_wrong_and_under_which_faults():
    """As somebody sees them who has such a bug, and the same with another seed."""
    told = bugs("--runxfail", "--lab-seed", "5")
    for line in ("AssertionError: charged more than once", "AssertionError: green suffers for blue", "all workers wait",
                 "  2 s – 7 s  network.reset", "(still on)  http.abort  blue", "  5 s – (still on)  instance.pause  recommendations-0"):
        assert line in told
    assert told.count("--lab-seed 5") == 3


def test_the_example_of_the_readme_runs(pytester):
    """As it is printed there."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("### In your tests")[2]
    (example,) = re.findall(r"```python\n(.*?)```", section.partition("\n### ")[0], re.DOTALL)
    inside(pytester, example).assert_outcomes(passed=2)
