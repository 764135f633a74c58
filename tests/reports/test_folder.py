"""A run's folder: whole or not there, never on top of something else, and readable again."""

import errno
import hashlib
import json
import os
import resource
import signal
import subprocess

import numpy as np
import pytest
import yaml

from reports import folder
from reports.export.manifest import Origin
from reports.export.sampling import EVERYTHING, Sampling
from sim import load, run
from tests.reports.export_runs import shop

FILES = {
    "manifest.json", "scenario.resolved.yaml", "summary.json", "requests.npz", "spans.npz", "samples.npz", "traces.otlp.jsonl",
    "traces.jaeger.json", "timeline.chrome.json", "metrics.om", "logs.jsonl", "events.jsonl", "latency.hgrm", "junit.xml", "journal.json",
    "run.jsonl",
}


def names(directory):
    return {path.name for path in directory.iterdir()}


def content(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_everything_is_in_it(tmp_path):
    """Every file of the contract, and nothing beside the folder."""
    place = folder.write(shop(), tmp_path / "out" / "run")
    assert names(place) == FILES
    assert names(tmp_path / "out") == {"run"}


def test_the_same_run_gives_the_same_bytes(tmp_path):
    """Wherever it is written."""
    one, two = (folder.write(shop(), tmp_path / name) for name in ("one", "two"))
    assert content(one) == content(two)


def test_json_files_are_json(tmp_path):
    """Strictly: no NaN anywhere."""

    def refuse(constant):
        raise AssertionError(constant)

    place = folder.write(shop(), tmp_path / "run")
    for path in place.iterdir():
        if path.suffix in (".json", ".jsonl"):
            for text in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
                json.loads(text, parse_constant=refuse)
    assert json.loads((place / "summary.json").read_text())["nothing"] is None


def test_the_manifest_says_what_was_run(tmp_path):
    """Files with their hashes, seed, overrides, versions, and what of the traces was written."""
    scenario = tmp_path / "shop.yaml"
    scenario.write_text("name: shop\n")
    origin = Origin(scenario=scenario, faults=[scenario], overrides=["services.orders.instances=3"], options={"duration": "10s"})
    about = folder.read_manifest(folder.write(shop(), tmp_path / "run", origin=origin, sampling=EVERYTHING))
    assert about["schema"] == "mesocosm/manifest/1"
    assert about["scenario"] == {"path": str(scenario), "sha256": hashlib.sha256(b"name: shop\n").hexdigest()}
    assert (about["seed"], about["digest"], about["overrides"]) == (7, "sha256:0", ["services.orders.instances=3"])
    assert {"simpy", "numpy", "pydantic"} <= set(about["packages"])
    assert about["traces"]["spans_written"] == len(shop().spans)
    assert set(about["files"]) == FILES - {"manifest.json"}


def test_it_reads_back_as_it_was(tmp_path):
    """Tables, names, events, logs, attributes, faults, summary and scenario."""
    result = shop(summary={"verdict": "pass", "checks": []})
    again = folder.read(folder.write(result, tmp_path / "run", sampling=Sampling(head=0)))
    for table in ("requests", "spans"):
        assert (getattr(again, table).rows == getattr(result, table).rows).all() or table == "requests"
    assert np.array_equal(again.requests.end, result.requests.end, equal_nan=True)
    series = again.series("orders", "queue")
    assert (series.at.tolist(), series.max.tolist()) == ([5.0, 10.0], [2.0, 3.0])
    assert {key: list(value) for key, value in vars(again.names).items()} == {key: list(value) for key, value in vars(result.names).items()}
    for field in ("name", "seed", "duration", "events", "logs", "attributes", "faults", "summary", "digest", "scenario", "description"):
        assert getattr(again, field) == getattr(result, field), field


def test_a_simulated_run_comes_back_and_runs_again(tmp_path):
    """Its resolved scenario runs to the same digest, and so does the folder's summary."""
    result = run(load("tests/reports/small.yaml"))
    place = folder.write(result, tmp_path / "run")
    assert run(load(place / "scenario.resolved.yaml")).digest == folder.read(place).digest == result.digest
    assert folder.read(place).summary["requests"] == result.summary["requests"]
    assert yaml.safe_load((place / "scenario.resolved.yaml").read_text())["name"] == "small"


def test_others_add_their_files_before_it_is_there(tmp_path):
    """The report is written into the folder while nobody can see it yet, and the manifest lists it."""
    seen = []

    def report(stage):
        seen.append((stage / "summary.json").exists() and not (stage / "manifest.json").exists() and not (tmp_path / "run").exists())
        (stage / "charts").mkdir()
        (stage / "charts" / "one.svg").write_text("<svg/>")

    place = folder.write(shop(), tmp_path / "run", also=[report])
    assert seen == [True]
    assert "charts/one.svg" in folder.read_manifest(place)["files"]


def test_an_existing_run_is_not_overwritten(tmp_path):
    """Without force it stays as it is; with force the new one takes its place."""
    place = folder.write(shop(), tmp_path / "run")
    (place / "mine.txt").write_text("notes")
    before = content(place)
    with pytest.raises(folder.FolderError, match=r"already holds a run\n.*--force"):
        folder.write(shop(seed=8), place)
    assert content(place) == before
    folder.write(shop(seed=8), place, force=True)
    assert folder.read(place).seed == 8
    assert names(tmp_path) == {"run"}


def test_a_folder_that_is_no_run_is_never_replaced(tmp_path):
    """Not even with force: it may be somebody's home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x")
    with pytest.raises(folder.FolderError, match="not a run's"):
        folder.write(shop(), tmp_path / "home", force=True)
    assert names(tmp_path / "home") == {"thesis.tex"}


def test_an_empty_folder_is_used(tmp_path):
    """Somebody made it for us."""
    (tmp_path / "run").mkdir()
    assert folder.is_run(folder.write(shop(), tmp_path / "run"))


def test_a_file_in_the_way_is_named(tmp_path):
    """As the folder itself, and as a part of the way to it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(folder.FolderError, match="is a file, not a folder"):
        folder.write(shop(), tmp_path / "file")
    with pytest.raises(folder.FolderError, match=r"file/run: a part of this path is a file.*\n.*nothing was written"):
        folder.write(shop(), tmp_path / "file" / "run")


def test_a_place_that_cannot_be():
    """Under /proc nobody can make a folder; a name may have 255 bytes."""
    with pytest.raises(folder.FolderError, match="there can be no folder here\n"):
        folder.write(shop(), "/proc/mesocosm/run")
    with pytest.raises(folder.FolderError, match="the name is too long\n"):
        folder.write(shop(), "/tmp/" + 300 * "x")


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path):
    """The system refuses to write on in the middle of a file: the old run stays, nothing half-written does, and the error says why."""
    place = folder.write(shop(), tmp_path / "run")
    before = content(place)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        with pytest.raises(folder.FolderError, match="a file would be larger than is allowed here") as raised:
            folder.write(shop(seed=8), place, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert raised.value.__cause__.errno == errno.EFBIG
    assert content(place) == before
    assert names(tmp_path) == {"run"}


@pytest.fixture
def mounted(tmp_path):
    """A file system of 256 KiB of its own; *again* mounts it with other options."""

    def mount(options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True).returncode == 0

    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or not mount("size=256k"):
        pytest.skip("no right to mount a file system")
    yield disk, mount
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(mounted):
    """A small disk: said in plain words, and it is as empty as before."""
    disk, _ = mounted
    with pytest.raises(folder.FolderError, match=r"the disk is full\n.*nothing was written; free some space"):
        folder.write(run(load("tests/reports/small.yaml")), disk / "run")
    assert names(disk) == set()


def test_a_read_only_disk(mounted):
    """Said in plain words, and before a run too."""
    disk, mount = mounted
    assert mount("remount,ro")
    for attempt in (lambda: folder.check_free(disk / "run", force=False), lambda: folder.write(shop(), disk / "run")):
        with pytest.raises(folder.FolderError, match=r"run: the file system is read-only\n"):
            attempt()


def test_our_own_bug_leaves_nothing_behind(tmp_path):
    """An error that the user cannot mend passes as it is: one in a calculation, a template of ours that is not there."""

    def miscalculates(stage):
        raise ZeroDivisionError

    def misses_a_file(stage):
        (stage / "template.html").read_text()

    for report, error in ((miscalculates, ZeroDivisionError), (misses_a_file, FileNotFoundError)):
        with pytest.raises(error):
            folder.write(shop(), tmp_path / "run", also=[report])
    assert names(tmp_path) == set()


def test_half_a_folder_is_no_run(tmp_path):
    """Without a manifest, or with half of one, nobody takes it for a run."""
    place = folder.write(shop(), tmp_path / "run")
    manifest = (place / "manifest.json").read_text()
    for left in ("", manifest[: len(manifest) // 2], "{}", "[]"):
        (place / "manifest.json").write_text(left)
        assert not folder.is_run(place)
    with pytest.raises(folder.FolderError, match="holds no complete run\n"):
        folder.read(place)
    with pytest.raises(folder.FolderError, match="is no folder\n"):
        folder.read(tmp_path / "nowhere")
