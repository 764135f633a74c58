"""JSON as other tools accept it: no NaN, no Infinity, no numpy; the same value always gives the same text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

quote = json.encoder.encode_basestring  # a str as a JSON string, not escaped to ASCII


def dumps(value: Any, indent: int | None = None) -> str:
    """One line of JSON, or indented for people. What has no value (NaN, infinity) is null, a set is a sorted list."""
    encoder = _LINE if indent is None else json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=indent, default=_in_json)
    try:
        return encoder.encode(value)
    except ValueError:  # looking for NaN takes ten times as long as writing, and there hardly ever is one
        return encoder.encode(_without_nan(value))


def plain(value: Any) -> Any:
    """*value* in JSON's own types."""
    return json.loads(dumps(value))


def _in_json(value: Any) -> Any:
    """What the encoder does not know by itself."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(value)
    if isinstance(value, Enum):
        return value.value
    return value.tolist() if hasattr(value, "tolist") else str(value)  # numpy's scalars and arrays; anything else is text


_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_in_json)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return _without_nan(value.tolist()) if hasattr(value, "tolist") else value
