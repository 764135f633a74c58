"""Every two policies in both orders, before a service that is healthy, slow, failing, hanging, killed under the calls, or cut off."""

from itertools import combinations, permutations

import pytest

from sim.telemetry.codes import Reason

from .laws import check_all
from .system import HELD, HOLDS_NOTHING, TROUBLE, WORDS, stack, tell


def test_it_is_known_of_every_policy_what_it_holds():
    """A new policy needs a line in HELD."""
    assert set(HELD) | HOLDS_NOTHING == set(WORDS)


@pytest.mark.parametrize("pair", list(permutations(WORDS, 2)), ids=" ".join)
def test_a_pair_keeps_its_books(pair):
    """All laws hold in every kind of trouble."""
    for trouble, fault in TROUBLE.items():
        story = tell(stack(pair), fault)
        try:
            check_all(story, list(pair))
        except AssertionError as error:
            error.add_note(f"{' around '.join(pair)}, {trouble}; {story.events}")
            raise


DEAD = {
    "killed": "{kind: instance.kill, target: {service: back}, schedule: {at: 500ms}}",
    "refusing": "{kind: instance.unavailable, target: {service: back}, schedule: {at: 500ms}}",
    "answering 500": "{kind: http.abort, target: {service: back}, status: 500, schedule: {at: 500ms}}",
    "unreachable": "{kind: network.partition, target: {link: front->back}, how: reject, schedule: {at: 500ms}}",
}


@pytest.mark.parametrize("pair", [pair for pair in combinations(WORDS, 2) if "circuit_breaker" in pair], ids=" ".join)
def test_a_breaker_before_a_dead_service_opens(pair):
    """Whatever it is composed with, in the order in which policies are meant to stand; from then on hardly anything is sent."""
    for death, fault in DEAD.items():
        story = tell(stack(pair), fault)
        moves = [event for event in story.result.events if event["kind"] == "circuit_breaker.state_transition"]
        assert moves and moves[0]["target"] == "open", death
        later = story.calls[story.calls.start > moves[0]["at"]]
        assert len(later) > 50 and later.attempt.sum() <= 10, death  # a probe each 200 ms
        assert not (later.status == 200).any() or {"stale_cache", "idempotency", "fallback"} & set(pair), death
        assert Reason.CIRCUIT_OPEN in later.status or "fallback" in pair, death
