"""What a test says of its world, before there is one: written down as a scenario file would have it, and read as such.

All that is wrong is then found as it is in a file, and told with the line that says it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sim.scenario.documents import document_of, load_document
from sim.scenario.load import loads, read
from sim.scenario.scenario import Scenario

HORIZON = "1h"  # of simulated time: what a world lasts at most whose test says nothing of it
BY_NAME = ("services", "workloads", "variants")
LISTS = ("steady_state", "checks", "abort_if", "faults")
FilePath = str | os.PathLike[str]


class Draft:
    """A scenario as plain data. *refer* gives a text that names a class or an app of the test's own."""

    def __init__(self, refer: Callable[[object], str]) -> None:
        self._refer = refer
        self.folder: str | None = None  # of the file that it began with: what that names is there
        self.data: dict[str, Any] = {"name": "lab", "duration": HORIZON, "services": {}}

    def add(self, more: Mapping[str, Any]) -> None:
        """Take over what *more* has: services and workloads are added by name, lists are made longer, the rest is replaced."""
        for key, value in more.items():
            if key in BY_NAME and isinstance(value, Mapping):
                self.data.setdefault(key, {}).update({name: self._entry(key, entry) for name, entry in value.items()})
            elif key in LISTS and isinstance(value, Sequence):
                self.data.setdefault(key, []).extend(value)
            else:
                self.data[key] = value

    def _entry(self, section: str, entry: Any) -> Any:
        return self._service(entry) if section == "services" else entry

    def _service(self, service: Any) -> Any:
        """As YAML has it: of a mapping, YAML text, a class derived from Service, or an ASGI app."""
        if isinstance(service, str):
            return document_of("<service>", service).data
        if isinstance(service, Mapping):
            handed_over = {key: self._refer(service[key]) for key in ("code", "asgi") if not isinstance(service.get(key, ""), str)}
            return {**service, **handed_over}
        return {"code" if isinstance(service, type) else "asgi": self._refer(service)}

    def scenario(self) -> Scenario:
        """All of it; raise InvalidFile with everything that is wrong."""
        return loads(json.dumps(self.data, indent=2, ensure_ascii=False, default=_refused), "<lab>", self.folder)


def written(what: FilePath | Mapping[str, Any], plans: Sequence[FilePath], variant: str | None,
            overrides: Sequence[str]) -> Mapping[str, Any]:
    """A scenario that is there already, as data: a mapping, YAML text, or a file with what is laid over it."""
    if isinstance(what, Mapping):
        return what
    if _is_text(what):
        return document_of("<scenario>", str(what)).data
    data = read(what, variant=variant, overrides=overrides).data
    planned = [fault for plan in plans for fault in load_document(plan).data.get("faults", [])]
    return {**data, "faults": [*data.get("faults", []), *planned]}


def folder_of(what: FilePath | Mapping[str, Any]) -> str | None:
    """Where the files are that a scenario names; None where it is no file itself."""
    return None if isinstance(what, Mapping) or _is_text(what) else os.path.dirname(os.path.abspath(what))


def _is_text(what: object) -> bool:
    return isinstance(what, str) and ("\n" in what or what.lstrip().startswith("{"))


def _refused(value: object) -> str:
    raise TypeError(f"{value!r} cannot stand in a scenario: write what YAML can hold, and hand classes and apps over as services")
