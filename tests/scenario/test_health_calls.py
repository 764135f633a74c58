"""Calls of a `/health` that a service or a gateway answers by itself."""

from __future__ import annotations

import pytest

from sim import loads, run
from sim.scenario.calls import Directory, Operation
from sim.scenario.checks import check_files
from sim.scenario.flow import Flow
from sim.scenario.problems import InvalidFile

PAIR = """
name: pair
duration: 5s
services:
  gate: {{kind: gateway, routes: [{{path: /state, compose: {{front: GET front/health}}}}, {{path: /*, to: front}}]}}
  front: {{health: {{checks: {{back: [{{call: back GET /health}}]}}}}, endpoints: {{GET /: [{{call: gate GET /health}}]}}}}
  back: {{health: {{checks: {back}}}, endpoints: {{GET /: [{{work: 1ms}}]}}}}
workloads:
  users: {{rate: 10/s, arrivals: uniform, to: gate, mix: [{{send: GET /state}}, {{send: GET /}}, {{send: GET /health}}]}}
"""


def test_checks_endpoints_and_compositions_may_ask_for_the_health_of_others():
    """The composition asks front, whose check asks back; and front asks the gateway, which does not pass that on."""
    result = run(loads(PAIR.format(back="{itself: [{work: 1ms}]}")), 1)
    assert set(result.summary["workloads"]["users"]["by_status"]) == {"200"}
    assert all(result.summary["calls"][edge]["calls"] > 0 for edge in ("gate->front", "front->back", "front->gate"))


def test_checks_that_ask_each_other_are_calls_without_end():
    """front asks back and back asks front: told at the check, as it is for endpoints."""
    with pytest.raises(InvalidFile) as caught:
        loads(PAIR.format(back="{front: [{call: front GET /health}]}"))
    assert "calls go round without end: " in str(caught.value)
    assert "front GET /health -> back GET /health" in str(caught.value)


def test_health_takes_as_long_as_its_slowest_check():
    """Checks run side by side: 30 ms, and not 40."""
    flow = Flow(loads(PAIR.format(back="{quick: [{work: 10ms}], slow: [{work: 30ms}]}")))
    assert flow.time(Operation("back", "GET /health")) == pytest.approx(0.03)


def test_a_pattern_of_a_gateway_does_not_take_its_health():
    """`/*` passes on what comes, but for `/health`."""
    scenario = loads(PAIR.format(back="{itself: []}"))
    directory = Directory(scenario)
    assert list(directory.behind(Operation("gate", "GET /health"))) == []
    assert [target.node for _, target in directory.behind(Operation("gate", "GET /"))] == ["front"]


@pytest.mark.parametrize(("served", "who"), [
    ("endpoints: {GET /health: [{work: 1ms}], GET /: []}", "the endpoint 'GET /health'"),
    ("endpoints: {'GET /{name}': []}", "the endpoint 'GET /{name}'"),
    ("code: tests.model.sample_services:Echo", "the code of 'back'"),
])
def test_checks_beside_what_answers_instead_are_a_mistake(tmp_path, served, who):
    """An endpoint, a pattern that takes it, or the service's own code: the checks would never be run, and nobody would notice."""
    text = PAIR.format(back="{itself: [{work: 1ms}]}").replace("endpoints: {GET /: [{work: 1ms}]}", served)
    (tmp_path / "pair.yaml").write_text(text)
    (problem,) = check_files([str(tmp_path / "pair.yaml")]).problems
    assert (problem.what, problem.source_line[problem.col - 1 :].startswith("health:")) == (
        f"{who} answers `GET /health`, so that these checks are never run", True)
