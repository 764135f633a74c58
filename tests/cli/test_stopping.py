"""Stopping before the end: Ctrl-C once and more often, SIGTERM, and a reader that closes the pipe. Nothing that was measured is lost."""

import json
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from reports import session
from reports.session import Asked, perform, prepare, replay
from sim import Service, route
from sim.lab.pool import finished
from sim.lab.sweep import sweep
from sim.scenario.scenario import Scenario

from .test_run import ROOT, SMALL, cut_short, folder, mesocosm  # noqa: F401 - a fixture

TELLING = 'services:\n  telling: {code: "telling:Telling"}'  # that the run is under way
TELLS = """import asyncio, os, pathlib
from sim import Response, Service, route
class Telling(Service):
    async def start(self):
        self.spawn(self.tell(), "tell")
    async def tell(self):
        await asyncio.sleep(10)
        pathlib.Path(f"{os.getpid()}.going").touch()
    @route("GET", "/")
    async def get(self, request):
        return Response(200)
"""


def started(folder, *arguments):  # noqa: F811
    """The program in a process of its own, going on."""
    return subprocess.Popen([sys.executable, str(ROOT / "cli.py"), *arguments], cwd=folder, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def test_one_ctrl_c_two_in_a_row_or_a_sigterm_end_the_run_and_what_it_measured_is_written(folder):  # noqa: F811
    """Code 130; what is on disk is conserved and marked. The second Ctrl-C comes while the first still takes effect."""
    (folder / "small.yaml").write_text(SMALL.replace("duration: 20s", "duration: 10h").replace("services:", TELLING))
    (folder / "telling.py").write_text(TELLS)
    signals = {"once": [signal.SIGINT], "twice": [signal.SIGINT, signal.SIGINT], "term": [signal.SIGTERM]}
    running = {name: started(folder, "run", "small.yaml", "--no-report", "--out", name) for name in signals}
    limit = time.monotonic() + 60  # real seconds: a signal can only come from outside
    while len(list(folder.glob("*.going"))) < len(running) and time.monotonic() < limit:
        time.sleep(0.05)
    for number in range(2):
        for name in signals:
            if signals[name][number:]:
                running[name].send_signal(signals[name][number])
        time.sleep(0.05)
    for name, process in running.items():
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, ""), name
        summary = json.loads((folder / name / "summary.json").read_text())
        totals = summary["requests"]
        assert summary["verdict"] == "interrupted" and 0 < summary["simulated_s"] < 36_000
        assert totals["started"] == sum(totals[key] for key in ("ok", "degraded", "failed", "rejected", "unfinished")) > 0


@pytest.mark.parametrize(("in_the_run", "in_writing", "verdict"), [(1, 1, "interrupted"), (2, 0, "interrupted"), (0, 2, "pass")])
def test_what_is_being_written_is_written_whole(folder, monkeypatch, in_the_run, in_writing, verdict):  # noqa: F811
    """Ctrl-C changes nothing about it; a run that was over then is no interrupted one."""
    monkeypatch.setattr(session, "draw", lambda result, place, lang: ctrl_c(in_writing))
    loaded, place = prepare(Asked(str(folder / "small.yaml"), out=str(folder / "cut")))
    result = perform(Asked(str(folder / "small.yaml"), out=str(folder / "cut")), loaded, place,
                     lambda progress: ctrl_c(in_the_run * (4.99 < progress.at < 5.01)))
    assert result.summary["verdict"] == verdict and (folder / "cut" / "manifest.json").exists()


def test_the_third_ctrl_c_gives_up_and_leaves_nothing_half_written(folder, monkeypatch):  # noqa: F811
    """Who insists is heard."""
    monkeypatch.setattr(session, "draw", lambda result, place, lang: ctrl_c(2))
    asked = Asked(str(folder / "small.yaml"), out=str(folder / "cut"))
    with pytest.raises(KeyboardInterrupt):
        perform(asked, *prepare(asked), lambda progress: ctrl_c(4.99 < progress.at < 5.01))
    assert sorted(path.name for path in folder.iterdir()) == ["slow.yaml", "small.yaml"]


def ctrl_c(times):
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


def test_the_replay_of_what_was_interrupted_goes_no_further(folder):  # noqa: F811
    """It is compared up to the cut, and what comes after is not run: here, where the whole would take minutes."""
    (folder / "small.yaml").write_text(SMALL.replace("duration: 20s", "duration: 2h"))
    assert cut_short(folder, "cut", 12)["simulated_s"] == 12
    began = time.monotonic()
    replayed = replay(str(folder / "cut"))
    assert replayed.same and "up to 12 s, where" in replayed.text and time.monotonic() - began < 20


class Impatient(Service):
    """Somebody presses Ctrl-C while this answers."""

    @route("GET", "/")
    async def answer(self, request):
        ctrl_c(1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_keeps_no_cell_that_was_interrupted(tmp_path, jobs):
    """Ctrl-C in the middle of a run ends the sweep; the cell is run again when the sweep goes on."""
    users = {"rate": "10/s", "to": "api", "mix": [{"send": "GET /"}]}
    scenario = Scenario.model_validate({"name": "cut", "duration": "20s", "workloads": {"users": users},
                                        "services": {"api": {"code": "tests.cli.test_stopping:Impatient"}}})
    with pytest.raises(KeyboardInterrupt):
        sweep([({}, scenario)], [1, 2], tmp_path / "sweep", identity={}, crew=partial(finished, jobs=jobs))
    assert not list((tmp_path / "sweep" / "cells").iterdir())


def test_a_reader_that_has_enough_is_no_error(folder):  # noqa: F811
    """`| head` takes what it wants; the program ends as others do, with 141 and without a word."""
    mesocosm("run", "small.yaml", "--duration", "2s", "--no-report", "--out", "a", cwd=folder)
    for arguments in (("kinds",), ("--help",), ("logs", "a"), ("traces", "a", "--slowest", "50")):
        process = started(folder, *arguments)
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (141, ""), arguments
