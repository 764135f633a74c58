"""JSON as other tools accept it: no NaN, no Infinity, no numpy; the same value always gives the same text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

quote = json.encoder.encode_basestring  # a str as a JSON string, not escaped to ASCII


def plain(value: Any) -> Any:
    """*value* in JSON's own types. What has no value there (NaN, infinity) becomes null; a set becomes a sorted list."""
    if (isinstance(value, str) and not isinstance(value, Enum)) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return plain(value.value) if not isinstance(value.value, int) else value.name.lower()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Set):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return plain(value.tolist())
    return str(value)


def dumps(value: Any, indent: int | None = None) -> str:
    """One line of JSON, or indented for people."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
