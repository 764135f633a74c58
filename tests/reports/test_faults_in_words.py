"""Faults in Spanish: every kind has a name, and every reason that a run can give for a fault that changed nothing is known."""

import ast
from pathlib import Path
from string import Formatter

import pytest

from reports.faults import KINDS, REASONS, kind_of, reason
from reports.texts import Words
from sim.faults.faults import FAULTS
from sim.faults.reasons import REASONS as ENGLISH
from sim.faults.reasons import because
from sim.lab.run import run
from sim.scenario.scenario import Scenario

SOURCES = sorted((Path(__file__).parents[2] / "sim" / "faults").glob("*.py"))
AS_KEYS = {"no instance meanwhile", "no instance at first"}  # told by a target, which is handed the key


def given():
    """By key what the code that gives a reason fills in."""
    calls = [node for path in SOURCES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "because" and isinstance(node.args[0], ast.Constant)]
    return {call.args[0].value: {keyword.arg for keyword in call.keywords} for call in calls} | {key: {"name"} for key in AS_KEYS}


def fields(text):
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_kind_has_a_spanish_name():
    """A new kind needs a line."""
    assert set(KINDS) == set(FAULTS)
    assert kind_of("network.delay", Words("es")) == "network.delay, retardo en la red" and kind_of("network.delay", Words()) == "network.delay"


@pytest.mark.parametrize("key", sorted(ENGLISH))
def test_every_reason_is_told_in_both_languages(key):
    """With the same to fill in, which is what the code gives, and with a cure, after a semicolon."""
    assert fields(ENGLISH[key]) == fields(REASONS[key]) == given()[key]
    assert ";" in ENGLISH[key] and ";" in REASONS[key]


def test_no_reason_is_missing_or_too_many():
    """A new one needs a line in sim/faults/reasons.py and one in reports/faults.py."""
    assert set(given()) == set(ENGLISH) == set(REASONS)


def test_a_warning_is_said_by_its_key():
    """Names and numbers are the run's; what has no key, as in the folder of an older run, stays in English."""
    why = because("no request by chance", number=12, where="orders", share="5")
    warning = {"why": str(why), "reason": why.key, "values": why.values}
    said = "of 12 requests to orders chance hit none (probability 5%); raise it, or let it last longer"
    assert reason(warning, Words()) == said == warning["why"]
    assert reason(warning, Words("es")) == "de 12 peticiones a orders el azar no tocó ninguna (probabilidad 5 %); súbala, o alárguelo"
    assert reason({"why": said}, Words("es")) == said


def test_a_run_gives_the_key_beside_the_words():
    """In its event and in the warning of its summary, so that both can be told in Spanish."""
    result = run(Scenario.model_validate({
        "name": "calm", "duration": "2s", "services": {"idle": {"endpoints": {"GET /": [{"work": "1ms"}]}}},
        "faults": [{"name": "late", "kind": "instance.slow", "target": {"service": "idle"}, "factor": 2, "schedule": {"at": "5s"}}]}))
    (warning,), (event,) = result.summary["warnings"], [event for event in result.events if event["kind"] == "fault.missed"]
    assert reason(event, Words("es")) == reason(warning, Words("es")) == (
        "su calendario no cae dentro de los 2 s de la ejecución; adelántelo, o alargue la ejecución")
