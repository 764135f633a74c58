"""Quantities with units: what is read, what is refused and how, and that writing and reading agree."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.mistakes import mistakes
from sim.spec import Spec
from sim.units import (
    LIMIT,
    Bandwidth,
    Duration,
    PositiveDuration,
    PositiveRate,
    Rate,
    Share,
    Size,
    format_bandwidth,
    format_duration,
    format_rate,
    format_share,
    format_size,
    parse_bandwidth,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(("text", "seconds"), [
    ("250ms", 0.25), ("1m30s", 90), ("1h", 3600), ("0ms", 0), ("0.5h", 1800), (".5s", 0.5), ("1h2m3s4ms", 3723.004),
    ("300us", 300e-6), ("7ns", 7e-9), ("7\u00b5s", 7e-6), ("7\u03bcs", 7e-6), ("1m 30s", 90), ("5 ms", 0.005), (" 2s ", 2),
    ("0.1s", 0.1), ("100ms", 0.1), ("3m", 180),
])
def test_a_duration_is_read_in_seconds(text, seconds):
    """Every unit, combined ones, and the same float as the number itself written in seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", [
    "", " ", "5", "ms", "5sec", "5 minutes", "5d", "--5ms", "+5ms", "5m s", "1 0ms", "1e3ms", "1_000ms", "1,5s", "5.ms", "5ms,", "0x5ms",
    "5MS", "inf", "nan", "infs", "٣ms", "5\nms", "1m30", "1:30",
])
def test_what_is_no_duration_is_refused(text):
    """With the units that there are."""
    with pytest.raises(ValueError, match=r"is no duration: write a number and its unit \(ns us ms s m h\), for example '250ms' or '1m30s'"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "per_second"), [
    ("40/s", 40), ("600/min", 10), ("600/m", 10), ("36/h", 0.01), ("0.5/s", 0.5), ("40 / s", 40), ("0/s", 0),
])
def test_a_rate_is_read_per_second(text, per_second):
    """Per second, minute or hour."""
    assert parse_rate(text) == per_second


@pytest.mark.parametrize("text", ["", "40", "40/", "/s", "40/d", "40/ms", "-1", "40 per second", "1e3/s", "4 0/s", "40//s"])
def test_what_is_no_rate_is_refused(text):
    """With examples of each unit."""
    with pytest.raises(ValueError, match="is no rate: write '40/s', '600/min' or '10/h'"):
        parse_rate(text)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0%", 0), ("100%", 1), ("0.1%", 0.001), ("33.3 %", 0.333), ("7%", 0.07)])
def test_a_share_is_read_as_a_part_of_one(text, share):
    """Exactly the float that the decimal number is."""
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "5", "%", "0.05", "-5", "5 percent", "5%%", "1e1%"])
def test_what_is_no_share_is_refused(text):
    """A share is a percentage."""
    with pytest.raises(ValueError, match="is no share: write a percentage, for example '5%'"):
        parse_share(text)


def test_a_share_above_all_of_it_is_refused():
    """101 % of the requests is a mistake."""
    with pytest.raises(ValueError, match="'101%' is more than all of it: a share lies between 0% and 100%"):
        parse_share("101%")


@pytest.mark.parametrize(("text", "count"), [("512B", 512), ("64KiB", 65536), ("4MB", 4_000_000), ("2kB", 2000), ("2KB", 2000),
                                             ("1GiB", 2**30), ("1GB", 10**9), ("1.5KiB", 1536), ("1 MiB", 2**20), ("0B", 0)])
def test_a_size_is_read_in_bytes(text, count):
    """Decimal and binary units; the result is a whole number."""
    assert parse_size(text) == count
    assert isinstance(parse_size(text), int)


@pytest.mark.parametrize("text", ["", "64", "64K", "64Ki", "64kib", "-1", "64Kbit", "1e3B"])
def test_what_is_no_size_is_refused(text):
    """With examples."""
    with pytest.raises(ValueError, match="is no size: write '512B', '64KiB' or '4MB'"):
        parse_size(text)


def test_a_part_of_a_byte_is_refused():
    """Half a byte cannot be sent."""
    with pytest.raises(ValueError, match=r"'0\.5B' is no whole number of bytes"):
        parse_size("0.5B")


@pytest.mark.parametrize(("text", "bits"), [("100Mbit", 1e8), ("10Gbit", 1e10), ("64kbit", 64_000), ("64Kbit", 64_000), ("9600bit", 9600),
                                            ("1.5Mbit/s", 1.5e6), ("1Mbitps", 1e6), ("100 Mbit", 1e8)])
def test_a_bandwidth_is_read_in_bits_per_second(text, bits):
    """As tc writes it; per second is understood."""
    assert parse_bandwidth(text) == bits


@pytest.mark.parametrize("text", ["", "100", "100M", "100Mbps", "100MB", "100MB/s", "-1", "100mbit"])
def test_what_is_no_bandwidth_is_refused(text):
    """`Mbps` means megabytes to tc and megabits to people."""
    with pytest.raises(ValueError, match="is no bandwidth: write '100Mbit' or '10Gbit'"):
        parse_bandwidth(text)


@pytest.mark.parametrize(("parse", "text", "noun"), [
    (parse_duration, "-5ms", "duration"), (parse_duration, "\u22121m30s", "duration"), (parse_rate, "-40/s", "rate"),
    (parse_share, "- 5%", "share"), (parse_size, "-64KiB", "size"), (parse_bandwidth, "-100Mbit", "bandwidth"),
])
def test_less_than_nothing_is_refused_as_such(parse, text, noun):
    """Where only the sign is wrong, the message speaks of the sign; the minus of typographers is one as well."""
    with pytest.raises(ValueError, match=f"^'{re.escape(text)}' is negative, and a {noun} cannot be: remove the minus sign$"):
        parse(text)


@pytest.mark.parametrize(("parse", "text"), [
    (parse_duration, "9" * 20 + "h"), (parse_duration, "9" * 400 + "s"), (parse_rate, "9" * 20 + "/s"), (parse_size, "9" * 20 + "GiB"),
    (parse_size, "9" * 400 + "B"), (parse_bandwidth, "9" * 20 + "Gbit"),
])
def test_what_nobody_can_have_meant_is_refused(parse, text):
    """Numbers beyond every limit, in a short message."""
    with pytest.raises(ValueError, match="is beyond anything that can be simulated") as caught:
        parse(text)
    assert len(str(caught.value)) < 120


@given(st.floats(min_value=0, max_value=LIMIT / 2, allow_subnormal=False))
def test_a_duration_written_is_read_as_the_same_number(seconds):
    """Bit for bit, so that a resolved scenario runs to the same digest."""
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.floats(min_value=0, max_value=LIMIT / 2, allow_subnormal=False))
def test_a_rate_and_a_bandwidth_written_are_read_as_the_same_number(number):
    """Bit for bit."""
    assert parse_rate(format_rate(number)) == number
    assert parse_bandwidth(format_bandwidth(number)) == number


@given(st.floats(min_value=0, max_value=1, allow_subnormal=False))
def test_a_share_written_is_read_as_the_same_number(share):
    """Bit for bit."""
    assert parse_share(format_share(share)) == share


@given(st.integers(min_value=0, max_value=10**14))
def test_a_size_written_is_read_as_the_same_number(count):
    """Exactly."""
    assert parse_size(format_size(count)) == count


@pytest.mark.parametrize(("written", "text"), [
    (format_duration(0.25), "250ms"), (format_duration(90), "90s"), (format_duration(0), "0s"), (format_duration(0.0005), "500us"),
    (format_duration(1.5e-8), "15ns"), (format_duration(1.25), "1.25s"), (format_rate(40.0), "40/s"), (format_share(0.05), "5%"),
    (format_share(0.07), "7%"), (format_share(0.001), "0.1%"),
    (format_size(65536), "64KiB"), (format_size(1000), "1000B"), (format_size(0), "0B"),
    (format_bandwidth(1e8), "100Mbit"), (format_bandwidth(1.5e6), "1500kbit"), (format_bandwidth(10.5), "10.5bit"),
    (format_bandwidth(0.0), "0bit"),
])
def test_quantities_are_written_the_way_people_do(written, text):
    """Short, in the unit that leaves no leading zeros."""
    assert written == text


# as fields of a spec


class Quantities(Spec):
    """One of each."""

    duration: Duration = 0.0
    positive: PositiveDuration = 1.0
    rate: Rate = 0.0
    positive_rate: PositiveRate = 1.0
    share: Share = 0.0
    size: Size = 0
    bandwidth: Bandwidth = 0.0


def wrong_with(**fields):
    """The one mistake of these *fields*."""
    with pytest.raises(ValidationError) as caught:
        Quantities.model_validate(fields)
    (mistake,) = mistakes(caught.value, (), Quantities)
    return mistake


def test_a_spec_takes_texts_and_gives_numbers_and_writes_texts():
    """What `model_dump` writes is read again."""
    quantities = Quantities.model_validate({"duration": "1m30s", "rate": "600/min", "share": "5%", "size": "64KiB", "bandwidth": "100Mbit"})
    assert (quantities.duration, quantities.rate, quantities.share, quantities.size, quantities.bandwidth) == (90, 10, 0.05, 65536, 1e8)
    dumped = quantities.model_dump(mode="json")
    assert dumped["duration"] == "90s"
    assert Quantities.model_validate(dumped) == quantities


@pytest.mark.parametrize(("field", "value", "cure"), [
    ("duration", 5, "'5ms' or '5s'"), ("duration", 0.5, "'0.5ms' or '0.5s'"), ("rate", 40, "'40/s' or '40/min'"),
    ("share", 5, "'5%'"), ("size", 64, "'64B' or '64KiB'"), ("bandwidth", 100, "'100Mbit'"),
])
def test_a_bare_number_is_refused_with_its_cure(field, value, cure):
    """`timeout: 5` would be milliseconds to one half of the world and seconds to the other."""
    mistake = wrong_with(**{field: value})
    assert mistake.loc == (field,)
    assert "needs a unit" in mistake.what
    assert mistake.cure == f"write {cure}"


@pytest.mark.parametrize("value", [None, True, [], {}, ["5ms"], b"5ms"])
def test_what_is_no_text_is_refused(value):
    """In the words of the file, with an example."""
    mistake = wrong_with(duration=value)
    assert mistake.what.startswith("should be a duration, not ")
    assert mistake.cure == "write a number and its unit, as in '5ms' or '5s'"


@pytest.mark.parametrize(("value", "said"), [
    (-5, "-5 is negative, and a duration cannot be"), (-math.inf, "-inf is negative, and a duration cannot be"), (math.nan, "nan is no duration"),
    (math.inf, "inf is beyond anything that can be simulated"), (1e300, "1e+300 is beyond anything that can be simulated"),
])
def test_a_number_that_cannot_be_one_is_not_offered_a_unit(value, said):
    """`-5` does not become right as '-5ms'."""
    mistake = wrong_with(duration=value)
    assert mistake.what == said
    assert str(value) not in mistake.cure


def test_a_wrong_text_is_told_apart_from_its_cure():
    """The message and the way out stand on lines of their own."""
    mistake = wrong_with(duration="5 minutes")
    assert mistake.what == "'5 minutes' is no duration"
    assert mistake.cure == "write a number and its unit (ns us ms s m h), for example '250ms' or '1m30s'"


@pytest.mark.parametrize(("field", "value"), [("positive", "0ms"), ("positive_rate", "0/s")])
def test_nothing_is_refused_where_something_is_needed(field, value):
    """Zero is a duration, but no interval."""
    assert "should be more than 0" in wrong_with(**{field: value}).what


@pytest.mark.parametrize(("parse", "text"), [
    (parse_duration, "9" * 1_000_000 + "s"), (parse_duration, "1s" * 1000), (parse_rate, "9" * 5000 + "/s"), (parse_share, "0" * 5000 + "5%"),
    (parse_size, "9" * 5000 + "MiB"), (parse_bandwidth, "9" * 5000 + "bit"),
], ids=["duration", "parts", "rate", "share", "size", "bandwidth"])
def test_what_no_person_has_written_is_refused_before_it_is_reckoned(parse, text):
    """A million digits are beyond what a decimal number holds."""
    with pytest.raises(ValueError, match=r"of [0-9,]+ characters: write"):
        parse(text)
