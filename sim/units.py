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

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sim.mistakes import Mistake, invalid, shown

DURATIONS = {  # in seconds
    "ns": Decimal("1e-9"), "us": Decimal("1e-6"), "ms": Decimal("1e-3"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600),
    "\u00b5s": Decimal("1e-6"), "\u03bcs": Decimal("1e-6"),  # the micro sign, and the Greek letter that looks like it
}
RATES = {"s": 1, "min": 60, "m": 60, "h": 3600}  # seconds in the unit
SIZES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
BANDWIDTHS = {"bit": 1, "kbit": 10**3, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}
LIMIT = 1e15  # nothing in a laboratory is longer, faster or larger
LONGEST = 1000  # characters of a quantity
MINUS = ("-", "\u2212")

_NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_DURATION_PART = re.compile(rf"({_NUMBER}) *({'|'.join(sorted(DURATIONS, key=len, reverse=True))})")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern} *)+")
_RATE = re.compile(rf"({_NUMBER}) */ *(s|min|m|h)")
_SHARE = re.compile(rf"({_NUMBER}) *%")
_SIZE = re.compile(rf"({_NUMBER}) *({'|'.join(SIZES)})")
_BANDWIDTH = re.compile(rf"({_NUMBER}) *({'|'.join(BANDWIDTHS)})(?:/s|ps)?")


def parse_duration(text: str) -> float:
    """Seconds in `250ms`, `1m30s`, `0.5h`; raise ValueError with a cure."""
    _matched(_DURATION, text, "duration", "write a number and its unit (ns us ms s m h), for example '250ms' or '1m30s'")
    total = sum((Decimal(number) * DURATIONS[unit] for number, unit in _DURATION_PART.findall(text)), Decimal(0))
    return _bounded(float(total), text)


def parse_rate(text: str) -> float:
    """Events per second in `40/s`, `600/min`, `10/h`; raise ValueError with a cure."""
    match = _matched(_RATE, text, "rate", "write '40/s', '600/min' or '10/h'")
    return _bounded(float(Decimal(match[1]) / RATES[match[2]]), text)


def parse_share(text: str) -> float:
    """The part of one in `5%`; raise ValueError with a cure, also above 100 %."""
    share = float(Decimal(_matched(_SHARE, text, "share", "write a percentage, for example '5%'")[1]) / 100)
    if share > 1:
        raise ValueError(f"{shown(text)} is more than all of it: a share lies between 0% and 100%")
    return share


def parse_size(text: str) -> int:
    """Bytes in `64KiB`, `4MB`; raise ValueError with a cure."""
    match = _matched(_SIZE, text, "size", "write '512B', '64KiB' or '4MB'")
    count = Decimal(match[1]) * SIZES[match[2]]
    if _bounded(float(count), text) != int(count):
        raise ValueError(f"{shown(text)} is no whole number of bytes: write a size without a rest, '512B' or '1.5KiB'")
    return int(count)


def parse_bandwidth(text: str) -> float:
    """Bits per second in `100Mbit`; raise ValueError with a cure."""
    match = _matched(_BANDWIDTH, text, "bandwidth", "write '100Mbit' or '10Gbit' (bits per second)")
    return _bounded(float(Decimal(match[1]) * BANDWIDTHS[match[2]]), text)


def _matched(pattern: re.Pattern[str], text: str, noun: str, cure: str) -> re.Match[str]:
    """*text* as *pattern*; raise ValueError where it is no *noun*, and say so if only its minus sign is in the way."""
    written = text.strip()
    if len(written) > LONGEST:
        raise ValueError(f"{shown(text)} is a {noun} of {len(written):,} characters: {cure}")
    match = pattern.fullmatch(written)
    if match is not None:
        return match
    if written.startswith(MINUS) and pattern.fullmatch(written[1:].strip()):
        raise ValueError(f"{shown(text)} is negative, and a {noun} cannot be: remove the minus sign")
    raise ValueError(f"{shown(text)} is no {noun}: {cure}")


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
        raise ValueError(f"{shown(text)} is {_BEYOND}")
    return value


_BEYOND = "beyond anything that can be simulated"


@dataclass(frozen=True)
class Noun:
    """What the documentation of kinds calls a type; goes into the metadata of an Annotated type."""

    text: str


@dataclass(frozen=True, eq=False)
class Quantity(Noun):
    """How a field reads and writes a quantity: goes into the metadata of an Annotated type, too."""

    parse: Callable[[str], Any]
    write: Callable[[Any], str]
    examples: Callable[[Any], str]  # of a number that has no unit yet
    schema: Mapping[str, Any]

    def read(self, value: Any) -> Any:
        """*value* as a field was given it."""
        if isinstance(value, str):
            try:
                return self.parse(value)
            except ValueError as error:
                cause, _, cure = str(error).rpartition(": ")
                raise invalid(Mistake((), cause or cure, cure if cause else "")) from None
        cure = f"write a number and its unit, as in {self.examples(5)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(Mistake((), f"should be a {self.text}, not {shown(value)}", cure))
        if value < 0:
            raise invalid(Mistake((), f"{shown(value)} is negative, and a {self.text} cannot be", cure))
        if not value <= LIMIT:
            raise invalid(Mistake((), f"{shown(value)} is {'no ' + self.text if math.isnan(value) else _BEYOND}", cure))
        raise invalid(Mistake((), f"a {self.text} needs a unit", f"write {self.examples(value)}"))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.write, return_schema=core_schema.str_schema())
        return core_schema.no_info_before_validator_function(self.read, handler(source), serialization=written)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", **self.schema}


if TYPE_CHECKING:
    Duration: TypeAlias = float
    PositiveDuration: TypeAlias = float
    Rate: TypeAlias = float
    PositiveRate: TypeAlias = float
    Share: TypeAlias = float
    Bandwidth: TypeAlias = float
    Size: TypeAlias = int
else:
    Duration = Annotated[float, Quantity(
        "duration", parse_duration, format_duration, lambda number: f"'{number}ms' or '{number}s'",
        {"pattern": "^([0-9.]+\\s*(ns|us|\u00b5s|\u03bcs|ms|s|m|h)\\s*)+$", "examples": ["250ms", "1m30s"]})]
    Rate = Annotated[float, Quantity(
        "rate", parse_rate, format_rate, lambda number: f"'{number}/s' or '{number}/min'",
        {"pattern": r"^[0-9.]+\s*/\s*(s|min|m|h)$", "examples": ["40/s", "600/min"]})]
    Share = Annotated[float, Quantity(
        "share", parse_share, format_share, lambda number: f"'{number}%'" + (f" or '{100 * number:g}%'" if 0 < number <= 1 else ""),
        {"pattern": r"^[0-9.]+\s*%$", "examples": ["5%"]})]
    Size = Annotated[int, Quantity(
        "size", parse_size, format_size, lambda number: f"'{number}B' or '{number}KiB'",
        {"pattern": r"^[0-9.]+\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)$", "examples": ["64KiB", "4MB"]})]
    Bandwidth = Annotated[float, Quantity(
        "bandwidth", parse_bandwidth, format_bandwidth, lambda number: f"'{number}Mbit'",
        {"pattern": r"^[0-9.]+\s*(bit|kbit|Mbit|Gbit)(/s|ps)?$", "examples": ["100Mbit"]})]
    PositiveDuration = Annotated[Duration, Field(gt=0)]
    PositiveRate = Annotated[Rate, Field(gt=0)]
