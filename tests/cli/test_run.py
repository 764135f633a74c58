"""`mesocosm run` and `replay` as a user starts them: exit codes, what is printed and written, and the same bytes every time."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reports.export.manifest import version
from reports.session import Asked, perform, prepare, replay

ROOT = Path(__file__).parents[2]
SMALL = """
name: small
duration: 20s
services:
  front:
    uses: {back: {policies: [{retry: {max_attempts: 2, backoff: {initial: 10ms}, on: [5xx, timeout]}}, {timeout: 200ms}]}}
    endpoints: {GET /: [{work: {exponential: 2ms}}, {call: back GET /}]}
  back: {instances: 2, endpoints: {GET /: [{work: {exponential: 5ms}}, {fail: {share: 5%}}]}}
workloads:
  users: {executor: constant-arrival-rate, rate: 50/s, to: front, timeout: 1s, mix: [{send: GET /}]}
steady_state: [{name: answers, measure: success_ratio, of: users, at_least: 95%}]
"""
SLOW = """
name: slow
faults:
  - {name: slow-back, kind: network.delay, target: {link: front->back}, schedule: {at: 8s, for: 5s}, latency: 2s}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "slow.yaml").write_text(SLOW)
    return tmp_path


def mesocosm(*arguments, cwd, piped=None, **environment):
    """The program in a process of its own; *piped* is what comes to its stdin."""
    return subprocess.run([sys.executable, str(ROOT / "cli.py"), *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
                          check=False, input=piped, env={**os.environ, "NO_COLOR": "1", **environment})


def digest(done):
    """What the run measured, as a hash; the run must have ended well."""
    return json.loads(done.stdout)["digest"]


def test_the_digest_depends_on_scenario_and_seed_alone(folder):
    """Neither the process, nor the hash seed, nor what is printed or written changes it; the seed does."""
    runs = [
        mesocosm("run", "small.yaml", "--format", "json", "--no-report", "--out", f"out/{number}", cwd=folder, PYTHONHASHSEED=str(number))
        for number in (0, 1, 12345)
    ]
    assert len({digest(run) for run in runs}) == 1
    text = mesocosm("run", "small.yaml", "--out", "out/text", cwd=folder)
    assert text.returncode == 0 and digest(runs[0]) in text.stdout
    assert digest(mesocosm("run", "small.yaml", "--format", "json", "--no-report", "--seed", "2", cwd=folder)) != digest(runs[0])


def test_a_resolved_scenario_and_a_replay_give_the_same_digest(folder):
    """What was written with every default spelled out is the same scenario; `replay` says so."""
    first = mesocosm("run", "small.yaml", "--faults", "slow.yaml", "--format", "json", "--no-report", "--out", "a", cwd=folder)
    again = mesocosm("run", "a/scenario.resolved.yaml", "--format", "json", "--no-report", "--out", "b", cwd=folder)
    assert digest(first) == digest(again)
    replayed = mesocosm("replay", "a", cwd=folder)
    assert replayed.returncode == 0 and "to the last bit" in replayed.stdout


def test_a_replay_names_the_first_thing_that_differs(folder):
    """A scenario that was changed after its run parts ways somewhere, and that place is named."""
    mesocosm("run", "small.yaml", "--no-report", "--out", "a", cwd=folder)
    resolved = folder / "a" / "scenario.resolved.yaml"
    resolved.write_text(resolved.read_text().replace("share: 5%", "share: 6%"))
    replayed = mesocosm("replay", "a", cwd=folder)
    assert replayed.returncode == 1 and replayed.stdout.startswith("first at t=")


@pytest.mark.parametrize(("arguments", "code", "verdict"), [
    ((), 0, "pass"),
    (("--faults", "slow.yaml"), 1, "fail"),
    (("--faults", "slow.yaml", "--no-faults"), 0, "pass"),
    (("--set", "services.back.endpoints.GET /=[{fail: {status: 500}}]", "--faults", "slow.yaml"), 3, "baseline"),
])
def test_exit_codes_follow_the_verdict(folder, arguments, code, verdict):
    """0 held, 1 fell short under faults, 3 did not hold before the first fault."""
    done = mesocosm("run", "small.yaml", "--format", "json", "--no-report", *arguments, cwd=folder)
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (code, verdict), done.stderr


def test_abort_if_stops_the_run_with_code_4(folder):
    """A run that meets its stop condition ends early and says which."""
    (folder / "small.yaml").write_text(SMALL + "abort_if: [{measure: success_ratio, of: users, at_most: 50%, for: 2s}]\n")
    done = mesocosm("run", "small.yaml", "--faults", "slow.yaml", "--format", "json", "--no-report", cwd=folder)
    summary = json.loads(done.stdout)
    assert done.returncode == 4 and summary["verdict"] == "aborted" and 9 < summary["simulated_s"] < 20


@pytest.mark.parametrize("arguments", [
    ("run", "nothing.yaml"),
    ("run", "small.yaml", "--variant", "nothing"),
    ("run", "small.yaml", "--set", "services.frnt.workers=3"),
    ("run", "small.yaml", "--duration", "20"),
    ("run", "small.yaml", "--format", "xml"),
    ("run", "small.yaml", "--faults", "small.yaml"),
    ("replay", "nothing"),
    ("report", "."),
    ("check", "."),
    ("run",),
])
def test_what_cannot_be_meant_ends_with_code_2_and_no_traceback(folder, arguments):
    """Wrong usage and invalid files are told in words."""
    done = mesocosm(*arguments, cwd=folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr + done.stdout
    assert done.stderr.strip() or done.stdout.strip()


def test_what_comes_through_a_pipe_is_checked_and_not_run(folder):
    """Mistakes have their places in it; a run would have to note which file it was made from."""
    assert mesocosm("check", "-", cwd=folder, piped=SMALL).stdout.startswith("<stdin>: a sound scenario")
    wrong = mesocosm("check", "-", cwd=folder, piped=SMALL.replace("rate: 50/s", "rte: 50/s"))
    assert wrong.returncode == 2 and "did you mean 'rate'?" in wrong.stdout + wrong.stderr
    refused = mesocosm("run", "-", cwd=folder, piped=SMALL)
    assert refused.returncode == 2 and "can be checked, not run" in refused.stderr


def test_the_version_is_told(folder):
    """What manifests have, for bug reports."""
    done = mesocosm("--version", cwd=folder)
    assert done.returncode == 0 and done.stdout == f"mesocosm {version()}\n"


def test_a_replay_says_that_a_file_is_another_now(folder):
    """What the run read is what is run again; who has changed a file since is told, so as not to take `the same` for the change."""
    mesocosm("run", "small.yaml", "--faults", "slow.yaml", "--duration", "10s", "--no-report", "--out", "a", cwd=folder)
    assert mesocosm("replay", "a", cwd=folder).stderr == ""
    (folder / "slow.yaml").write_text(SLOW.replace("2s", "3s"))
    replayed = mesocosm("replay", "a", cwd=folder)
    assert replayed.returncode == 0 and replayed.stderr.startswith("slow.yaml is not what the run read")


def cut_short(folder, name, seconds):
    """A run under the slow link into the folder *name*, with Ctrl-C at the first sample after *seconds*; its summary."""
    asked = Asked(str(folder / "small.yaml"), plans=[str(folder / "slow.yaml")], out=str(folder / name), report=False)
    loaded, place = prepare(asked)
    return perform(asked, loaded, place, lambda progress: progress.at >= seconds and signal.raise_signal(signal.SIGINT)).summary


def test_what_was_interrupted_is_compared_up_to_there(folder):
    """What would have come later is no difference; one before the cut is."""
    assert cut_short(folder, "cut", 5)["verdict"] == "interrupted"
    replayed = replay(str(folder / "cut"))
    assert replayed.same and "where the run was interrupted" in replayed.text
    resolved = folder / "cut" / "scenario.resolved.yaml"
    resolved.write_text(resolved.read_text().replace("share: 5%", "share: 60%"))
    replayed = replay(str(folder / "cut"))
    assert not replayed.same and replayed.text.startswith("first at t=")


def test_a_fault_that_an_interrupted_run_did_not_reach_is_told_so(folder):
    """Its schedule is sound: the run was over before."""
    (warning,) = cut_short(folder, "cut", 5)["warnings"]
    assert warning["name"] == "slow-back" and warning["why"].startswith("the run was over at 5")


def test_without_a_stdout_the_run_is_as_it_is_with_one(folder):
    """Started with its output closed, as some supervisors do, the program says nothing and writes its folder."""
    command = [sys.executable, str(ROOT / "cli.py"), "run", "small.yaml", "--no-report", "--out", "quiet", "--duration", "1s"]
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "" and (folder / "quiet" / "summary.json").exists()


@pytest.mark.parametrize("arguments", [("--help",), ("check", "small.yaml"), ("kinds", "faults")])
def test_nothing_heavy_is_loaded_by_what_should_answer_at_once(folder, arguments):
    """--help, check and kinds load neither numpy, matplotlib, networkx nor simpy."""
    command = [sys.executable, "-X", "importtime", str(ROOT / "cli.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert done.returncode == 0 and not loaded & {"numpy", "matplotlib", "networkx", "simpy"}
