"""Attempts of one call: where they go, what ends them, when the next one comes."""

from collections import defaultdict

import numpy as np
import pytest

from sim import loads, run
from sim.resilience import BALANCERS
from sim.telemetry.codes import Outcome, Reason, SpanKind


def simulate(policies, *, fault="", use="", instances=2, work="10ms", patience="5s", rate=20):
    """Users of `back` at *rate* for ten seconds, through `front`, which calls it under *policies*."""
    return run(loads(f"""
name: attempts
duration: 10s
network: {{default: {{latency: 0ms}}}}
services:
  front:
    workers: 1000
    on_caller_gone: cancel
    uses: {{back: {{policies: {policies}{use}}}}}
    endpoints: {{GET /: [{{call: back GET /}}]}}
  back: {{instances: {instances}, workers: 100, endpoints: {{GET /: [{{work: {work}}}]}}}}
workloads: {{users: {{rate: {rate}/s, to: front, timeout: {patience}, mix: [{{send: GET /}}]}}}}
faults: [{fault}]
"""))


def spans(result, kind, node):
    found = result.spans.of(kind)
    return found[found.node == result.names.nodes.index(node)]


def places(result):
    """By trace: the instances of `back` that were asked, in the order of the attempts."""
    asked = defaultdict(dict)
    for row in spans(result, SpanKind.SERVER, "back").rows:
        asked[int(row["trace"])][int(row["attempt"])] = result.names.instances[row["instance"]]
    return [[where for _, where in sorted(attempts.items())] for attempts in asked.values()]


ONE_IS_BROKEN = "{kind: http.abort, target: {instance: back-0}, status: 500}"
KEYED = {"ring_hash", "maglev"}


@pytest.mark.parametrize("balancer", BALANCERS)
def test_a_retry_goes_to_another_host(balancer):
    """One of two answers 500 to everything: each call is ok, on the second attempt at the latest, whoever chooses."""
    result = simulate("[retry: {max_attempts: 2, backoff: 1ms}]", fault=ONE_IS_BROKEN, use=f", balancer: {balancer}")
    calls = spans(result, SpanKind.CLIENT, "front")
    assert (calls.outcome == Outcome.OK).all()
    assert all(len(set(where)) == len(where) for where in places(result))
    assert (calls.attempt == 2).sum() > 20 or balancer in KEYED  # where all calls have one key, they go to one host


def test_where_all_have_been_tried_any_will_do():
    """Both are broken: three attempts, the second elsewhere than the first."""
    result = simulate("[retry: {max_attempts: 3, backoff: 1ms}]", fault=ONE_IS_BROKEN.replace("instance: back-0", "service: back"))
    asked = places(result)
    assert all(len(where) == 3 and where[0] != where[1] for where in asked)


def test_a_hedge_goes_to_another_host():
    """One of two is a hundred times slower: the hedge of a call that went there goes to the other one and wins."""
    slow = "{kind: instance.slow, target: {instance: back-0}, factor: 100}"
    result = simulate("[hedge: {delay: 50ms}]", fault=slow)
    hedged = [where for where in places(result) if len(where) == 2]
    assert len(hedged) > 50 and all(where == ["back-0", "back-1"] for where in hedged)
    assert result.requests.finished.latency.max() == pytest.approx(0.06, abs=1e-6)


@pytest.mark.parametrize(("policies", "patience", "statuses"), [
    ("[retry: {max_attempts: 2, backoff: 1ms}, timeout: 100ms]", "5s", {Reason.TIMEOUT}),
    ("[deadline: 100ms, retry: {}]", "5s", {Reason.DEADLINE}),
    ("[deadline: 100ms, hedge: {delay: 10ms}]", "5s", {Reason.DEADLINE}),
    ("[timeout: 150ms, retry: {}, timeout: 100ms]", "5s", {Reason.TIMEOUT}),
    ("[retry: {}]", "100ms", {Reason.CANCELLED}),
    ("[hedge: {delay: 10ms}]", "100ms", {Reason.CANCELLED}),
])
def test_an_attempt_says_whose_limit_ended_it(policies, patience, statuses):
    """The client's own timeout or deadline, in a hedge too; a caller that left is a cancellation."""
    result = simulate(policies, work="1s", patience=patience)
    assert set(spans(result, SpanKind.ATTEMPT, "front").status) == statuses


def test_the_loser_of_a_hedge_is_cancelled():
    """Of two attempts one is 200, the other one has lost."""
    slow = "{kind: instance.slow, target: {instance: back-0}, factor: 100}"
    attempts = spans(simulate("[hedge: {delay: 50ms}]", fault=slow), SpanKind.ATTEMPT, "front")
    assert set(attempts.status) == {200, Reason.CANCELLED}


@pytest.mark.parametrize(("fault", "reason"), [
    ("{kind: instance.kill, target: {service: back}}", Reason.UNAVAILABLE),
    ("{kind: network.partition, target: {link: front->back}, how: reject}", Reason.CONNECT),
    ("{kind: network.partition, target: {link: front->back}}", Reason.TIMEOUT),
])
def test_attempts_that_reach_nobody_are_recorded_too(fault, reason):
    """Nobody there, no route, lost on the way: each call has two attempts, and a span of each."""
    result = simulate("[retry: {max_attempts: 2, backoff: 1ms}, timeout: 200ms]", fault=fault)
    attempts, calls = spans(result, SpanKind.ATTEMPT, "front"), spans(result, SpanKind.CLIENT, "front")
    assert set(attempts.status) == {reason} and set(calls.attempt) == {2}
    assert len(calls) > 100 and set(calls.id) <= set(attempts.parent)
    assert (np.unique(attempts[np.isin(attempts.parent, calls.id)].parent, return_counts=True)[1] == 2).all()
    assert len(spans(result, SpanKind.SERVER, "back")) == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_waits_as_long_as_the_answer_asks_for(status):
    """A throttled callee says when to come again; the retry's own wait of 1 ms does not count, and each call succeeds."""
    throttle = f"{{kind: http.throttle, target: {{service: back}}, rate: 1/s, burst: 1, status: {status}}}"
    result = simulate("[retry: {max_attempts: 2, backoff: 1ms}]", fault=throttle, rate=0.3)
    retries = [event for event in result.events if event["kind"] == "retry.retry"]
    assert retries and all(event["delay"] > 0.02 for event in retries)
    assert np.isin(spans(result, SpanKind.CLIENT, "front").outcome, (Outcome.OK, Outcome.REJECTED)).all()
