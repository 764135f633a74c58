"""The limit of requests in one run counts what surges make of them."""

from __future__ import annotations

import math

import pytest

from sim.lab.run import run
from sim.scenario.checks import check_files
from sim.scenario.load import load_scenario, loads
from sim.scenario.problems import InvalidFile
from sim.scenario.surges import Times, mean_factor

SHOP = """
name: shop
duration: 60s
services:
  api: {instances: 2, workers: 100, endpoints: {GET /: [{work: 1ms}]}}
workloads:
  users: {rate: 10/s, to: api, mix: [{send: GET /}]}
  others: {rate: 1/s, to: api, mix: [{send: GET /}]}
"""


def surges(*schedules: str, factor: float = 10_000) -> str:
    lines = (f"  - {{kind: load.surge, target: {{workload: users}}, schedule: {schedule}, factor: {factor}}}\n" for schedule in schedules)
    return "".join(["faults:\n", *lines])


def test_surges_that_make_more_than_a_run_may_have_are_refused(tmp_path):
    """In the scenario or in a plan beside it, at the strongest of them; each by itself would be none too many."""
    two = surges("{at: 10s, for: 20s}", "{at: 20s, for: 20s}")
    what = "2 surges together make about 1,020,003,000 requests of 'users' in 60s; the limit is 1,000,000,000"
    shop = SHOP.replace("10/s", "100/s")
    with pytest.raises(InvalidFile) as refused:
        loads(shop + two)
    (problem,) = refused.value.problems
    assert problem.what == what
    assert (problem.line, problem.cure) == (10, "lower it, or let it last shorter")
    scenario, plan = tmp_path / "shop.yaml", tmp_path / "plan.yaml"
    scenario.write_text(shop)
    plan.write_text("name: plan\n" + two)
    with pytest.raises(InvalidFile) as refused:
        load_scenario(scenario, plans=[plan])
    (found,) = refused.value.problems
    assert (found.path, found.line) == (str(plan), 3)
    assert check_files([str(scenario), str(plan)]).problems == [found]
    loads(shop + surges("{at: 10s, for: 20s}"))


def test_surges_multiply_to_a_million_at_most():
    """In the forecast as in a run: a hundred million times the load for 10 s would be ten times what a run may have."""
    both = loads(SHOP + surges("{at: 10s, for: 10s}", "{at: 10s, for: 10s}"))
    assert mean_factor(dict(enumerate(both.faults)), Times(both.faults, 1, 60.0), 60.0) == pytest.approx((50 + 10 * 1e6) / 60)


def test_surges_of_a_plan_multiply_those_of_the_scenario(tmp_path):
    """Checked as they would be run."""
    scenario, plan = tmp_path / "shop.yaml", tmp_path / "plan.yaml"
    scenario.write_text(SHOP.replace("10/s", "100/s") + surges("{at: 10s, for: 20s}"))
    plan.write_text("name: plan\n" + surges("{at: 10s, for: 20s}", factor=200))
    (found,) = check_files([str(scenario), str(plan)]).problems
    assert found.what.startswith("2 surges together make about 2,000,004,000 requests of 'users'")
    with pytest.raises(InvalidFile) as refused:
        load_scenario(scenario, plans=[plan])
    assert refused.value.problems == [found]


def test_surges_one_after_the_other_multiply_nothing():
    """Their times are those of the run: the second follows the first."""
    both = loads(SHOP + surges("{at: 10s, for: 3s}", "{at: 13s, for: 3s}", "{every: 10s, for: 1s, from: 20s, max: 2}"))
    spans = dict(enumerate(both.faults))
    assert mean_factor(spans, Times(both.faults, 1, 60.0), 60.0) == pytest.approx((52 + 8 * 10_000) / 60)
    text = SHOP + "faults:\n  - {name: a, kind: load.surge, schedule: {at: 10s, for: 3s}, factor: 10}\n" \
                  "  - {kind: load.surge, schedule: {after: a, delay: 2s, for: 5s}, factor: 0}\n"
    after = loads(text)
    times = Times(after.faults, 1, 60.0)
    assert times.of(1) == [(15.0, 20.0)]
    assert mean_factor(dict(enumerate(after.faults)), times, 60.0) == pytest.approx((52 + 30) / 60)


def test_calls_that_surges_make_count_too():
    """Ten thousand calls for each request."""
    text = SHOP.replace("[{work: 1ms}]", "[{repeat: {times: 10000, do: [{call: other GET /}]}}]")
    text = text.replace("workloads:", "  other: {endpoints: {GET /: [{work: 1ms}]}}\nworkloads:")
    with pytest.raises(InvalidFile) as refused:
        loads(text + surges("{at: 10s, for: 20s}"))
    assert "with the surges the load makes about" in refused.value.problems[0].what
    assert "calls; the limit is 10,000,000,000" in refused.value.problems[0].what


def test_any_number_of_surges_that_nobody_checked_leaves_the_load_a_number():
    """Together they make a million of one at most, so that time goes on."""
    many = [{"name": f"s{number}", "kind": "load.surge", "factor": 10_000, "schedule": {"at": "1s", "for": "1us"}} for number in range(200)]
    scenario = loads(SHOP.replace("60s", "2s"))
    result = run(scenario.model_validate({**scenario.model_dump(mode="json", by_alias=True), "faults": many}))
    assert result.summary["requests"]["started"] < 100 and math.isfinite(result.summary["simulated_s"])
