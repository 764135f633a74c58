"""Quantities as a scenario writes them: durations `250ms`, rates `40/s`, shares `5%`, sizes `4MiB`, bandwidths `100Mbit`.

Inside the program they are plain numbers: seconds, events per second, 0..1, bytes, bits per second. A bare number is
refused with its cure, since `timeout: 5` has been read as milliseconds by one half of the world and as seconds by the other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from sim.mistakes import Mistake, invalid, shown

DURATIONS = {  # in seconds
    "ns": Decimal("1e-9"), "us": Decimal("1e-6"), "ms": Decimal("1e-3"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600),
    "\u00b5s": Decimal("1e-6"), "\u03bcs": Decimal("1e-6"),  # the micro sign, and the Greek letter that looks like it
}
RATES = {"s": 1, "min": 60, "m": 60, "h": 3600}  # seconds in the unit
SIZES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
BANDWIDTHS = {"bit": 1, "kbit": 10**3, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}
LIMIT = 1e15  # nothing in a laboratory is longer, faster or larger

_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_DURATION_PART = re.compile(rf"({_NUMBER}) *({'|'.join(sorted(DURATIONS, key=len, reverse=True))})")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern} *)+")
_RATE = re.compile(rf"({_NUMBER}) */ *(s|min|m|h)")
_SHARE = re.compile(rf"({_NUMBER}) *%")
_SIZE = re.compile(rf"({_NUMBER}) *({'|'.join(SIZES)})")
_BANDWIDTH = re.compile(rf"({_NUMBER}) *({'|'.join(BANDWIDTHS)})(?:/s|ps)?")


def parse_duration(text: str) -> float:
    """Seconds in `250ms`, `1m30s`, `0.5h`; raise ValueError with a cure."""
    if not _DURATION.fullmatch(text.strip()):
        raise ValueError(f"{shown(text)} is no duration: write a number and its unit (ns us ms s m h), for example '250ms' or '1m30s'")
    total = sum((Decimal(number) * DURATIONS[unit] for number, unit in _DURATION_PART.findall(text)), Decimal(0))
    return _bounded(float(total), text)


def parse_rate(text: str) -> float:
    """Events per second in `40/s`, `600/min`, `10/h`; raise ValueError with a cure."""
    match = _RATE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{shown(text)} is no rate: write '40/s', '600/min' or '10/h'")
    return _bounded(float(Decimal(match[1]) / RATES[match[2]]), text)


def parse_share(text: str) -> float:
    """The part of one in `5%`; raise ValueError with a cure, also above 100 %."""
    match = _SHARE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{shown(text)} is no share: write a percentage, for example '5%'")
    share = float(Decimal(match[1]) / 100)
    if share > 1:
        raise ValueError(f"{shown(text)} is more than all of it: a share lies between 0% and 100%")
    return share


def parse_size(text: str) -> int:
    """Bytes in `64KiB`, `4MB`; raise ValueError with a cure."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{shown(text)} is no size: write '512B', '64KiB' or '4MB'")
    count = Decimal(match[1]) * SIZES[match[2]]
    if _bounded(float(count), text) != int(count):
        raise ValueError(f"{shown(text)} is no whole number of bytes: write a size without a rest, '512B' or '1.5KiB'")
    return int(count)


def parse_bandwidth(text: str) -> float:
    """Bits per second in `100Mbit`; raise ValueError with a cure."""
    match = _BANDWIDTH.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{shown(text)} is no bandwidth: write '100Mbit' or '10Gbit' (bits per second)")
    return _bounded(float(Decimal(match[1]) * BANDWIDTHS[match[2]]), text)


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back as the same *seconds*."""
    for unit, per_second in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        text = f"{_plain(Decimal(repr(seconds)) * per_second)}{unit}"
        if seconds * per_second >= 1 or unit == "ns" or seconds == 0:
            return text
    raise AssertionError("unreachable")


def format_rate(per_second: float) -> str:
    """`40/s`."""
    return f"{_plain(Decimal(repr(per_second)))}/s"


def format_share(share: float) -> str:
    """`5%`."""
    return f"{_plain(Decimal(repr(share)) * 100)}%"


def format_size(count: int) -> str:
    """`64KiB`, or bytes where no binary unit divides it."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % SIZES[unit] == 0:
            return f"{count // SIZES[unit]}{unit}"
    return f"{count}B"


def format_bandwidth(bits_per_second: float) -> str:
    """`100Mbit`."""
    for unit in ("Gbit", "Mbit", "kbit"):
        if bits_per_second and bits_per_second % BANDWIDTHS[unit] == 0:
            return f"{_plain(Decimal(repr(bits_per_second)) / BANDWIDTHS[unit])}{unit}"
    return f"{_plain(Decimal(repr(bits_per_second)))}bit"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _bounded(value: float, text: str) -> float:
    if not math.isfinite(value) or value > LIMIT:
        raise ValueError(f"{shown(text)} is beyond anything that can be simulated")
    return value


@dataclass(frozen=True)
class Noun:
    """What the documentation of kinds calls a type; goes into the metadata of an Annotated type."""

    text: str


def _reader(parse: Callable[[str], Any], noun: str, examples: Callable[[Any], str]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            try:
                return parse(value)
            except ValueError as error:
                cause, _, cure = str(error).rpartition(": ")
                raise invalid(Mistake((), cause or cure, cure if cause else "")) from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(Mistake((), f"should be a {noun}, not {shown(value)}", f"write a number and its unit, as in {examples(5)}"))
        if not 0 <= value <= LIMIT:
            raise invalid(Mistake((), f"{shown(value)} is no {noun}", f"write a number and its unit, as in {examples(5)}"))
        raise invalid(Mistake((), f"a {noun} needs a unit", f"write {examples(value)}"))

    return read


def _quantity(base: type, parse: Callable[[str], Any], write: Callable[[Any], str], noun: str,
              examples: Callable[[Any], str], schema: Mapping[str, Any]) -> Any:
    return Annotated[
        base,
        BeforeValidator(_reader(parse, noun, examples)),
        PlainSerializer(write, return_type=str),
        WithJsonSchema({"type": "string", **schema}),
        Noun(noun),
    ]


if TYPE_CHECKING:
    Duration: TypeAlias = float
    PositiveDuration: TypeAlias = float
    Rate: TypeAlias = float
    PositiveRate: TypeAlias = float
    Share: TypeAlias = float
    Bandwidth: TypeAlias = float
    Size: TypeAlias = int
else:
    Duration = _quantity(float, parse_duration, format_duration, "duration", lambda v: f"'{v}ms' or '{v}s'",
                         {"pattern": "^([0-9.]+\\s*(ns|us|\u00b5s|\u03bcs|ms|s|m|h)\\s*)+$", "examples": ["250ms", "1m30s"]})
    Rate = _quantity(float, parse_rate, format_rate, "rate", lambda v: f"'{v}/s' or '{v}/min'",
                     {"pattern": r"^[0-9.]+\s*/\s*(s|min|m|h)$", "examples": ["40/s", "600/min"]})
    Share = _quantity(float, parse_share, format_share, "share", lambda v: f"'{v}%'",
                      {"pattern": r"^[0-9.]+\s*%$", "examples": ["5%"]})
    Size = _quantity(int, parse_size, format_size, "size", lambda v: f"'{v}B' or '{v}KiB'",
                     {"pattern": r"^[0-9.]+\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)$", "examples": ["64KiB", "4MB"]})
    Bandwidth = _quantity(float, parse_bandwidth, format_bandwidth, "bandwidth", lambda v: f"'{v}Mbit'",
                          {"pattern": r"^[0-9.]+\s*(bit|kbit|Mbit|Gbit)(/s|ps)?$", "examples": ["100Mbit"]})
    PositiveDuration = Annotated[Duration, Field(gt=0)]
    PositiveRate = Annotated[Rate, Field(gt=0)]
