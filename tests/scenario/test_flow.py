"""What arithmetic knows of a load before it runs, held against a run of it: who is asked how often, and for how long."""

import pytest

from reports.explained import explained
from sim import loads, run
from sim.scenario.load import load_scenario
from sim.scenario.reckoning import reckon

HEAD = "name: flow\nduration: 10s\nnetwork: {default: {latency: 1ms}}\nservices:\n"


def forecast(text):
    """By service, what `explain` says."""
    return {each.name: each for each in reckon(loads(HEAD + text)).services}


def agree(text, *names, rel=0.03):
    """What is forecast of those services is what a run gives: requests a second, and how long each holds a worker."""
    services, measured = forecast(text), run(loads(HEAD + text), seed=1).summary["services"]
    for name in names:
        rate = measured[name]["requests"] / 10
        assert rate == pytest.approx(services[name].rate, rel=rel), name
        assert measured[name]["busy_mean"] / rate == pytest.approx(services[name].time, rel=rel), name
    return services


MESSAGES = """
  api: {endpoints: {POST /: [{work: 2ms}, {publish: order.created}]}}
  mailer: {workers: 4, subscribe: {order.created: [{work: 60ms}, {call: smtp GET /}]}}
  one: {instances: 1, subscribe: {order.*: {do: [{work: 1ms}], group: audit}}}
  two: {instances: 3, subscribe: {order.*: {do: [{work: 1ms}], group: audit}}}
  each: {instances: 2, subscribe: {order.>: {do: [{work: 1ms}], everyone: true}}}
  deaf: {subscribe: {payment.*: [{work: 1s}]}}
  smtp: {endpoints: {GET /: [{work: 5ms}]}}
  events: {kind: broker}
workloads: {users: {rate: 20/s, arrivals: uniform, to: api, mix: [{send: POST /}]}}
"""


def test_who_handles_messages_has_their_load():
    """Each group gets each message once, and who wants all of them once an instance; the publisher waits until it is stored."""
    services = agree(MESSAGES, "api", "mailer", "each", "smtp")
    assert services["mailer"].utilisation == pytest.approx(20 * 0.067 / 4)
    assert [services[name].rate for name in ("events", "one", "two", "each", "deaf")] == pytest.approx([20, 5, 15, 40, 0])
    assert reckon(loads(HEAD + MESSAGES)).bottleneck == "mailer"
    at_most_once = forecast(MESSAGES.replace("kind: broker", "kind: broker, delivery: at_most_once"))
    assert (at_most_once["api"].time, at_most_once["events"].rate) == (0.002, pytest.approx(20))


def test_a_consumer_that_cannot_keep_up_is_warned_of(tmp_path):
    """Twenty times the messages are more than its workers can handle."""
    path = tmp_path / "flow.yaml"
    path.write_text(HEAD + MESSAGES.replace("rate: 20/s", "rate: 400/s"))
    assert any("'mailer' is offered 400 requests/s" in problem.what for problem in load_scenario(path).warnings)


def test_messages_that_cause_messages_for_ever_are_left_out():
    """Nobody can say how many there will be; what answers the users is known."""
    services = forecast("""
  api: {endpoints: {POST /: [{work: 2ms}, {publish: ping}]}}
  left: {subscribe: {ping: [{publish: pong}]}}
  right: {subscribe: {pong: [{publish: ping}]}}
  events: {kind: broker}
workloads: {users: {rate: 1/s, to: api, mix: [{send: POST /}]}}
""")
    assert (services["api"].rate, services["left"].rate) == (1, 0)


CLOSED = """
  api: {workers: 64, endpoints: {GET /: [{work: {exponential: 20ms}}]}}
workloads: {people: {executor: constant-vus, vus: 30, think: {exponential: 500ms}, to: api, mix: [{send: GET /}]}}
"""


def test_users_who_wait_ask_as_often_as_the_law_of_the_interactive_response_time_says():
    """Thirty users, each with half a second to think, 20 ms of work and a round trip of 2 ms."""
    services = agree(CLOSED, "api", rel=0.1)
    assert services["api"].rate == pytest.approx(30 / 0.522)
    assert "users of people wait for their answers" in list(explained("closed", reckon(loads(HEAD + CLOSED))))[-1]


def test_a_split_shares_its_requests_by_weight():
    """A tenth goes to the new version, and a request takes as long as the two do on average."""
    services = agree("""
  gate: {kind: gateway, routes: [{path: /x, split: {old: 90, new: 10}}, {path: /y, compose: {a: old GET /x, b: new GET /x}}]}
  old: {endpoints: {GET /x: [{work: 10ms}]}}
  new: {endpoints: {GET /x: [{work: 30ms}]}}
workloads: {users: {rate: 100/s, arrivals: uniform, to: gate, mix: [{send: GET /x, weight: 4}, {send: GET /y}]}}
""", "gate", "old", "new", rel=0.1)
    assert [services[name].rate for name in ("old", "new")] == pytest.approx([72 + 20, 8 + 20])
    assert services["gate"].time == pytest.approx(0.8 * (0.9 * 0.012 + 0.1 * 0.032) + 0.2 * 0.032)


def test_a_split_among_several_is_their_mean_however_their_shares_add_up():
    """2, 4, 3 and 1 of ten are a little more than one in binary fractions."""
    services = forecast("""
  gate: {kind: gateway, routes: [{path: /x, split: {a: 2, b: 4, c: 3, d: 1}}]}
  a: {endpoints: {GET /x: [{work: 10ms}]}}
  b: {endpoints: {GET /x: [{work: 20ms}]}}
  c: {endpoints: {GET /x: [{work: 30ms}]}}
  d: {endpoints: {GET /x: [{work: 40ms}]}}
workloads: {users: {rate: 10/s, to: gate, mix: [{send: GET /x}]}}
""")
    assert services["gate"].time == pytest.approx(0.002 + 0.2 * 0.01 + 0.4 * 0.02 + 0.3 * 0.03 + 0.1 * 0.04)


def test_a_transaction_is_one_request_that_holds_its_connection_to_the_end():
    """Two statements, each there and back, work of the caller, and the word of the end."""
    agree("""
  api:
    endpoints:
      POST /: [{query: {database: db, transaction: [{query: db}, {work: 3ms}, {query: {database: db, statement: write, time: 4ms}}]}}]
  db: {kind: database, connections: 50, query: 2ms}
workloads: {users: {rate: 20/s, arrivals: uniform, to: api, mix: [{send: POST /}]}}
""", "api", "db")


def test_sidecars_take_their_time():
    """Of both ends, there and back."""
    agree("""
  front: {mesh: {sidecar: 1ms}, endpoints: {GET /: [{call: back GET /}]}}
  back: {mesh: {sidecar: 3ms}, endpoints: {GET /: [{work: 5ms}]}}
workloads: {users: {rate: 20/s, arrivals: uniform, to: front, mix: [{send: GET /}]}}
""", "front", "back")
