"""What holds for every stack of policies in every kind of trouble."""

from __future__ import annotations

import numpy as np

from sim.telemetry.codes import Outcome, Reason

from .system import Story

REFUSALS = (Reason.CIRCUIT_OPEN, Reason.BULKHEAD_FULL, Reason.RATE_LIMITED, Reason.LOAD_SHED, Reason.BUDGET_EXHAUSTED)
CUT = (Reason.CANCELLED, Reason.TIMEOUT, Reason.DEADLINE)
ANSWERS_FOR_OTHERS = {"stale_cache", "idempotency"}  # one answer of the callee may be that of several calls


def check_all(story: Story, words: list[str]) -> None:
    """All laws that hold for a stack of these policies."""
    calls_end_in_one_way(story)
    attempts_are_tries(story, words)
    what_was_sent_arrived_or_was_lost(story)
    no_success_without_an_answer(story, words)
    refusals_are_refusals(story, words)
    nothing_is_left(story)


def calls_end_in_one_way(story: Story) -> None:
    """calls = ok + degraded + failed + rejected, for users and for calls; all are over at the end."""
    totals = story.result.summary["requests"]
    assert totals["started"] == totals["ok"] + totals["degraded"] + totals["failed"] + totals["rejected"]
    assert totals["unfinished"] == 0
    assert set(np.unique(story.calls.outcome)) <= {Outcome.OK, Outcome.DEGRADED, Outcome.FAILED, Outcome.REJECTED}
    assert len(story.calls) == totals["started"]  # each user's request makes one


def attempts_are_tries(story: Story, words: list[str]) -> None:
    """attempts = first tries + retries + hedges, less those that a policy refused on the way; none beyond them, where others cut in."""
    attempts = int(story.calls.attempt.sum())
    tries = len(story.calls) + story.events.get("retry.retry", 0) + story.events.get("hedge.hedge", 0) - refused(story)
    cut = np.isin(story.calls.status, CUT).any() or story.count("timeout") or story.count("deadline_exceeded")
    if cut or ANSWERS_FOR_OTHERS & set(words) or story.events.get("hedge.hedge"):
        assert attempts <= tries
    else:
        assert attempts == tries
    if {"retry", "hedge"} & set(words):
        of_each = dict(zip(*np.unique(story.attempts.parent, return_counts=True), strict=True))
        assert {int(call.id): int(call.attempt) for call in story.calls.rows.view(np.recarray) if call.attempt} == of_each


def refused(story: Story) -> int:
    """Tries that a policy turned away before anything was sent."""
    return story.count("rejected")


def what_was_sent_arrived_or_was_lost(story: Story) -> None:
    """What the server saw = what was sent - what was lost; what could not be sent at all says so."""
    assert story.arrived == story.sent - story.lost
    unsent = int(story.calls.attempt.sum()) - story.sent
    assert unsent >= 0
    if len(story.attempts):
        assert unsent == np.isin(story.attempts.status, (Reason.UNAVAILABLE,)).sum()


def no_success_without_an_answer(story: Story, words: list[str]) -> None:
    """A call is ok if the callee has answered well; a substitute is degraded and never ok."""
    good = int((story.calls.outcome == Outcome.OK).sum())
    if not ANSWERS_FOR_OTHERS & set(words):
        assert good <= int((story.served.outcome == Outcome.OK).sum())
    degraded = int((story.calls.outcome == Outcome.DEGRADED).sum())
    if not {"fallback", "stale_cache"} & set(words):
        assert degraded == 0
    users = story.result.summary["requests"]
    assert users["ok"] <= good
    assert users["degraded"] <= degraded


def refusals_are_refusals(story: Story, words: list[str]) -> None:
    """A call that one of our policies refused is rejected: neither a success nor a failure of the callee."""
    refusals = np.isin(story.calls.status, REFUSALS)
    assert (story.calls.outcome[refusals] == Outcome.REJECTED).all()
    if not ANSWERS_FOR_OTHERS & set(words):
        assert int(refusals.sum()) <= refused(story)


def nothing_is_left(story: Story) -> None:
    """Every permit, slot, place and alarm is back; nobody works or waits; the queue of timers is small."""
    assert {word: number for word, number in story.left.items() if number} == {}
    assert story.busy == 0
    assert story.queue < 100
