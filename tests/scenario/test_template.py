"""The files that `mesocosm init` writes tell a story that a newcomer can follow."""

import pytest

from sim.lab.run import run
from sim.scenario.load import load_scenario
from sim.scenario.template import write_template


@pytest.mark.parametrize(("variant", "plans", "verdict"), [(None, [], "pass"), (None, ["faults.yaml"], "pass"), ("no-breaker", ["faults.yaml"], "fail")])
def test_policies_keep_the_slow_dependency_from_the_others(tmp_path, variant, plans, verdict):
    """With its policies the shop holds under the fault plan, with answers that are degraded; with one long timeout instead it falls."""
    write_template(tmp_path)
    loaded = load_scenario(tmp_path / "scenario.yaml", plans=[tmp_path / plan for plan in plans], variant=variant)
    summary = run(loaded.scenario).summary
    assert not loaded.warnings and summary["verdict"] == verdict
    assert (summary["requests"]["degraded"] > 1000) is (bool(plans) and variant is None)
