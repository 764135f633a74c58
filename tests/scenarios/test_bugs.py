"""Three bugs that are shipped on purpose: each scenario finds its own, and the fixed app passes."""

from collections import Counter

import pytest

from sim.lab.run import run
from sim.scenario.load import read, validated
from sim.scenario.scenario import Scenario


def result_of(name, variant, on_end=None):
    return run(validated(read(f"scenarios/bugs/{name}.yaml", variant=variant), Scenario), on_end=on_end)


@pytest.mark.parametrize(("variant", "found"), [(None, True), ("fixed", False)])
def test_a_retry_without_a_key_charges_twice(variant, found):
    """The ledger knows orders that were charged more than once; with a key for all attempts there are none, and nobody is charged less."""
    ledgers = []
    result = result_of("double-charge", variant, on_end=lambda world: ledgers.append(dict(world.node("ledger").tables["charges"])))
    charges = Counter(charge["order_id"] for charge in ledgers[0].values())
    assert (max(charges.values()) > 1) is found
    assert result.summary["calls"]["checkout->payments"]["calls"] > 1.1 * len(charges)  # there were retries in both


@pytest.mark.parametrize(("name", "check"), [
    ("shared-breaker", "green is served during the faults"), ("missing-timeout", "pages are there during the faults"),
])
@pytest.mark.parametrize(("variant", "verdict"), [(None, "fail"), ("fixed", "pass")])
def test_the_scenario_finds_the_bug_and_passes_without_it(name, check, variant, verdict):
    """The steady state tells, by the check that is about it."""
    summary = result_of(name, variant).summary
    assert summary["verdict"] == verdict
    assert next(one for one in summary["checks"] if one["title"] == check)["passed"] is (verdict == "pass")
