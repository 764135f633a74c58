"""Files that a scenario names: found beside it from wherever it is run, and what is said where they are not."""

import pytest

from sim import run
from sim.scenario.load import load_scenario
from sim.scenario.problems import InvalidFile

REPLAYED = """
name: replayed
duration: 10s
network: {default: {latency: 0ms}}
services:
  api:
    workers: 100
    endpoints:
      GET /: [{work: {empirical: {file: data/service.csv}}}]
workloads:
  users: {executor: trace, file: data/arrivals.csv, to: api, mix: [{send: GET /}]}
"""


@pytest.fixture
def scenario(tmp_path, monkeypatch):
    """A scenario with two files beside it; we are somewhere else."""
    (tmp_path / "lab" / "data").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "lab" / "data" / "arrivals.csv").write_text("seconds\n0.5\n2\n7.25\n")
    (tmp_path / "lab" / "data" / "service.csv").write_text("route,seconds\n/,0.125\n")
    (tmp_path / "lab" / "replayed.yaml").write_text(REPLAYED)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "lab" / "replayed.yaml"


def test_a_path_counts_from_the_file_that_names_it(scenario):
    """Arrivals and service times come from the files beside the scenario, whatever the current folder is."""
    result = run(load_scenario("../lab/replayed.yaml").scenario)
    assert result.requests.start.tolist() == [0.5, 2, 7.25]
    assert result.requests.latency.tolist() == pytest.approx([0.125] * 3)


def test_what_a_fault_plan_names_is_beside_the_plan(scenario, tmp_path):
    """A plan in another folder has files of its own there."""
    (tmp_path / "elsewhere" / "lengths.csv").write_text("1.5\n")
    plan = tmp_path / "elsewhere" / "plan.yaml"
    plan.write_text("name: plan\nfaults: [{kind: instance.kill, target: {service: api, mode: all}, schedule: {random: 10/min, "
                    "for: {empirical: {file: lengths.csv}}}}]\n")
    faults = load_scenario(scenario, plans=[plan]).scenario.faults
    assert faults[0].schedule.for_.expectation() == 1.5


def test_a_resolved_scenario_means_the_same_files(scenario, tmp_path):
    """Its paths are whole, so that it runs from the folder that it was written into."""
    import yaml

    first = run(load_scenario(scenario).scenario, 1)
    resolved = tmp_path / "scenario.resolved.yaml"
    resolved.write_text(yaml.safe_dump(dict(first.scenario), sort_keys=False))
    assert run(load_scenario(resolved).scenario, 1).digest == first.digest


def test_a_lab_finds_the_files_of_the_scenario_that_it_begins_with(scenario, lab):
    """A test is run from wherever it is, and the scenario may be changed in it."""
    lab.scenario(scenario, overrides=["services.api.workers=50"])
    result = lab.run("10s")
    assert result.requests.start.tolist() == [0.5, 2, 7.25]


@pytest.mark.parametrize(("old", "new", "place", "what", "cure"), [
    ("data/arrivals.csv", "data/arival.csv", "11:34", "cannot read", "did you mean 'arrivals.csv'?"),
    ("data/arrivals.csv", "data/none/at.csv", "11:34", "cannot read", "a path counts from the file that names it"),
    ("data/service.csv", "data/services.csv", "9:41", "cannot read", "did you mean 'service.csv'?"),
    ("data/service.csv", "replayed.yaml", "9:41", "is no list of seconds: line 3 says 'duration: 10s'",
     "write one time in seconds a line: 0.25"),
])
def test_a_file_that_is_not_there_or_holds_no_times_is_a_mistake_with_a_place(scenario, old, new, place, what, cure):
    """The place is that of the name, and the cure names the file that was probably meant."""
    scenario.write_text(REPLAYED.replace(old, new))
    with pytest.raises(InvalidFile) as caught:
        load_scenario(scenario)
    (problem,) = caught.value.problems
    assert f"{problem.line}:{problem.col}" == place
    assert what in problem.what
    assert problem.cure == cure
