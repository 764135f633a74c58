"""`sweep` and `compare`: what is kept when a sweep is killed, that the number of processes changes nothing, and what differs."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from reports.sweeping import Given, few, swept
from sim.errors import InvalidInput
from sim.kernel.problems import SimulationError
from sim.lab.pool import finished
from sim.lab.sweep import sweep

from .test_run import ROOT, folder, mesocosm  # noqa: F401 - a fixture

SWEEP = ("sweep", "small.yaml", "--vary", "services.back.workers=1,2,4", "--vary", "workloads.users.rate=20/s,50/s", "--seeds", "2",
         "--duration", "10s", "--measure", "workloads.users.latency_s.p99")


def cells(place):
    """The finished cells, by file name, without how long each took."""
    found = {}
    for path in sorted(place.glob("cells/*.json")):
        cell = json.loads(path.read_text())
        cell["summary"].pop("wall_s")
        found[path.name] = cell
    return found


def test_a_sweep_that_was_killed_goes_on_where_it_was(folder):  # noqa: F811
    """kill -9 loses nothing that was finished: those cells are not run again, and the whole is that of a sweep nobody disturbed."""
    whole = mesocosm(*SWEEP, "--out", "whole", "--jobs", "1", cwd=folder)
    assert whole.returncode == 0 and len(cells(folder / "whole")) == 12
    process = subprocess.Popen([sys.executable, str(ROOT / "cli.py"), *SWEEP, "--out", "cut", "--jobs", "1"], cwd=folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 60
    while len(list((folder / "cut").glob("cells/*.json"))) < 3 and time.monotonic() < limit:
        time.sleep(0.05)  # real time: only from outside can a process be killed
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "cut").glob("cells/*.json")}
    assert 3 <= len(kept) < 12
    again = mesocosm(*SWEEP, "--out", "cut", "--jobs", "2", cwd=folder)
    assert again.returncode == 0 and cells(folder / "cut") == cells(folder / "whole")
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert again.stdout.splitlines()[:8] == whole.stdout.splitlines()[:8]


@pytest.mark.validate
def test_a_cluster_runs_the_same_sweep(folder):  # noqa: F811
    """Two workers of Dask, made for it, leave the cells that this machine alone leaves, and a table of the same rows."""
    pytest.importorskip("distributed")
    few_cells = ("sweep", "small.yaml", "--vary", "services.back.workers=1,2", "--duration", "5s", "--jobs", "2")
    here = mesocosm(*few_cells, "--backend", "local", "--out", "here", cwd=folder)
    there = mesocosm(*few_cells, "--backend", "dask", "--out", "there", cwd=folder)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert cells(folder / "there") == cells(folder / "here") and len(cells(folder / "here")) == 2
    assert there.stdout.splitlines()[:3] == here.stdout.splitlines()[:3]


def test_values_that_are_lists_may_hold_commas(folder):  # noqa: F811
    """Commas inside brackets do not part values."""
    done = mesocosm("sweep", "small.yaml", "--vary", "services.back.endpoints.GET /=[{work: 1ms}, {sleep: 9ms}],[{work: 1ms}]",
                    "--duration", "5s", "--measure", "services.back.latency_s.p50", "--out", "lists", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [cell["summary"]["services"]["back"]["latency_s"]["p50"] for cell in
            sorted(cells(folder / "lists").values(), key=lambda cell: str(cell["varied"]))] == [pytest.approx(0.01), pytest.approx(0.001)]


def test_a_folder_of_another_sweep_is_refused(folder):  # noqa: F811
    """Cells of two sweeps are never mixed."""
    for workers in ("1,2,4", "1,2"):
        other = mesocosm("sweep", "small.yaml", "--vary", f"services.back.workers={workers}", "--duration", "2s", "--measure",
                         "workloads.users.goodput_rps", "--out", "a", cwd=folder)
    assert other.returncode == 2 and "holds another sweep" in other.stderr


CODE = """from sim import Response, Service, route
class Back(Service):
    @route("GET", "/")
    async def get(self, request):
        return Response(200)
"""


@pytest.mark.validate
def test_what_a_service_s_code_or_a_named_file_was_is_part_of_a_sweep(tmp_path):
    """Cells that other code, or other data, has come to are not taken for those of today; with the same, also in several processes, the
    sweep goes on."""
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "times.csv").write_text("0.001\n")
    (tmp_path / "a.yaml").write_text(
        "name: a\nduration: 2s\nservices:\n  s: {code: 'mine:Back'}\n  t: {endpoints: {GET /: [{work: {empirical: {file: times.csv}}}]}}\n"
        "workloads:\n  u: {executor: constant-arrival-rate, rate: 5/s, to: s, mix: [{send: GET /}]}\n")
    again = ("sweep", "a.yaml", "--vary", "services.s.workers=4,8", "--measure", "workloads.u.goodput_rps", "--out", "s")
    assert [mesocosm(*again, *more, cwd=tmp_path).returncode for more in ((), ("--jobs", "2"))] == [0, 0]
    (tmp_path / "mine.py").write_text(CODE.replace("200", "201"))
    other_code = mesocosm(*again, cwd=tmp_path)
    assert other_code.returncode == 2 and "holds another sweep, with other mine (see sweep.json)" in other_code.stderr
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "times.csv").write_text("0.002\n")
    other_data = mesocosm(*again, cwd=tmp_path)
    assert other_data.returncode == 2 and "times.csv (see sweep.json)" in other_data.stderr


def test_a_sweep_may_be_killed_before_it_has_a_name(tmp_path):
    """What it is lies there whole or not at all, and is not written again: neither a kill nor a full disk makes the folder useless."""
    (tmp_path / "sweep.part").write_text('{"vary": ')
    assert sweep([], [], tmp_path, identity={"vary": {}}) == []
    before = (tmp_path / "sweep.json").stat().st_ino
    assert sweep([], [], tmp_path, identity={"vary": {}}) == [] and (tmp_path / "sweep.json").stat().st_ino == before
    (tmp_path / "sweep.json").write_text("")
    with pytest.raises(InvalidInput, match="cannot be read"):
        sweep([], [], tmp_path, identity={"vary": {}})


def test_the_table_has_a_row_for_each_combination_and_charts_are_drawn(folder):  # noqa: F811
    """Six combinations, with means over their seeds; the figures can be named."""
    done = mesocosm(*SWEEP, "--out", "s", cwd=folder)
    rows = done.stdout.splitlines()
    assert [row.split()[:2] for row in rows[1:7]] == [[w, r] for w in "124" for r in ("20/s", "50/s")]
    assert (folder / "s" / "cells.csv").read_text().count("\n") == 13
    assert list((folder / "s" / "charts").rglob("sweep.svg"))


@pytest.mark.parametrize(("arguments", "told"), [
    (("sweep", "small.yaml", "--vary", "services.back.workers"), "--vary 'services.back.workers': write PATH=VALUE,VALUE"),
    (("sweep", "small.yaml", "--vary", "services.bakc.workers=1,2"), "--vary services.bakc.workers=1: there is no 'bakc' in 'services'"),
    (("sweep", "small.yaml", "--vary", "services.back.workers=1,x"), "--vary services.back.workers=x: should be a whole number"),
    (("sweep", "small.yaml", "--vary", "services.back.workers=1", "--duration", "5s", "--measure", "workloads.users.nothing"), "--measure "),
    (("sweep", "small.yaml", "--vary", "services.back.workers=1", "--duration", "99h", "--measure", "workloads.users.goodput"),
     "--measure 'workloads.users.goodput': 'goodput' is not there; did you mean 'goodput_rps'?"),
    (("compare", "small.yaml", "base", "services.back.workers=1", "--duration", "99h", "--measure", "workload.users.goodput_rps"),
     "--measure 'workload.users.goodput_rps': 'workload' is not there; did you mean 'workloads'?"),
    (("sweep", "small.yaml", "--vary", "services.back.workers=1", "--backend", "ray"), "--backend"),
    (("sweep", "small.yaml", "--vary", "services.back.workers=1", "--scheduler", "tcp://10.0.0.5:8786"), "add --backend dask"),
    (("compare", "small.yaml", "base", "nothing"), "nothing: neither `base` nor a variant of small.yaml"),
    (("compare", "small.yaml", "base", "nothing"), "or compare with a PATH=VALUE, 'services.orders.workers=32', or with another file"),
    (("compare", "small.yaml", "baes", "services.back.workers=x"), "did you mean 'base'?"),
    (("compare", "small.yaml", "baes", "services.back.workers=x"), "\nservices.back.workers=x: should be a whole number"),
    (("compare", "small.yaml", "base", "smal.yaml"), "did you mean 'small.yaml'?"),
])
def test_what_cannot_be_swept_or_compared_is_told(folder, arguments, told):  # noqa: F811
    """Code 2, in the words in which it was asked for, both sides at once; before anything runs where that can be known."""
    done = mesocosm(*arguments, cwd=folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert told in f"\n{done.stderr}"


def test_what_did_not_happen_in_some_runs_counts_there_as_nothing(folder):  # noqa: F811
    """A back that is quick, and one that turns away whoever waits: of the first no 503 is in the summary and nobody whom it turned away,
    and 0 of them are in the table."""
    given = Given(str(folder / "small.yaml"), (), ["services.back.queue={limit: 9, max_wait: 1ms}"], "2s", None, 1, 1)
    figures = ["workloads.users.by_status.503", "services.back.admission.max_wait"]
    done = list(swept(given, ["services.back.workers=50,1", "services.back.endpoints.GET /=[{work: 50ms}]"], None, figures,
                      str(folder / "s")))
    quick, slow = (line.split(",")[-2:] for line in (folder / "s" / "cells.csv").read_text().splitlines()[1:])
    assert list(map(float, quick)) == [0, 0] and min(map(float, slow)) > 5 and done[1].split()[-2:] == ["0", "0"]
    with pytest.raises(InvalidInput, match="'599' is not there"):
        list(swept(given, ["services.back.workers=1"], None, ["workloads.users.by_status.599"], str(folder / "t")))


def test_a_comparison_pairs_its_runs(folder):  # noqa: F811
    """The same against itself differs nowhere; a service that takes ten times as long differs, and the figures lie in a file. However long what
    was asked is, the table stays narrow."""
    same = mesocosm("compare", "small.yaml", "base", "base", "--seeds", "3", "--duration", "10s", "--out", "same", cwd=folder)
    assert same.returncode == 0 and "differs" not in same.stdout
    assert "base and base are the same scenario" in same.stdout and "seeds say little" not in same.stdout
    assert os.path.exists(folder / "same" / "goodput" / "comparison.svg")
    slower = "services.back.endpoints.GET /=[{work: {exponential: 50ms}}]"
    done = mesocosm("compare", "small.yaml", "base", slower, "--seeds", "3", "--duration", "10s", "--out", "c", cwd=folder)
    assert "3 seeds say little" in done.stdout and "are the same scenario" not in done.stdout
    line = next(line for line in done.stdout.splitlines() if "p50" in line)
    assert "differs" in line
    assert slower in done.stdout.splitlines()[0] and "exponential: 50ms" not in done.stdout.splitlines()[1] and len(line) < 110
    figures = json.loads((folder / "c" / "comparison.json").read_text())["figures"]["workloads.users.latency_s.p50"]
    assert all(gap > 0.02 for gap in figures["difference"]) and os.path.exists(folder / "c" / "goodput" / "comparison.svg")


@pytest.mark.validate
def test_in_spanish_the_texts_are_too(folder):  # noqa: F811
    """Heads, notes and what lies where; names and figures are the scenario's and summary.json's."""
    done = mesocosm("compare", "small.yaml", "base", "services.back.workers=1", "--seeds", "2", "--duration", "2s", "--lang", "es", cwd=folder)
    assert "frente a services.back.workers=1, 2 pares con las mismas semillas" in done.stdout and "2 semillas dicen poco" in done.stdout
    swept = mesocosm("sweep", "small.yaml", "--vary", "services.back.workers=1,2", "--duration", "2s", "--measure",
                     "workloads.users.goodput_rps", "--lang", "es", cwd=folder)
    assert "una sola ejecución no dice nada del azar" in swept.stdout and "2 ejecuciones" in swept.stdout
    assert "did you mean 'es'?" in mesocosm("explain", "small.yaml", "--lang", "ess", cwd=folder).stderr


def broken(number):
    raise SimulationError(ValueError(number), 2.5, "orders-0", 7)


def test_an_error_of_a_run_comes_from_its_process_as_it_is():
    """With its time, its task and its seed, and not as a pool that is broken."""
    with pytest.raises(SimulationError, match=r"ValueError: [12] .unhandled at t=2\.5s in orders-0, seed 7") as caught:
        list(finished(broken, [1, 2], jobs=2))
    assert (caught.value.at, caught.value.task, caught.value.seed) == (2.5, "orders-0", 7)


def at_sigterm(number):
    return signal.getsignal(signal.SIGTERM)


def test_processes_of_a_pool_end_at_sigterm_whatever_this_program_does_then():
    """The pool ends them by it; taken as a Ctrl-C each would print a traceback."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        assert [found for _, found in finished(at_sigterm, [1, 2], jobs=2)] == [signal.SIG_DFL] * 2
    finally:
        signal.signal(signal.SIGTERM, before)


def given(seeds):
    return Given("small.yaml", (), (), None, None, seeds, 1)


def test_few_seeds_are_said_to_say_little():
    """One gives no interval, two a very wide one; how much more seeds would narrow it is Student's t over the root of their number."""
    assert list(few(given(1))) == ["one run of each says nothing about chance: with --seeds 5 or more there are intervals"]
    assert "--seeds 5 would make the intervals 7.2 times narrower, --seeds 10 12.6 times" in next(few(given(2)))  # 12.706/√2, 2.776/√5, 2.262/√10
    assert not list(few(given(5)))
