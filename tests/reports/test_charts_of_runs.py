"""Charts of a real run agree with its summary."""

import numpy as np
import pytest

from reports.charts import OF_A_RUN, render
from reports.charts.edges import edges
from reports.charts.heatmap import counts
from reports.charts.knee import service_time, whole_run
from reports.charts.states import breakers
from reports.charts.tallies import level, outcome_rates, time_edges
from reports.charts.traces import choose, critical_path, tree

SCENARIO = """
name: small
duration: 30s
warmup: 5s
services:
  front:
    instances: 2
    uses:
      back:
        policies:
          - retry: {max_attempts: 3, backoff: {initial: 20ms}, on: [5xx, timeout], budget: {share: 20%}}
          - circuit_breaker:
              {sliding_window: {calls: 20}, minimum_number_of_calls: 10, failure_rate_threshold: 50%, wait_duration_in_open_state: 1s}
          - timeout: 100ms
    endpoints:
      GET /: [{call: back GET /}]
  back:
    workers: 4
    endpoints:
      GET /: [{work: {exponential: 20ms}}, {query: db}]
  db: {kind: database}
workloads:
  users: {executor: constant-arrival-rate, rate: 60/s, to: front, mix: [{send: GET /}]}
faults:
  - {name: slow, kind: network.delay, target: {link: front->back}, schedule: {at: 12s, for: 6s}, latency: 150ms}
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Thirty seconds with a fault in the middle that opens the breakers."""
    from sim import load, run

    path = tmp_path_factory.mktemp("charts") / "small.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return run(load(str(path)), seed=3)


def test_edges_agree_with_the_summary(result):
    """Calls, attempts and amplification of every edge, counted after the warm-up, are those of summary.json."""
    found = {f"{edge.source}->{edge.target}": edge for edge in edges(result)}
    assert set(found) == {"users->front", "front->back", "back->db"}
    for name, edge in found.items():
        told = result.summary["calls"][name]
        assert (edge.calls, edge.attempts) == (told["calls"], told["attempts"])
        assert edge.amplification == pytest.approx(told["amplification"])
        assert 1 - edge.error_share == pytest.approx(told["success_ratio"])


def test_outcomes_and_heat_map_agree_with_the_summary(result):
    """Areas under the outcome rates and cells of the heat map are the requests that the summary counts."""
    bins = time_edges(result.duration)
    told = result.summary["requests"]
    for outcome, rate in outcome_rates(result.requests, bins).items():
        assert round(float((rate * np.diff(bins)).sum())) == told[outcome.name.lower()]
    cells = counts(result.requests.finished, result.duration)[2]
    assert cells.sum() == told["started"] - told["unfinished"]


def test_levels_and_times_agree_with_the_summary(result):
    """The mean of the sampled workers after the warm-up is the exact utilisation; response is service time and queue."""
    utilisation, response = whole_run(result, "back")
    at, busy = level(result, "back", "busy")
    assert busy[at > result.warmup].mean() / 4 == pytest.approx(utilisation, rel=0.02)
    assert service_time(result, "back") <= response * 1.05


def test_breakers_and_traces_tell_the_run_s_story(result):
    """Both breakers opened during the fault alone, and the slowest request's critical path is as long as its latency."""
    opened = [stay.start for stays in breakers(result).values() for stay in stays if stay.state == "open"]
    assert opened
    assert all(12 <= at <= 20 for at in opened)
    trace = choose(result)
    slowest = result.requests.finished
    path = critical_path(tree(result, trace))
    assert sum(part.end - part.start for part in path) == pytest.approx(float(slowest.latency[slowest.id == trace][0]))


def test_every_chart_of_a_run_is_drawn_or_says_why(result, tmp_path):
    """Registry, broker and saga are not in this run; all others have their picture, and drawing twice gives the same bytes."""
    reasons = render(result, OF_A_RUN, tmp_path / "one", formats=("svg",))
    assert {name for name, reason in reasons.items() if reason} == {"registry", "lag", "sagas"}
    again = ["breakers", "heatmap", "waterfall", "phase"]
    render(result, again, tmp_path / "two", formats=("svg",))
    for name in again:
        assert (tmp_path / "one" / f"{name}.svg").read_bytes() == (tmp_path / "two" / f"{name}.svg").read_bytes()
