"""A run's folder: written whole or not at all, and read back.

Files go into a hidden folder beside the final one, the manifest last, and a rename puts them in place. So a folder with
a manifest is complete, whatever happened while it was written, and a run that was there before stays until then.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.errors import MesocosmError

from .export import chrome, columns, hdr, jaeger, junit, logs, openmetrics, otlp
from .export import journal as journals
from .export import manifest as manifests
from .export.jsontext import dumps
from .export.sampling import Sampling, sample
from .export.traces import Traces

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

REST = "run.jsonl"  # what `read` needs and no other file has: a line is one thing under the name of its field


class FolderError(MesocosmError):
    """A run's folder cannot be written or read: *place*, *cause* and *cure*."""

    def __init__(self, place: Path, cause: str, cure: str) -> None:
        super().__init__(f"{place}: {cause}\n    {cure}")
        self.place, self.cause, self.cure = place, cause, cure


def write(
    result: RunResult,
    directory: Path | str,
    *,
    force: bool = False,
    origin: manifests.Origin | None = None,
    sampling: Sampling | None = None,
    log_format: str = "jsonl",
    also: Sequence[Callable[[Path], None]] = (),
) -> Path:
    """Write everything about *result* into *directory*, which must not exist, be empty, or with *force* hold a run.

    Each of *also* is called with the folder while it is being written, to add files of its own (charts, the report).
    Raise FolderError, and leave what was there as it was, if anything goes wrong.
    """
    target = Path(directory).resolve()
    check_free(target, force=force)
    with _staged(target) as stage:
        kept = sample(result, sampling or Sampling())
        traces = Traces(result, kept.rows)
        _write_tables(result, stage)
        _write_texts(result, stage)
        _write_lines(stage / "traces.otlp.jsonl", otlp.lines(traces))
        _write_lines(stage / "traces.jaeger.json", jaeger.lines(traces))
        _write_lines(stage / "timeline.chrome.json", chrome.lines(traces))
        _write_lines(stage / "metrics.om", openmetrics.lines(result))
        _write_lines(stage / "logs.jsonl", logs.lines(traces, log_format))
        for add in also:
            add(stage)
        files = sorted(path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_file())
        about = manifests.manifest(result, origin or manifests.Origin(), files, kept.as_dict())
        _write_text(stage / manifests.FILE, dumps(about, indent=1) + "\n")
    return target


def check_free(directory: Path | str, *, force: bool) -> None:
    """Raise FolderError if a run could not be put at *directory*; worth asking before a long run."""
    target = Path(directory).resolve()
    with _explained(target, _PATH | _DISK):
        there = next(place for place in (target, *target.parents) if place.exists())
        if there == target:
            _check_replaceable(target, force)
            there = target.parent
        os.rmdir(tempfile.mkdtemp(prefix=".mesocosm-", dir=there))


def _check_replaceable(target: Path, force: bool) -> None:
    if not target.is_dir():
        raise FolderError(target, "is a file, not a folder", "give another folder with --out")
    if not any(target.iterdir()):
        return
    if not is_run(target):
        raise FolderError(target, "holds files that are not a run's", "give another folder with --out; --force replaces runs only")
    if not force:
        raise FolderError(target, "already holds a run", "give another folder with --out, or replace it with --force")


def is_run(directory: Path) -> bool:
    """Whether *directory* holds a complete run."""
    try:
        return str(json.loads((directory / manifests.FILE).read_text(encoding="utf-8"))["schema"]).startswith("mesocosm/manifest/")
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A new hidden folder beside *target* that takes its place at the end, or vanishes if the block fails."""
    with _explained(target, _PATH | _DISK):
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
    try:
        with _explained(target, _DISK):
            stage.chmod(0o777 & ~_umask())
            yield stage
            _replace(target, stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _replace(target: Path, stage: Path) -> None:
    """Put *stage* where *target* is; the old folder is moved aside first and deleted only when the new one is in place."""
    if not target.exists():
        stage.rename(target)
        return
    old = stage.with_name(stage.name.replace(".partial-", ".replaced-"))
    target.rename(old)
    try:
        stage.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


_ELSEWHERE, _OTHER_DISK = "choose another place with --out", "free some space, or choose another disk with --out"
_DISK = {  # what can go wrong at any time, with its cure
    errno.ENOSPC: ("the disk is full", _OTHER_DISK),
    errno.EDQUOT: ("the disk quota is used up", _OTHER_DISK),
    errno.EFBIG: ("a file would be larger than is allowed here", "raise the limit (ulimit -f), or write fewer traces with --sample"),
    errno.EIO: ("the disk does not work", "choose another disk with --out"),
    errno.EROFS: ("the file system is read-only", _ELSEWHERE),
    errno.EACCES: ("no permission to write here", "choose a folder of your own with --out"),
    errno.EPERM: ("no permission to write here", "choose a folder of your own with --out"),
    errno.ENOTEMPTY: ("somebody else has just written here", "give another folder with --out"),
}
_PATH = {  # what can be wrong with the place
    errno.ENOENT: ("there can be no folder here", _ELSEWHERE),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", _ELSEWHERE),
    errno.EEXIST: ("a part of this path is a file, not a folder", _ELSEWHERE),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one with --out"),
}


@contextmanager
def _explained(target: Path, known: Mapping[int, tuple[str, str]]) -> Iterator[None]:
    """The *known* errors of the operating system as a FolderError. Others are our own bugs and pass."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.errno not in known:
            raise
        cause, cure = known[error.errno]
        raise FolderError(target, cause, f"nothing was written; {cure}") from error


def _umask() -> int:
    """What new files must not allow; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_tables(result: RunResult, stage: Path) -> None:
    columns.write(stage / "requests.npz", result.requests.rows, result.names)
    columns.write(stage / "spans.npz", result.spans.rows, result.names)
    columns.write(stage / "samples.npz", result.samples, result.names)


def _write_texts(result: RunResult, stage: Path) -> None:
    import yaml

    _write_text(stage / "summary.json", dumps(result.summary, indent=1) + "\n")
    _write_text(stage / "scenario.resolved.yaml", yaml.safe_dump(result.scenario, sort_keys=False, allow_unicode=True, width=140))
    _write_text(stage / "latency.hgrm", hdr.hgrm(result))
    _write_text(stage / "junit.xml", junit.junit(result))
    _write_text(stage / "journal.json", dumps(journals.journal(result, manifests.version()), indent=1) + "\n")
    _write_lines(stage / "events.jsonl", (dumps(event) + "\n" for event in result.events))
    _write_lines(stage / REST, _rest(result))


def _rest(result: RunResult) -> Iterator[str]:
    yield dumps({"description": result.description}) + "\n"
    for fault in result.faults:
        yield dumps({"faults": vars(fault)}) + "\n"
    for span, values in result.attributes.items():
        yield dumps({"attributes": [span, values]}) + "\n"
    for entry in result.logs:
        yield dumps({"logs": entry}) + "\n"


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n", buffering=2**20) as file:
        file.writelines(lines)


def read(directory: Path | str) -> RunResult:
    """The run in *directory* as it was when it was written; raise FolderError if it holds none."""
    from sim.telemetry.result import FaultInterval, Requests, RunResult, Spans

    place = Path(directory)
    about = read_manifest(place)
    requests, names = columns.read(place / "requests.npz")
    rest: dict[str, list[Any]] = {"description": [], "faults": [], "attributes": [], "logs": []}
    for line in _json_lines(place / REST):
        for field, value in line.items():
            rest[field].append(value)
    return RunResult(
        name=about["name"], title=about["title"], variant=about["variant"], seed=about["seed"], duration=about["duration_s"],
        warmup=about["warmup_s"], names=names, requests=Requests(requests), spans=Spans(columns.read(place / "spans.npz")[0]),
        samples=columns.read(place / "samples.npz")[0], events=list(_json_lines(place / "events.jsonl")), logs=rest["logs"],
        attributes=dict(rest["attributes"]),
        faults=[FaultInterval(**{**fault, "targets": tuple(fault["targets"])}) for fault in rest["faults"]],
        summary=_json(place / "summary.json"), digest=about["digest"], wall_s=about["wall_s"],
        scenario=_yaml(place / "scenario.resolved.yaml"), description=rest["description"][0],
    )


def attributes_in(directory: Path | str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """By span, what was set beside the recorded columns, in the run in *directory*."""
    for line in _json_lines(Path(directory) / REST):
        if "logs" in line:
            return  # they come last
        if "attributes" in line:
            span, values = line["attributes"]
            yield span, values


def names_in(directory: Path | str) -> list[str]:
    """The services and instances of the run in *directory*."""
    _, names = columns.read(Path(directory) / "requests.npz")
    return [*names.nodes, *(name for name in names.instances if name)]


def read_manifest(directory: Path | str) -> dict[str, Any]:
    """The manifest of the run in *directory*; raise FolderError if it holds none."""
    place = Path(directory)
    if not is_run(place):
        cause = "holds no complete run" if place.is_dir() else "is no folder"
        raise FolderError(place, cause, "give the folder that `mesocosm run --out` wrote (it has a manifest.json)")
    manifest: dict[str, Any] = _json(place / manifests.FILE)
    return manifest


def interrupted_at(directory: Path | str) -> float | None:
    """Where the run in *directory* was interrupted, in simulated seconds; None for one that was not."""
    summary = _json(Path(directory) / "summary.json")
    return float(summary["simulated_s"]) if summary["verdict"] == "interrupted" else None


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _yaml(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
