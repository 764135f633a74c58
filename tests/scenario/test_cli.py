"""The command line as a user meets it: output, exit codes, and an answer at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "tests" / "scenario" / "shop.yaml"
HEAVY = ("numpy", "matplotlib", "networkx", "simpy", "rich", "jinja2", "scipy", "dask", "httpx")


def mesocosm(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}, timeout=60)


def test_check_says_what_is_in_a_sound_file():
    """Code 0, one line on stdout, nothing on stderr."""
    done = mesocosm("check", SHOP)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{SHOP}: a sound scenario: 6 services, 1 workload, 1 check, 1 fault, 1 variant\n"


def test_check_tells_every_problem_and_ends_with_two(tmp_path):
    """Places first, as editors read them; no traceback."""
    path = tmp_path / "x.yaml"
    path.write_text("name: x\nduration: 5\nsede: 1\nservices: {}\n")
    done = mesocosm("check", path, tmp_path / "none.yaml", tmp_path)
    assert done.returncode == 2
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    places = [head.partition(": ")[0] for head in heads]
    assert places == [f"{path}:2:11", f"{path}:3:1", f"{tmp_path / 'none.yaml'}:1:1", f"{tmp_path}:1:1"]
    assert "Traceback" not in done.stdout + done.stderr


def test_a_terminal_that_cannot_show_a_character_is_no_bug(tmp_path):
    """An ASCII terminal gets escapes instead of a traceback."""
    path = tmp_path / "x.yaml"
    path.write_text("namé: µs\n")
    done = mesocosm("check", path, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "nam\\xe9" in done.stdout


@pytest.mark.parametrize("arguments", [["check"], ["chek"], ["check", "--frobnicate", "x"], ["kinds", "nothing-like-it"], ["schema", "x"]])
def test_wrong_usage_ends_with_two(arguments):
    """Something on stderr says how it is used."""
    done = mesocosm(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_schema_prints_a_schema():
    """Nothing but JSON on stdout."""
    assert json.loads(mesocosm("schema").stdout)["title"] == "mesocosm scenario"
    assert json.loads(mesocosm("schema", "faults").stdout)["title"] == "mesocosm faults"


def test_kinds_describes_one_group_or_one_kind():
    """The same words as in the files, for a terminal or for documentation."""
    assert "circuit_breaker" in mesocosm("kinds", "policies").stdout
    assert mesocosm("kinds", "network.delay", "--markdown").stdout.startswith("## faults\n")


def test_init_writes_files_that_are_sound_and_overwrites_none(tmp_path):
    """A second time it refuses."""
    folder = tmp_path / "new" / "shop"
    written = mesocosm("init", folder).stdout.split()
    assert mesocosm("check", *written).returncode == 0
    (folder / "faults.yaml").write_text("mine")
    again = mesocosm("init", folder)
    assert again.returncode == 2
    assert "not overwritten" in again.stderr
    assert (folder / "faults.yaml").read_text() == "mine"


def test_init_says_so_where_it_cannot_write():
    """A file in the way, a name that cannot be."""
    for place in (SHOP / "x", "/proc/x"):
        done = mesocosm("init", place)
        assert done.returncode == 2
        assert "cannot be written" in done.stderr


def test_a_reader_who_has_enough_is_no_bug():
    """`mesocosm kinds | head -1` ends quietly."""
    done = subprocess.run(f"{sys.executable} cli.py kinds | head -1", shell=True, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.startswith("FILES")
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["check", SHOP], ["check", ROOT / "scenarios/ecommerce/checkout.yaml"], ["kinds"]])
def test_nothing_heavy_is_loaded_to_answer_at_once(arguments):
    """`check`, `kinds` and `--help` need no numpy, no charts and no simulator."""
    lines = mesocosm(*arguments, PYTHONPROFILEIMPORTTIME="1").stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "typer" in loaded
    assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)
