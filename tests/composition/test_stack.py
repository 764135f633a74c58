"""The full recommended stack before a real service in every kind of trouble; and what `check` and `explain` say of orders of policies."""

import numpy as np
import pytest

from sim import run
from sim.resilience.explain import ORDERS
from sim.scenario.load import load_scenario
from sim.telemetry.codes import Outcome

from .laws import check_all
from .system import TROUBLE, WRITTEN, scenario, stack, tell

BUDGET = "budget: {kind: tokens, share: 20%, min_per_second: 2, ttl: 2s}"
WORDS = ["fallback", "stale_cache", "deadline", "retry", "hedge", "circuit_breaker", "rate_limiter", "bulkhead", "timeout"]
RECOMMENDED = {
    "fallback": "{status: 200, on: [any]}",
    "stale_cache": "{ttl: 20ms, stale_ttl: 1s}",
    "deadline": "600ms",
    "retry": f"{{max_attempts: 3, backoff: {{initial: 10ms, multiplier: 2, max: 100ms, jitter: full}}, {BUDGET}}}",
    "hedge": f"{{delay: 80ms, {BUDGET}}}",
    "circuit_breaker": "{sliding_window: {calls: 20}, minimum_number_of_calls: 10, wait_duration_in_open_state: 300ms}",
    "rate_limiter": "{rate: 150/s, burst: 20}",
    "bulkhead": "{max_concurrent_calls: 12, max_queued_calls: 6, max_wait_duration: 50ms}",
    "timeout": "200ms",
}
STACK = stack(WORDS, RECOMMENDED)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("trouble", TROUBLE)
def test_the_stack_keeps_its_books(trouble, seed):
    """All laws hold; every user gets an answer, and within the deadline; what is no real answer is degraded and not ok."""
    story = tell(STACK, TROUBLE[trouble], seed, rate=100)
    check_all(story, WORDS)
    users = story.result.summary["requests"]
    assert users["ok"] + users["degraded"] == users["started"]
    assert np.max(story.calls.end - story.calls.start) <= 0.6 + 1e-6
    assert (users["degraded"] > 0) == (trouble not in ("healthy", "killed"))  # a killed instance: the retry finds the other


@pytest.mark.parametrize("trouble", ["failing", "hanging", "partitioned"])
def test_the_stack_sends_little_into_trouble(trouble):
    """Retries and hedges together stay within the one budget, and the breaker opens: less goes out than there are calls."""
    story = tell(STACK, TROUBLE[trouble], rate=100)
    retried = story.events.get("retry.retry", 0) + story.events.get("hedge.hedge", 0)
    assert 0 < retried <= 0.2 * len(story.calls) + 2 * 2 + 1
    assert story.events["circuit_breaker.state_transition"] >= 2
    assert story.calls.attempt.sum() < len(story.calls)
    later = story.result.requests[story.result.requests.intended > 1.9]
    assert (later.outcome == Outcome.OK).mean() > 0.9  # and it is well again


def test_a_killed_instance_is_hardly_noticed():
    """One of two is killed again and again: the retry finds the other; hardly any answer is degraded, where without policies many fail."""
    bare, story = (tell(policies, TROUBLE["killed"], rate=100) for policies in ("[timeout: 200ms]", STACK))
    users = story.result.summary["requests"]
    assert bare.result.summary["requests"]["failed"] > 2 * users["degraded"]
    assert users["degraded"] < 0.02 * users["started"]


def test_the_worst_case_holds():
    """No call makes more attempts than `explain` says."""
    for fault in TROUBLE.values():
        story = tell(stack(["retry", "hedge", "timeout"], {**WRITTEN, "retry": "{max_attempts: 3, backoff: 1ms}"}), fault, rate=100)
        assert story.calls.attempt.max() <= 6


# what is said of the order, before anything runs


def said(tmp_path, policies):
    """(what `check` warns of, what the pipelines of the running system say of themselves)."""
    path = tmp_path / "scenario.yaml"
    path.write_text(scenario(policies, ""), encoding="utf-8")
    loaded = load_scenario(path)
    pipelines = []
    run(loaded.scenario, on_end=lambda world: pipelines.extend(client.pipeline for client in world.node("front").instances[0].clients))
    warned = ["; ".join(filter(None, (problem.what, problem.cure))) for problem in loaded.warnings]
    return warned, list(pipelines[0].explain().warnings)


def test_check_and_explain_agree_on_the_recommended_stack(tmp_path):
    """The order is sound; both say, and only that, that retries and hedges multiply, and that they share a budget; and how to have fewer."""
    warned, explained = said(tmp_path, STACK)
    assert warned == explained and len(explained) == 1 and "up to 6 attempts for one call (they share a budget); for fewer" in explained[0]


@pytest.mark.parametrize(("outer", "inner"), ORDERS, ids=" ".join)
def test_check_and_explain_agree_on_orders_that_cannot_work(tmp_path, outer, inner):
    """The same words, with what is wrong and the cure."""
    warned, explained = said(tmp_path, stack([outer, inner]))
    assert warned == explained == [ORDERS[outer, inner]]


def test_check_and_explain_agree_on_a_timeout_that_never_fires(tmp_path):
    """A timeout of one attempt that is not below the deadline."""
    warned, explained = said(tmp_path, "[deadline: 200ms, retry: {}, timeout: 200ms]")
    assert warned == explained and "not below the deadline" in explained[0]
