"""Keys and paths that are drawn: how often each comes, and what is refused."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import TypeAdapter, ValidationError

from sim.model.keys import AnyKeys
from sim.streams import Streams


def keys(written, count=50_000, seed=1):
    """So many draws."""
    draw = TypeAdapter(AnyKeys).validate_python(written).drawer(Streams(seed)["keys"])
    return [draw() for _ in range(count)]


def test_zipf_asks_for_key_k_in_proportion_to_one_over_k_to_the_s():
    """Ten keys with exponent 1.2: the share of each within a percentage point; no key above ten or below one."""
    counts = Counter(keys({"zipf": {"items": 10, "s": 1.2}}))
    weights = [k**-1.2 for k in range(1, 11)]
    assert sorted(counts) == list(range(1, 11))
    for k, weight in enumerate(weights, 1):
        assert counts[k] / 50_000 == pytest.approx(weight / sum(weights), abs=0.01)


def test_an_exponent_of_zero_is_uniform():
    """All keys are as likely."""
    counts = Counter(keys({"zipf": {"items": 4, "s": 0}}))
    assert all(counts[k] / 50_000 == pytest.approx(0.25, abs=0.01) for k in (1, 2, 3, 4))


def test_uniform_keys():
    """From 1 to the number of items."""
    counts = Counter(keys({"uniform": {"items": 5}}))
    assert sorted(counts) == [1, 2, 3, 4, 5] and all(count / 50_000 == pytest.approx(0.2, abs=0.01) for count in counts.values())


def test_one_item_is_always_the_same():
    """Zipf and uniform of one key."""
    assert set(keys({"zipf": 1}, 100)) == set(keys({"uniform": 1}, 100)) == {1}


def test_a_plain_value_is_a_fixed_key():
    """Written as a text or a number."""
    assert keys("cart", 2) == ["cart", "cart"] and keys(7, 1) == ["7"]


def test_streams_decide_what_is_drawn():
    """The same seed gives the same keys, another one others; two drawers of one size do not disturb each other."""
    assert keys({"zipf": 1000}, 50) == keys({"zipf": 1000}, 50) != keys({"zipf": 1000}, 50, seed=2)


@pytest.mark.parametrize("written", [
    {"zipf": 0}, {"zipf": {"items": 10, "s": -1}}, {"zipf": {"items": 10_000_001}}, {"uniform": 0}, {"hot": 3}, {},
    [], [7], True, float("nan"), 1e308,
])
def test_impossible_keys_are_refused(written):
    """No keys at all, too many, an exponent that is none, an unknown kind, what is no text."""
    with pytest.raises(ValidationError):
        TypeAdapter(AnyKeys).validate_python(written)
