"""Faults in Spanish: every kind has a name, and every reason that a run can give for a fault that changed nothing is known."""

import ast
from pathlib import Path

import pytest

from reports.faults import KINDS, REASONS, kind_of, reason
from reports.texts import Words
from sim.faults.faults import FAULTS

SOURCES = sorted((Path(__file__).parents[2] / "sim" / "faults").glob("*.py"))
TELLING = ("missed", "picked_nobody", "nobody")


def sayings():
    """What stands in the texts that functions return which say why nothing was changed, in pieces between what is filled in."""
    for path in SOURCES:
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name in TELLING:
                returned = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
                yield from (node.value.strip() for one in returned for node in ast.walk(one)
                            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 4)


def test_every_kind_has_a_spanish_name():
    """A new kind needs a line."""
    assert set(KINDS) == set(FAULTS)
    assert kind_of("network.delay", Words("es")) == "network.delay, retardo en la red" and kind_of("network.delay", Words()) == "network.delay"


@pytest.mark.parametrize("piece", sorted(set(sayings())))
def test_every_reason_is_known(piece):
    """A new reason needs a line in reports/faults.py."""
    assert any(piece in english for english, _ in REASONS)


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason[0][:40])
def test_every_reason_has_a_cure(reason):
    """After a semicolon, in both languages."""
    assert all(";" in text for text in reason)


def test_what_was_filled_in_is_kept():
    """Names and numbers are the run's; what nobody knows stays in English."""
    said = "of 12 requests to orders chance hit none (probability 5%); raise it, or let it last longer"
    assert reason(said, Words("es")) == "de 12 peticiones a orders el azar no tocó ninguna (probabilidad 5 %); súbala, o alárguelo"
    assert reason(said, Words()) == said
    assert reason("nobody knows", Words("es")) == "nobody knows"
