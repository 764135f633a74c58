"""Subjects and their patterns; what about brokers cannot be meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sim.errors import TargetNotFound
from sim.mistakes import mistakes
from sim.model.services import AnyService
from sim.model.subjects import check_pattern, check_subject, matches
from tests.model.platform_world import platform

TOKENS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4)
PATTERNS = st.builds(lambda tokens, rest: ".".join([*tokens, *rest]), st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4),
                     st.sampled_from([[], [">"]]))


@given(PATTERNS, TOKENS)
def test_a_pattern_means_what_its_tokens_mean(pattern, tokens):
    """`*` is one token, `>` one or more at the end: told token by token."""
    def fits(wanted: list[str], given: list[str]) -> bool:
        if wanted == [">"]:
            return len(given) >= 1
        if not wanted or not given:
            return not wanted and not given
        return wanted[0] in ("*", given[0]) and fits(wanted[1:], given[1:])

    assert matches(pattern, ".".join(tokens)) is fits(pattern.split("."), tokens)


@pytest.mark.parametrize("subject", ["order", "order.created", "order.item-7.x_y", "Ünïcode.ok"])
def test_subjects_that_can_be_published(subject):
    """Tokens between dots."""
    assert check_subject(subject) == subject
    assert check_pattern(subject) == subject


@pytest.mark.parametrize("subject", ["", "order.", ".order", "order..created", "order.*", "order.>", "or der", "order.a*"])
def test_subjects_that_cannot(subject):
    """Empty tokens, wildcards, blanks."""
    with pytest.raises(ValueError, match=r".+: .+"):
        check_subject(subject)


# what cannot be meant

WRONG = [
    ({"kind": "broker", "delivery": "at_most_once", "ack_wait": "1s"}, "`ack_wait` is of streams", "at_least_once"),
    ({"kind": "broker", "max_pending": 5}, "`max_pending` is of at_most_once", "max_ack_pending"),
    ({"kind": "broker", "redelivery_delay": []}, "an empty list of delays", "0s"),
    ({"subscribe": {"order..created": []}}, "an empty token", "order.created"),
    ({"subscribe": {"order.>.x": []}}, "something follows the '>'", "'*'"),
    ({"subscribe": {"a": {"do": [], "group": "x", "everyone": True}}}, "`everyone` and `group`", "leave one"),
    ({"endpoints": {"GET /": [{"publish": "order.*"}]}}, "which is a pattern", "order.created"),
]


@pytest.mark.parametrize(("spec", "what", "cure"), WRONG, ids=[what for _, what, _ in WRONG])
def test_mistakes_are_told_with_their_cure(spec, what, cure):
    """Before anything runs."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AnyService).validate_python(spec)
    (mistake,) = mistakes(caught.value)
    assert what in mistake.what
    assert cure in mistake.cure


@pytest.mark.parametrize(("brokers", "what"), [([], "there is no broker"), (["a", "b"], "name one of a, b")])
def test_a_broker_that_is_not_named_must_be_the_only_one(brokers, what):
    """None, or several: said when the world is built."""
    services = {"mailer": {"subscribe": {"order.created": []}}, **{name: {"kind": "broker"} for name in brokers}}
    with pytest.raises(TargetNotFound, match=what), platform(services):
        pass
