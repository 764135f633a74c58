"""Retries at each level, without a limit, and within budgets, and sagas, against their arithmetic (V44 to V48, V57)."""

import pytest

from .runs import of, simulate

GROWTH = """
name: growth
duration: 4s
network: {default: {latency: 0ms}}
services:
  server:
    workers: 100000
    admission: {rate_limiter: {rate: 10000/s, algorithm: fixed_window}}
workloads:
  users: {rate: 10100/s, arrivals: uniform, to: server, policies: [{retry: {max_attempts: 1000, backoff: 1s}}], mix: [{send: GET /}]}
"""


def test_v45_one_percent_too_much_grows_without_end():
    """10,100/s at a capacity of 10,000/s, where what is refused comes again within a second: 10,100, 10,200, 10,300 ... attempts."""
    result = simulate(GROWTH)
    server = result.spans.of(2)
    per_second = [int(((server.start >= second) & (server.start < second + 1)).sum()) for second in range(4)]
    assert per_second == pytest.approx([10_100 + 100 * second for second in range(4)], abs=2)


BUDGET = """
name: budget
duration: 20s
warmup: 8s
network: {{default: {{latency: 0ms}}}}
services:
  server: {{workers: 100000, endpoints: {{GET /: [{{fail: {{share: {share}}}}}]}}}}
workloads:
  users:
    rate: 1000/s
    to: server
    policies: [{{retry: {{max_attempts: 1000, backoff: 0ms, budget: {{kind: per_success, share: 10%, max_tokens: 50}}}}}}]
    mix: [{{send: GET /}}]
"""


@pytest.mark.parametrize(("failing", "amplification"), [(0.1, 1.0989), (0.5, 1.0526), (0.9, 1.0101), (1.0, 1.0)])
def test_v47_a_budget_that_successes_earn(failing, amplification):
    """Once it is spent there are 1 / (1 - r (1 - p)) attempts for each call: the worse it is the fewer."""
    result = simulate(BUDGET.format(share=f"{failing:.0%}"))
    assert of(result, "calls", "users->server", "amplification") == pytest.approx(amplification, rel=0.01)


LEVELS = """
name: levels
duration: {duration}s
network: {{default: {{latency: 0ms}}}}
services:
  a: {{workers: 1000, uses: {{b: {{policies: [{retry}]}}}}, endpoints: {{GET /: [{{call: b GET /}}]}}}}
  b: {{workers: 1000, uses: {{c: {{policies: [{retry}]}}}}, endpoints: {{GET /: [{{call: c GET /}}]}}}}
  c: {{workers: 1000, uses: {{d: {{policies: [{retry}]}}}}, endpoints: {{GET /: [{{call: d GET /}}]}}}}
  d: {{workers: 1000, endpoints: {{GET /: [{{fail: {{share: {share}%, status: 503}}}}]}}}}
workloads: {{users: {{rate: 100/s, arrivals: uniform, to: a, mix: [{{send: GET /}}]}}}}
"""


@pytest.mark.parametrize(("budget", "share", "arriving"), [
    ("", 100, 64), pytest.param("", 50, 1.875 * (1 - 1 / 16**4) / (1 - 1 / 16), marks=pytest.mark.validate),
    (", budget: {share: 10%, min_per_second: 0}", 100, 1.1**3),
])
def test_v44_v46_retries_at_each_of_three_levels_multiply(budget, share, arriving):
    """Four attempts each are 64 at the bottom of three levels; within a budget of a tenth of the calls they are 1.1 to the third."""
    retry = f"retry: {{max_attempts: 4, backoff: 0ms{budget}}}"
    result = simulate(LEVELS.format(retry=retry, share=share, duration=10 if budget else 0.2 if share == 100 else 60))
    found = of(result, "services", "d", "requests") / of(result, "workloads", "users", "started")
    assert found == pytest.approx(arriving, rel=0.02)


ONE_LEVEL = """
name: one-level
duration: 60s
warmup: 12s
network: {{default: {{latency: 0ms}}}}
services: {{server: {{workers: 1000, endpoints: {{GET /: [{{fail: {{share: {share}%, status: 503}}}}]}}}}}}
workloads:
  users: {{rate: 100/s, to: server, policies: [retry: {{max_attempts: 4, backoff: 0ms, budget: {budget}}}], mix: [{{send: GET /}}]}}
"""


@pytest.mark.validate
@pytest.mark.parametrize(("budget", "share", "amplification"), [
    ("{share: 10%, min_per_second: 10}", 100, 1.2),  # a tenth of 100/s, and 10/s
    ("{share: 10%, min_per_second: 0}", 100, 1.1), ("{share: 10%, min_per_second: 0}", 5, 1 / 0.95),  # more than it needs
    ("{kind: throttle, max_tokens: 10, token_ratio: 0.1}", 5, 1 / 0.95), ("{kind: throttle, max_tokens: 10, token_ratio: 0.1}", 50, 1.0),
])
def test_v46_v48_budgets_bind_where_much_fails_and_only_there(budget, share, amplification):
    """Finagle's budget lets a share of the calls through whatever fails; gRPC's throttle lets all through, or none."""
    result = simulate(ONE_LEVEL.format(budget=budget, share=share))
    assert of(result, "calls", "users->server", "amplification") == pytest.approx(amplification, rel=0.015)


SAGA = """
name: sagas
duration: {sagas}s
network: {{default: {{latency: 0ms}}}}
services:
  business: {{code: "tests.theory.services:Business", workers: 1000, config: {{steps: {steps}}}}}
  shop: {{workers: 1000, endpoints: {{POST /steps: [{{fail: {{share: {share}, status: 409}}}}], DELETE /steps: []}}}}
workloads: {{users: {{rate: 1/s, to: business, mix: [{{send: POST /}}]}}}}
"""


@pytest.mark.parametrize(("steps", "share", "good", "undone", "sagas", "tolerance"), [
    (5, 0.05, 0.7738, 0.4293, 3_000, 0.08), (3, 0.1, 0.729, 0.252, 3_000, 0.08),
    pytest.param(5, 0.05, 0.7738, 0.4293, 20_000, 0.03, marks=pytest.mark.validate),
    pytest.param(10, 0.01, 0.9044, 0.4224, 20_000, 0.03, marks=pytest.mark.validate),
])
def test_v57_how_often_a_saga_ends_well_and_what_is_undone(steps, share, good, undone, sagas, tolerance):
    """Each of n steps fails with p: (1 - p)^n end well, sum (i - 1) p (1 - p)^(i - 1) steps are undone, (1 - (1 - p)^n) / p are tried."""
    result = simulate(SAGA.format(steps=steps, share=f"{share:.0%}", sagas=sagas))
    count = {"saga.started": 0, "saga.completed": 0, "saga.compensated": 0, "saga.step": 0, "saga.undo": 0}
    for event in result.events:
        if event["kind"] in count:
            count[event["kind"]] += 1
    started = count["saga.started"]
    assert started == count["saga.completed"] + count["saga.compensated"] == pytest.approx(sagas, rel=0.06)
    assert count["saga.completed"] / started == pytest.approx(good, rel=tolerance / 2)
    assert count["saga.undo"] / started == pytest.approx(undone, rel=tolerance * 1.5)
    assert count["saga.step"] / started == pytest.approx((1 - (1 - share) ** steps) / share, rel=tolerance / 2)
