"""The words of `on:` lists, and the specs of policies."""

import asyncio
import random

import pytest
from pydantic import TypeAdapter, ValidationError

from sim.resilience import AnyPolicy, AttemptTimeout, BulkheadFull, DeadlineExceeded, InFlightBudget, PolicyParts
from sim.resilience.failures import predicate
from sim.spec import mistakes

from .examples import WORDS, build, spec


class WithStatus(Exception):
    def __init__(self, status):
        self.status = status


ERRORS = {
    "attempt timeout": AttemptTimeout("slow"), "deadline": DeadlineExceeded(),
    "refused": ConnectionRefusedError(), "unreachable": ConnectionError(),
    "reset": ConnectionResetError(), "broken pipe": BrokenPipeError(),
    "429": WithStatus(429), "404": WithStatus(404), "500": WithStatus(500), "503": WithStatus(503),
    "full": BulkheadFull(object(), "full"), "bug": KeyError("key"), "cancelled": asyncio.CancelledError(),
}


@pytest.mark.parametrize(("word", "meant"), [
    ("timeout", {"attempt timeout", "deadline"}),
    ("connect", {"refused", "unreachable"}),
    ("reset", {"reset", "broken pipe"}),
    ("unavailable", {"503"}),
    ("429", {"429"}),
    (404, {"404"}),
    ("5xx", {"500", "503"}),
    ("rejected", {"full"}),
    ("any", set(ERRORS) - {"cancelled"}),
])
def test_what_a_word_means(word, meant):
    """Exactly these, and never a cancellation."""
    assert {name for name, error in ERRORS.items() if predicate([word])(error)} == meant


def test_several_words_mean_any_of_them():
    """A union."""
    either = predicate(["timeout", "rejected"])
    assert [either(ERRORS[name]) for name in ("deadline", "full", "bug")] == [True, True, False]


POLICY = TypeAdapter(AnyPolicy)


@pytest.mark.parametrize(("written", "what", "cure"), [
    ({"retry": {"on": ["tiemout"]}}, "'tiemout' names no kind of failure", "did you mean 'timeout'?"),
    ({"retry": {"on": [700]}}, "700 names no kind of failure", "known: 429"),
    ({"retry": {"on": 5.5}}, "should be a list of failures", "for example [timeout, 5xx]"),
    ({"retry": {"max_attempts": 0}}, "at least 1", ""),
    ({"retry": {"backoff": {"kind": "expo"}}}, "unknown backoff kind 'expo'", "known: constant"),
    ({"circuit_breaker": {"sliding_window": {"calls": 5, "time": "3s"}}}, "a sliding window is one of", ""),
    ({"bulkhead": {}}, "'max_concurrent_calls' is missing", "add `max_concurrent_calls"),
    ({"timeout": "0s"}, "more than 0", ""),
    ({"circiut_breaker": {}}, "unknown policy kind 'circiut_breaker'", "did you mean 'circuit_breaker'?"),
    ({"bulkhead_pools": {"default": "none"}}, "the default pool 'none'", ""),
])
def test_mistakes_are_told_with_their_cure(written, what, cure):
    """In the words of the file."""
    with pytest.raises(ValidationError) as error:
        POLICY.validate_python(written)
    (mistake,) = mistakes(error.value)
    assert what in mistake.what
    assert cure in mistake.cure


def test_policies_that_state_the_same_budget_share_it():
    """Retry twice with the same budget: one object; another budget: another."""
    parts = PolicyParts(rng=random.Random(1))
    same, again, other = (
        POLICY.validate_python({"retry": {"budget": {"kind": "in_flight", "share": share}}}).build(parts) for share in ("20%", "20%", "30%")
    )
    assert isinstance(same.budget, InFlightBudget)
    assert same.budget is again.budget is not other.budget


@pytest.mark.parametrize("word", WORDS)
def test_a_resolved_scenario_reads_the_same(word):
    """Written out with its defaults and read again, a spec is equal; and the policy that it builds knows its word."""
    written = POLICY.dump_python(spec(word), mode="json")
    assert POLICY.validate_python(written) == spec(word)
    assert build(word).word == word
