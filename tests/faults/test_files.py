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


def test_two_plans_with_one_name_can_be_checked_beside_each_other_and_not_be_run_together(files):
    """They may be meant to be run one or the other."""
    shop, one, _ = files
    assert not check_files([shop, one, one]).problems
    with pytest.raises(InvalidFile, match="another fault is called 'first'"):
        load_scenario(shop, plans=[one, one])


def test_without_faults_there_are_none_whatever_the_scenario_says(files):
    """As `--no-faults` has it."""
    assert run(load_scenario(files[0], faults=False).scenario).faults == []
