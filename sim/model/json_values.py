"""What can travel as JSON. A body is copied on its way, so that two services never share an object, as over a real network."""

from __future__ import annotations

from typing import Any

SIMPLE = frozenset((str, int, float, bool, type(None)))


def plain(value: Any) -> Any:
    """A copy of *value*; raise TypeError, naming the place, for what JSON has no word for."""
    return _copy(value, "")


def _copy(value: Any, place: str) -> Any:
    kind = type(value)
    if kind in SIMPLE:
        return value
    if kind is dict:
        copy = {}
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"a key of JSON is text, not {key!r}: convert it first" + _at(place))
            copy[key] = item if type(item) in SIMPLE else _copy(item, f"{place}.{key}")
        return copy
    if kind is list or kind is tuple:
        return [item if type(item) in SIMPLE else _copy(item, f"{place}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"a {kind.__name__} cannot travel as JSON: convert it to dicts, lists, texts and numbers first" + _at(place))


def _at(place: str) -> str:
    return f" (at {place.removeprefix('.')})" if place else ""
