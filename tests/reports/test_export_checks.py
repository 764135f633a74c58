"""What checks came to, for CI systems (JUnit) and for Chaos Toolkit (its journal)."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from reports.export.journal import journal
from reports.export.jsontext import dumps
from reports.export.junit import junit
from tests.reports.export_runs import CHECKS, shop
from tests.reports.hand_made import run_of


@pytest.fixture
def suite():
    return ET.fromstring(junit(shop())).find("testsuite")


def test_each_check_is_a_test_case(suite):
    """Three of them: passed, failed, and one that could not be measured, which is an error."""
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {"tests": "3", "failures": "1", "errors": "1"}
    assert [case.get("name") for case in suite.iter("testcase")] == ["availability", "fast <&> 'good'", "recovers"]


def test_a_failure_says_what_was_measured(suite):
    """And what was wanted, both as a scenario writes it, and when."""
    assert suite.find("testcase/failure").get("message") == "measured 612.3ms, wanted at most 400ms, from 2 s to 4 s"
    assert suite.find("testcase/error").get("message") == "nothing to measure from 8 s to 10 s; wanted at least 190/s"


def test_characters_that_xml_forbids_are_replaced():
    """A bell in a name must not make the file unreadable."""
    text = junit(shop(summary={"checks": [{**CHECKS[0], "title": "ding\a"}]}))
    assert ET.fromstring(text).find("testsuite/testcase").get("name") == "ding\ufffd"


def test_no_checks_make_an_empty_suite():
    """A scenario without checks is no error."""
    assert ET.fromstring(junit(run_of())).find("testsuite").get("tests") == "0"


def test_the_journal_tells_what_was_done_and_what_it_came_to():
    """A fault from 2 s to 4 s; the first check before it, the second during, the third after it."""
    told = journal(shop(), "1.0")
    assert (told["status"], told["deviated"], told["duration"]) == ("completed", True, 10.0)
    (done,) = told["run"]
    assert (done["start"], done["end"]) == ("2026-01-01T00:00:02.000000", "2026-01-01T00:00:04.000000")
    states = told["steady_states"]
    assert states["before"]["steady_state_met"] is True
    assert [met["steady_state_met"] for met in states["during"]] == [False]
    assert states["after"]["probes"][0]["tolerance_met"] is False


@pytest.mark.parametrize(("verdict", "status", "deviated"), [
    ("pass", "completed", False), ("fail", "completed", True), ("baseline", "failed", False), ("aborted", "aborted", False),
    ("interrupted", "interrupted", False),
])
def test_the_verdict_in_chaos_toolkits_words(verdict, status, deviated):
    """Only a check that fell short under faults is a deviation."""
    told = journal(shop(summary={"verdict": verdict}), "1.0")
    assert (told["status"], told["deviated"]) == (status, deviated)


def test_chaos_toolkit_finds_the_experiment_valid():
    """Its own library checks activities, providers and tolerances."""
    experiments = pytest.importorskip("chaoslib.experiment")
    experiments.ensure_experiment_is_valid(journal(shop(), "1.0")["experiment"])


@pytest.mark.parametrize(("checks", "deviated"), [(CHECKS[:1], False), (CHECKS[:2], True)])
def test_chaos_toolkit_comes_to_the_same(tmp_path, monkeypatch, checks, deviated):
    """Run in the folder, it reads what was measured, and deviates from the steady state if we did."""
    experiments = pytest.importorskip("chaoslib.experiment")
    result = shop(summary={"checks": checks, "faults": [{"name": "slow"}], "verdict": "fail" if deviated else "pass"})
    (tmp_path / "summary.json").write_text(dumps(result.summary))
    monkeypatch.chdir(tmp_path)
    told = journal(result, "1.0")
    theirs = experiments.run_experiment(told["experiment"])
    before = theirs["steady_states"]["before"]
    assert before["steady_state_met"] is not deviated
    assert [probe["tolerance_met"] for probe in before["probes"]] == [check["passed"] for check in checks][: len(before["probes"])]


def test_json_has_no_nan():
    """NaN and infinity are null, also deep inside; sets are sorted, numpy is numbers."""
    nan, inf = float("nan"), float("inf")
    text = dumps({"a": nan, "b": [inf, {"c": (1, -inf)}], "d": {3, 1}, "e": np.arange(2), "f": np.float32("nan")})
    assert text == '{"a":null,"b":[null,{"c":[1,null]}],"d":[1,3],"e":[0,1],"f":null}'
