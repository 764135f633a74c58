"""What the probes and actions of an exported Chaos Toolkit experiment call: `chaos run` in a run's folder judges that run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def measured(check: str, directory: str = ".") -> float | None:
    """What *check* measured in the run in *directory*; the toolkit compares it with the probe's tolerance."""
    return next((entry["measured"] for entry in _summary(directory)["checks"] if entry["title"] == check), None)


def happened(fault: str, directory: str = ".") -> list[dict[str, Any]]:
    """When *fault* was on in the run in *directory*, and at which targets."""
    return [entry for entry in _summary(directory)["faults"] if entry["name"] == fault]


def _summary(directory: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((Path(directory) / "summary.json").read_text(encoding="utf-8"))
    return summary
