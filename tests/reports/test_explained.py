"""What `explain` prints says how much of it is known."""

from reports.explained import explained
from sim.scenario.load import loads
from sim.scenario.reckoning import reckon

SHOP = """
name: shop
duration: 10s
services:
  gate: {kind: gateway, routes: [{path: /*, to: shop, timeout: 2s}]}
  shop: {code: "scenarios.ecommerce.users:Users", uses: {near: {}}}
  near: {kind: cache}
  far: {endpoints: {GET /: [{work: 1ms}]}}
workloads: {users: {executor: constant-arrival-rate, rate: 100/s, to: gate, mix: [{send: GET /}]}}
"""


def rows(text):
    """The cells of each line, by its first one."""
    return {line.split()[0]: line.split()[1:] for line in explained("shop", reckon(loads(text))) if line.startswith("  ")}


def test_what_code_may_do_is_not_told_as_nothing():
    """Nobody knows what a service in Python calls: no rate of 0 is made up, and the lines below say so."""
    found = rows(SHOP)
    assert (found["shop"][0], found["near"][1], found["far"][0], found["shop->near"][0]) == ("100", "+", "+", "+")
    assert found["gate->shop"] == ["100", "x1", "2", "s", "deadline"]
    assert "code of 1 service calls is known in a run only" in list(explained("shop", reckon(loads(SHOP))))[-1]


def test_what_arithmetic_knows_is_told_as_it_is():
    """Without code there is nothing to add: a service that nobody calls has no load."""
    found = rows(SHOP.replace('code: "scenarios.ecommerce.users:Users", uses: {near: {}}', "endpoints: {GET /: [{work: 1ms}]}"))
    assert (found["shop"][0], found["far"][0]) == ("100", "0")


def test_in_spanish_numbers_and_words_are_too():
    """The same rows under other heads."""
    lines = list(explained("shop", reckon(loads(SHOP)), "es"))
    assert lines[0].startswith("shop: lo que dice la aritmética") and lines[-1].startswith("a quién llama el código de 1 servicio solo")
    assert len(lines) == len(list(explained("shop", reckon(loads(SHOP)))))
