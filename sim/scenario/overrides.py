"""Changing a document before it is validated: `--set PATH=VALUE`, and the patches of its `variants`.

    services.orders.workers=32
    services.orders.uses.payments.policies.retry.max_attempts=1      in a list: an item's index, its name, or its one key
    network.links.orders->payments.latency=20ms                      names may hold dots, arrows and blanks
    services.orders.endpoints.POST /orders.0.work=5ms

A value is YAML. It keeps its place: a mistake in it is shown in the option, or in the line of the variant. What a file leaves to its
default may be set; a service, workload or endpoint that is not there may not, since that would be a slip of the pen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sim.mistakes import did_you_mean, nearest

from .composer import parse
from .documents import Document
from .nodes import Node
from .problems import InvalidFile, Place, Source, problem_at, refuse

NAMED = frozenset({"services", "workloads", "endpoints"})  # mappings whose keys are names that the scenario itself gives


class LeadsNowhere(InvalidFile):
    """A path leads into a part that the document does not have, or that holds nothing with a name."""


@dataclass(frozen=True, eq=False)
class Patch:
    """*value* is to stand at *path*; *place* is where the path is written."""

    path: str
    value: Node
    place: Place


def set_option(option: str, given: str = "--set ") -> Patch:
    """The patch that *option*, PATH=VALUE, asks for; raise InvalidFile. *given* stands before it on the command line."""
    source = Source(f"{given}{option}", tuple(option.splitlines()) or ("",), is_file=False)
    path, equals, text = option.partition("=")
    place = Place(source, 1, 1)
    if not equals or not path.strip():
        refuse(place, "an override is PATH=VALUE", f"for example {given}'services.orders.workers=32'")
    value = parse(text, source, column=len(path) + 1)
    return Patch(path.strip(), value or Node(place), place)


def option_patch(key: str, text: str) -> Patch:
    """The patch that `--KEY TEXT` asks for; raise InvalidFile."""
    source = Source(f"--{key} {text}", tuple(text.splitlines()) or ("",), is_file=False)
    return Patch(key, parse(text, source) or Node(Place(source, 1, 1)), Place(source, 1, 1))


def variant_names(document: Document) -> list[str]:
    """The names of the variants that *document* has and that can be applied."""
    variants = document.root.child("variants")
    entries = (variants.entries or {}) if variants is not None else {}
    return [name for name, patches in entries.items() if patches.entries is not None]


def variant_patches(document: Document, name: str) -> list[Patch]:
    """What the variant called *name* changes; raise InvalidFile if there is none, or if it is no mapping of paths."""
    variants = document.root.child("variants")
    known = variant_names(document)
    patches = variants.child(name) if variants is not None else None
    if patches is None:
        source = Source(f"--variant {name}", (), is_file=False)
        refuse(Place(source, 1, 1), f"{document.path} has no variant {name!r}", did_you_mean(name, known) or "it has none at all")
    if patches.entries is None:
        refuse(patches.place, f"a variant is a mapping of paths to values, not {patches.noun}", "write {services.orders.workers: 32}")
    return [Patch(path, value, patches.keys[path]) for path, value in patches.entries.items()]


def patched(document: Document, *patches: Patch) -> Document:
    """A new document with the *patches* applied in order; raise InvalidFile for one that leads nowhere."""
    root = document.root
    for patch in patches:
        root = _with(root, patch.path, patch, under="")
    return replace(document, root=root)


def _with(node: Node, path: str, patch: Patch, under: str) -> Node:
    """A copy of *node*, which stands at *under*, with the patch at *path* below it; nodes may be shared, so none is changed."""
    if node.items is not None:
        return _with_item(node, path, patch, under)
    if node.entries is None and node.value is not None:
        whole = under.removesuffix(".")
        what, cure = f"{whole!r} is {node.noun}, so there is nothing to set inside it", f"set it as a whole: {whole}={{...}}"
        raise LeadsNowhere([problem_at(patch.place, what, cure)])
    entries = node.entries or {}
    key, rest = _first_key(path, entries)
    if not key:
        refuse(patch.place, f"{patch.path!r} has an empty part", "parts are separated by one dot")
    if rest and key not in entries and under.split(".")[-2:-1] and under.split(".")[-2] in NAMED:
        problem = problem_at(patch.place, f"there is no {key!r} in {under.removesuffix('.')!r}", did_you_mean(key, entries))
        raise InvalidFile([problem]) if entries else LeadsNowhere([problem])
    value = _with(entries.get(key) or Node(patch.place), rest, patch, f"{under}{key}.") if rest else patch.value
    return replace(node, value=None, entries={**entries, key: value}, keys={**node.keys, key: node.keys.get(key, patch.place)})


def _first_key(path: str, known: Iterable[str]) -> tuple[str, str]:
    """*path* split after its first key: the longest known one that it begins with, else what stands before the first dot."""
    fitting = [key for key in known if path == key or path.startswith(f"{key}.")]
    key = max(fitting, key=len) if fitting else path.partition(".")[0]
    return key, path[len(key) + 1 :]


def _with_item(node: Node, path: str, patch: Patch, under: str) -> Node:
    assert node.items is not None
    index, rest = _find_item(node, path, patch, under)
    items = list(node.items)
    items[index] = _with(items[index], rest, patch, f"{under}{index}.") if rest else patch.value
    return replace(node, items=items)


def _find_item(node: Node, path: str, patch: Patch, under: str) -> tuple[int, str]:
    """The item that the first part of *path* means, and the rest of the path."""
    items = node.items or []
    names = {str(name.value): i for i, item in reversed(list(enumerate(items))) if (name := item.child("name")) is not None}
    actions = {key: i for i, item in reversed(list(enumerate(items))) for key in item.entries or {}}
    key, rest = _first_key(path, [*map(str, range(len(items))), *names, *actions])
    if key.isdecimal() and int(key) < len(items):
        return int(key), rest
    if key in names:
        return names[key], rest
    if key in actions:
        return actions[key], path
    close = nearest(key, [*names, *actions])
    cure = f"did you mean {close!r}?" if close else "items are counted from 0" if items else "set the whole list"
    refuse(patch.place, f"there is no item {key!r} in the list {under.removesuffix('.')!r}, which has {len(items)}", cure)
