"""Fault plans as files: several at once, beside the faults of the scenario itself."""

from __future__ import annotations

import pytest

from sim.lab.run import run
from sim.scenario.checks import check_files
from sim.scenario.load import load_scenario
from sim.scenario.problems import InvalidFile

SCENARIO = """
name: shop
duration: 12s
services:
  front: {endpoints: {GET /: [{call: back GET /}]}}
  back: {endpoints: {GET /: [{work: 5ms}]}}
workloads:
  web: {rate: 20/s, to: front, mix: [{send: GET /}]}
faults:
  - {name: own, kind: instance.slow, target: {service: back}, factor: 2, schedule: {at: 1s, for: 1s}}
"""
FIRST = "faults:\n  - {name: first, kind: instance.slow, target: {service: back}, factor: 2, schedule: {after: own, delay: 1s, for: 1s}}\n"
SECOND = "faults:\n  - {name: second, kind: instance.slow, target: {service: back}, factor: 2, schedule: {after: first, for: 2s}}\n"


STORM = """
name: payment-storm
faults:
  - name: slow-payments
    kind: network.delay
    target: {link: orders->payments, direction: to}          # to | from | both
    schedule: {at: 60s, for: 30s}                            # at | every | random | after: <fault>; none: the whole run
    ramp: {up: 5s, down: 5s}
    latency: 500ms
    jitter: 50ms                                             # uniform, as netem's
  - {name: kill-one, kind: instance.kill, target: {service: orders, mode: one}, schedule: {every: 45s, from: 1m, until: 3m, max: 3}, restart_after: 8s}
  - {name: bad-charges, kind: http.abort, target: {service: payments, match: {method: POST, path: /charges*}}, schedule: {at: 90s, for: 30s}, probability: 10%, status: 503}
  - {name: split, kind: network.partition, target: {from: {zone: a}, to: {zone: b}, direction: both}, schedule: {at: 2m, for: 20s}, how: drop}   # drop | reject
  - {name: gray, kind: instance.slow, target: {service: products, mode: one}, schedule: {random: {rate: 0.5/min, for: {exponential: 20s}}}, factor: 8}
"""
STORMY = """
name: stormy
duration: 4m
network: {zones: {a: {}, b: {}}}
services:
  orders: {instances: 3, zone: spread, uses: {payments: {policies: [{timeout: 400ms}]}}, endpoints: {POST /orders: [{call: payments POST /charges}, {call: products GET /top}]}}
  payments: {instances: 2, zone: spread, endpoints: {POST /charges: [{work: 5ms}]}}
  products: {instances: 2, zone: spread, endpoints: {GET /top: [{work: 2ms}]}}
workloads:
  shoppers: {rate: 10/s, to: orders, timeout: 3s, mix: [{send: POST /orders}]}
"""


@pytest.fixture
def files(tmp_path):
    """The paths of the scenario and of two plans."""
    paths = []
    for name, text in (("shop", SCENARIO), ("one", FIRST), ("two", SECOND)):
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(text)
    return [str(path) for path in paths]


def test_faults_of_several_files_run_together_and_may_follow_each_other(files):
    """The second plan waits for the first, which waits for the scenario's own fault."""
    shop, one, two = files
    result = run(load_scenario(shop, plans=[two, one]).scenario)
    assert [(fault.name, fault.start, fault.until) for fault in result.faults] == [("own", 1, 2), ("first", 3, 4), ("second", 4, 6)]


def test_they_are_checked_together_in_any_order(files):
    """What one file waits for is found in another; without that file it is a mistake."""
    shop, one, two = files
    assert not check_files([shop, one, two]).problems
    assert not check_files([shop, two, one]).problems
    (problem,) = check_files([shop, two]).problems
    assert (problem.path, problem.line) == (two, 2)
    assert "no fault 'first'" in problem.what
    with pytest.raises(InvalidFile, match="no fault 'first'"):
        load_scenario(shop, plans=[two])


def test_a_fault_without_a_name_is_followed_by_its_kind(files, tmp_path):
    """As events call it; one that would follow itself in that way waits for ever, and is refused."""
    plan = tmp_path / "unnamed.yaml"
    plan.write_text(FIRST.replace("name: first, ", ""))
    after = tmp_path / "after.yaml"
    after.write_text(SECOND.replace("after: first", "after: instance.slow"))
    result = run(load_scenario(files[0], plans=[plan, after]).scenario)
    assert [(fault.name, fault.start) for fault in result.faults] == [("own", 1), ("instance.slow", 3), ("second", 4)]
    after.write_text(after.read_text().replace("name: second, ", ""))
    (problem,) = check_files([files[0], str(after)]).problems
    assert "'instance.slow' waits for itself to end" in problem.what


def test_two_plans_with_one_name_can_be_checked_beside_each_other_and_not_be_run_together(files):
    """They may be meant to be run one or the other."""
    shop, one, _ = files
    assert not check_files([shop, one, one]).problems
    with pytest.raises(InvalidFile, match="another fault is called 'first'"):
        load_scenario(shop, plans=[one, one])


def test_without_faults_there_are_none_whatever_the_scenario_says(files):
    """As `--no-faults` has it."""
    assert run(load_scenario(files[0], faults=False).scenario).faults == []


def test_the_plan_that_explains_the_format_runs(tmp_path):
    """Each of its five faults is on when it says, and hits something."""
    (tmp_path / "stormy.yaml").write_text(STORMY)
    (tmp_path / "storm.yaml").write_text(STORM)
    assert not check_files([str(tmp_path / "stormy.yaml"), str(tmp_path / "storm.yaml")]).problems
    result = run(load_scenario(str(tmp_path / "stormy.yaml"), plans=[str(tmp_path / "storm.yaml")]).scenario)
    times = {name: [(fault.start, fault.until) for fault in result.faults if fault.name == name] for name in
             ("slow-payments", "kill-one", "bad-charges", "split")}
    assert times == {"slow-payments": [(60, 90)], "kill-one": [(60, 68), (105, 113), (150, 158)], "bad-charges": [(90, 120)], "split": [(120, 140)]}
    assert any(fault.name == "gray" for fault in result.faults)
    assert result.summary["warnings"] == []
