"""What was run, by what, from which files: enough to run it again and to see whether it came to the same."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

SCHEMA = "mesocosm/manifest/1"
FILE = "manifest.json"
PACKAGES = ("simpy", "numpy", "networkx", "pydantic", "PyYAML")  # those that a result could depend on


@dataclass(frozen=True)
class Origin:
    """The files and options that a run was made from. *overrides* are as given to `--set`: `PATH=VALUE`."""

    scenario: Path | None = None
    faults: Sequence[Path] = ()
    overrides: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)  # others that change the run: duration, no_faults


def version() -> str:
    """The program's own version."""
    try:
        return metadata.version("mesocosm")
    except metadata.PackageNotFoundError:
        return "0+unknown"  # run from a source tree that was never installed


def manifest(result: RunResult, origin: Origin, files: Sequence[str], traces: dict[str, Any]) -> dict[str, Any]:
    """The content of manifest.json; *traces* says what of the traces was written, *files* what lies beside it."""
    return {
        "schema": SCHEMA, "version": version(), "name": result.name, "title": result.title, "variant": result.variant, "seed": result.seed,
        "scenario": _file(origin.scenario) if origin.scenario else None, "faults": [_file(path) for path in origin.faults],
        "overrides": list(origin.overrides), "options": origin.options,
        "duration_s": result.duration, "warmup_s": result.warmup, "wall_s": result.wall_s,
        "python": platform.python_version(), "packages": {name: _version_of(name) for name in PACKAGES},
        "digest": result.digest, "traces": traces, "files": list(files),
    }


def _file(path: Path) -> dict[str, str]:
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
