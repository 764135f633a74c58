"""What the specs say about themselves: their fields in words, and the tables of kinds that they choose from."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sim.spec import Kinds, Spec
from sim.units import Noun

WORDS: dict[Any, str] = {int: "whole number", float: "number", str: "text", bool: "true or false", Any: "anything", type(None): "nothing"}


@dataclass(frozen=True)
class FieldDoc:
    """One line of the documentation of a kind; *default* is as YAML would write it, None where the field must be given."""

    name: str
    type: str
    default: str | None


def documented(cls: type[Spec], prefix: str = "", outer: tuple[type[Spec], ...] = ()) -> Iterator[FieldDoc]:
    """Every field, and those of specs inside it by dotted names."""
    cls.model_rebuild()
    for name, field in cls.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
            continue  # it names the kind
        yield FieldDoc(key, _in_words(field), _default(field))
        for inner in _plain_specs(field):
            if inner is not cls and inner not in outer:
                yield from documented(inner, f"{key}.", (*outer, cls))


def kinds_in(cls: type[Spec]) -> Iterator[Kinds]:
    """The choices that the fields of *cls* offer, those of specs inside it included."""
    seen: set[type[Spec]] = set()
    waiting = [cls]
    while waiting:
        spec = waiting.pop()
        if spec in seen:
            continue
        seen.add(spec)
        spec.model_rebuild()
        for field in spec.model_fields.values():
            for part in _parts(field):
                if isinstance(part, Kinds):
                    yield part
                elif isinstance(part, type) and issubclass(part, Spec):
                    waiting.append(part)


def _parts(field: FieldInfo) -> Iterator[Any]:
    """The types and the metadata that a field's annotation is made of; the base class of a choice is none of them."""
    if any(isinstance(data, Kinds) for data in field.metadata):
        yield from field.metadata
        return
    yield from field.metadata
    yield from _unfolded(field.annotation)


def _unfolded(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from inner[1:]
        if not any(isinstance(data, Kinds) for data in inner[1:]):
            yield from _unfolded(inner[0])
        return
    if not inner:
        yield annotation
    for part in inner:
        yield from _unfolded(part)


def _plain_specs(field: FieldInfo) -> Iterator[type[Spec]]:
    """Specs that a field holds directly or by name, not those that it chooses by kind."""
    for part in _parts(field):
        if isinstance(part, type) and issubclass(part, Spec):
            yield part


def _in_words(field: FieldInfo) -> str:
    return _words(field.annotation, field.metadata)


def _words(annotation: Any, metadata: Any = ()) -> str:
    for data in metadata:
        if isinstance(data, Noun):
            return data.text + _bounds(metadata)
        if isinstance(data, Kinds):
            return f"{data.what} (`mesocosm kinds {data.group}`)"
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(inner[0], (*inner[1:], *metadata))
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(part, metadata) for part in inner if part is not type(None)))
    if origin in (list, tuple):
        return f"list of {_words(inner[0])}"
    if origin is dict:
        return f"mapping of names to {_words(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return "mapping"
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)).lower()) + _bounds(metadata)


def _bounds(metadata: Any) -> str:
    parts = [part for data in metadata for part in (data.metadata if isinstance(data, FieldInfo) else [data])]
    known = [f"{sign} {getattr(part, name):,}" for part in parts for cls, name, sign in _SIGNS if isinstance(part, cls)]
    return f", {' and '.join(known)}" if known else ""


_SIGNS = (
    (annotated_types.Ge, "ge", ">="), (annotated_types.Gt, "gt", ">"), (annotated_types.Le, "le", "<="), (annotated_types.Lt, "lt", "<"),
)


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return ""
    annotation: Any = field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[(annotation, *field.metadata)] if field.metadata else annotation)
    return flow(adapter.dump_python(value, mode="json", by_alias=True))


def flow(value: Any) -> str:
    """*value* on one line, as YAML writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(inner)}" for key, inner in value.items() if inner is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(inner) for inner in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) or "''"
