"""The reference of everything that a scenario can name, written from the tables that the program itself chooses from.

A new table is a line in GROUPS; a new kind is a line in its own table and appears here by itself.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sim.errors import InvalidInput
from sim.mistakes import nearest
from sim.spec import Spec

from .fields import FieldDoc, documented
from .problems import wrapped

MOST_HOLDERS = 2  # a key that more kinds have leads nowhere
WIDTH = 100  # columns, where no terminal says how wide it is


@dataclass(frozen=True)
class KindDoc:
    """One kind: what it is for, how it is written, its fields."""

    name: str
    text: str
    how: str
    fields: tuple[FieldDoc, ...] = ()


@dataclass(frozen=True)
class Group:
    """Kinds that stand in one place of a scenario; *table* is loaded when it is asked for. *how* shows how one is written."""

    title: str
    how: str
    module: str
    table: str

    def kinds(self) -> Mapping[str, Any]:
        """By the name that YAML uses."""
        table: Mapping[str, Any] = getattr(import_module(self.module), self.table)
        return table

    def describe(self, name: str) -> KindDoc:
        """The kind called *name*."""
        cls = self.kinds()[name]
        return KindDoc(name, inspect.getdoc(cls) or "", _how(self.how, name, cls), tuple(documented(cls)))


class Measures(Group):
    """What can be asked for: no specs, but lines of a table."""

    def describe(self, name: str) -> KindDoc:
        measure = self.kinds()[name]
        of = f"; of a {' or '.join(measure.of)}" if measure.of else ""
        return KindDoc(name, f"{measure.text}{of}", f"{self.how.replace('{kind}', name)} {measure.unit.example}")


GROUPS: dict[str, Group] = {
    "files": Group("Whole files", "{kind} file", "sim.scenario.scenario", "FILES"),
    "services": Group("Nodes under `services`", "kind: {kind}", "sim.model.services", "SERVICES"),
    "steps": Group("Steps of an endpoint, one after another", "- {kind}: ...", "sim.model.steps", "STEPS"),
    "policies": Group("Policies of a dependency, outermost first", "- {kind}: ...", "sim.resilience.policies", "POLICIES"),
    "balancers": Group("Ways to choose an instance", "balancer: {kind}", "sim.resilience.balancers", "BALANCERS"),
    "backoffs": Group("Waits between attempts", "kind: {kind}", "sim.resilience.backoff", "BACKOFFS"),
    "budgets": Group("Limits to what retries add", "kind: {kind}", "sim.resilience.budgets", "BUDGETS"),
    "distributions": Group("Distributions of times", "{kind}: ...", "sim.distributions", "DISTRIBUTIONS"),
    "keys": Group("Ways to draw a key", "{kind}: ...", "sim.model.keys", "KEYS"),
    "executors": Group("Workloads: who calls, and when", "executor: {kind}", "sim.workload.executors", "EXECUTORS"),
    "arrivals": Group("How evenly open load comes", "arrivals: {{kind}: ...}", "sim.workload.patterns", "PATTERNS"),
    "judgements": Group("What must hold", "{kind}: [{...}]", "sim.scenario.measures", "JUDGEMENTS"),
    "measures": Measures("What can be asked for", "measure: {kind}, at_least:", "sim.scenario.measures", "MEASURES"),
    "faults": Group("What goes wrong, and when", "kind: {kind}", "sim.faults.faults", "FAULTS"),
    "schedules": Group("When a fault lasts", "schedule: {{kind}: ...}", "sim.faults.schedule", "SCHEDULES"),
    "limits": Group("Ways to adapt a concurrency limit", "algorithm: {{kind}: ...}", "sim.resilience.adaptive_concurrency", "LIMITS"),
    "strategies": Group("Ways to deploy a version", "strategy: {{kind}: ...}", "sim.model.deployment", "STRATEGIES"),
    "shedders": Group("Ways to shed load before a queue", "load_shedder: {{kind}: ...}", "sim.resilience.admission", "SHEDDERS"),
}


def _how(how: str, name: str, cls: type[Spec]) -> str:
    how = how.replace("{kind}", name)
    if cls.shorthand is not None:
        how = how.replace("...", f"<{cls.shorthand}>, or {name}: {{...}}")
    beside = ", ".join(f"`{key}`" for key in cls.beside)
    return f"{how}   ({beside} may stand beside it)" if beside else how


Selection = dict[str, list[KindDoc]]  # by group


def selected(word: str | None) -> Selection:
    """All groups, the group called *word*, or every kind of that name; raise InvalidInput if there is none."""
    if word is None or word in GROUPS:
        return {name: [group.describe(kind) for kind in group.kinds()] for name, group in GROUPS.items() if word in (None, name)}
    having = {name: group for name, group in GROUPS.items() if word in group.kinds()}
    if not having:
        raise InvalidInput("\n".join([f"no group and no kind is called {word!r}", *wrapped(_meant(word))]))
    return {name: [group.describe(word)] for name, group in having.items()}


def _meant(word: str) -> str:
    """What *word* may have been meant to be: a key of some kind, the nearest kind, those with a part like it, or one of the groups."""
    holders = dict.fromkeys(kind for group in GROUPS.values() for kind in group.kinds()
                            if any(field.name == word for field in group.describe(kind).fields))
    if 0 < len(holders) <= MOST_HOLDERS:
        return f"it is a key of {' and of '.join(holders)}: `mesocosm kinds {next(iter(holders))}`"
    kinds = sorted({kind for group in GROUPS.values() for kind in group.kinds()})
    close = nearest(word, [*GROUPS, *kinds])
    part = word.lower() if close else nearest(word.lower(), {part for kind in kinds for part in re.split("[._-]", kind)}) or word.lower()
    like = dict.fromkeys([*filter(None, [close]), *(kind for kind in kinds if part in kind)])
    if not like:
        return f"there are the groups {', '.join(GROUPS)}"
    return f"did you mean one of these? {', '.join(like)}" if len(like) > 1 else f"did you mean {next(iter(like))!r}?"


def as_text(selection: Selection, width: int = WIDTH) -> str:
    """For a terminal of *width* columns."""
    return "\n".join(line for name, kinds in selection.items() for line in _text_of(name, kinds, width))


def _text_of(name: str, kinds: list[KindDoc], width: int) -> Iterator[str]:
    yield f"{name.upper()}  {GROUPS[name].title}"
    for kind in kinds:
        yield ""
        yield from _filled(kind.how, width, f"  {kind.name}    ")
        for paragraph in kind.text.split("\n\n"):
            yield from _filled(" ".join(paragraph.split()), width, "    ")
        yield from _tree(kind.fields, width)
    yield ""


def _tree(fields: Sequence[FieldDoc], width: int) -> Iterator[str]:
    """A line for each field, set in below the one that it is a part of: its type, and its default if there is room, else on lines below."""
    names = [f"{'  ' * (3 + field.name.count('.'))}{field.name.rpartition('.')[2]}  " for field in fields]
    type_at = min(max(map(len, names), default=0), width // 2)
    default_at = type_at + min(max((len(field.type) for field in fields), default=0), max(width // 2 - 20, 8)) + 2
    for name, field in zip(names, fields, strict=True):
        told = f"{name:{type_at}}{field.type}"
        whole = f"{told:{default_at - 2}}  {_given(field)}".rstrip()
        if len(whole) <= width:
            yield whole
        else:
            yield from _filled(field.type, width, f"{name:{type_at}}")
            yield from _filled(_given(field), width, " " * type_at)


def _filled(words: str, width: int, start: str) -> list[str]:
    """*words* after *start*, on as many lines as it takes, set in as far as *start* is long, but by no more than half of the *width*."""
    indent = " " * (len(start) if len(start) <= width // 2 else 4)
    return textwrap.wrap(words, width, initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _given(field: FieldDoc) -> str:
    return "required" if field.default is None else f"= {field.default}" if field.default else ""


def as_markdown(selection: Selection) -> str:
    """For documentation."""
    return "\n".join(line for name, kinds in selection.items() for line in _markdown_of(name, kinds))


def _markdown_of(name: str, kinds: list[KindDoc]) -> Iterator[str]:
    yield from (f"## {name}", "", f"{GROUPS[name].title}.", "")
    for kind in kinds:
        yield from (f"### {kind.name}", "", f"`{kind.how}`" if "`" not in kind.how else kind.how, "", " ".join(kind.text.split()), "")
        if kind.fields:
            yield from ("| field | type | default |", "|---|---|---|")
            yield from (f"| `{field.name}` | {_cell(field.type)} | {_default_cell(field)} |" for field in kind.fields)
            yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default_cell(field: FieldDoc) -> str:
    if field.default is None:
        return "*required*"
    return f"`{_cell(field.default)}`" if field.default else ""
