"""Every kind is documented with an example, and every example runs in a shop."""

from __future__ import annotations

import inspect
import re

import pytest
import yaml
from pydantic import TypeAdapter

from sim.faults.faults import FAULTS, AnyFault
from sim.lab.run import run
from sim.scenario.scenario import Scenario

FAULT = TypeAdapter(AnyFault)
KILL = {"kind": "instance.kill", "target": {"instance": "payments-0"}, "schedule": {"at": "70s", "for": "30s"}, "grace": "1s"}
BESIDE = {"registry.stale": [KILL]}  # who is told to end says so: without news nothing is stale
LOADS = {"shoppers": "POST /api/orders", "readers": "GET /api/orders/1"}


def example(kind: str) -> str:
    """What the documentation of *kind* shows between backticks."""
    found = re.findall(r"`(\{kind: .*?\})`", inspect.getdoc(FAULTS[kind]) or "")
    assert len(found) == 1, f"{kind}: its docstring should end with one example, `{{kind: {kind}, ...}}`"
    return found[0]


def shop(fault):
    """A gateway, orders with a database, a cache, payments, and mails that follow from events."""
    return Scenario.model_validate({
        "name": "shop", "duration": "125s", "network": {"zones": {"a": {}, "b": {}, "c": {}}},
        "registry": {"check": {"interval": "10s", "timeout": "1s"}},
        "services": {
            "gateway": {"kind": "gateway", "zone": "a", "routes": [{"path": "/api/orders/*", "to": "orders", "timeout": "2s"}]},
            "orders": {
                "instances": 3, "zone": "spread", "mesh": {"mtls": {}},
                "uses": {name: {"policies": [{"timeout": "1s"}]} for name in ("payments", "orders-db", "order-cache", "events")},
                "endpoints": {
                    "POST /orders": [{"work": "2ms"}, {"call": "payments POST /charges"},
                                     {"query": {"database": "orders-db", "statement": "write"}}, {"publish": "order.created"}],
                    "GET /orders/{id}": [{"cache": "order-cache", "key": {"uniform": {"items": 50}}, "miss": [{"query": "orders-db"}]}],
                }},
            "payments": {"instances": 2, "mesh": {"mtls": {}}, "endpoints": {"POST /charges": [{"work": "5ms"}]}},
            "mailer": {"subscribe": {"order.*": [{"work": "1ms"}]}},
            "orders-db": {"kind": "database", "replicas": 1},
            "order-cache": {"kind": "cache", "capacity": 60, "ttl": "1m"}, "events": {"kind": "broker", "ack_wait": "1s"},
        },
        "workloads": {name: {"rate": "4/s", "to": "gateway", "zone": "a", "timeout": "5s", "mix": [{"send": send}]}
                      for name, send in LOADS.items()},
        "faults": [fault, *BESIDE.get(fault["kind"], [])],
    })


@pytest.mark.parametrize("kind", list(FAULTS))
def test_the_example_in_the_documentation_runs_and_does_something(kind):
    """It is on, hits something, and ends."""
    fault = yaml.safe_load(example(kind))
    assert fault["kind"] == kind
    result = run(shop(fault))
    assert result.summary["warnings"] == []
    assert any(interval.until is not None for interval in result.faults if interval.kind == kind)


@pytest.mark.parametrize("kind", list(FAULTS))
def test_the_example_written_out_and_read_again_is_the_same(kind):
    """With every default, as a resolved scenario has it."""
    found = FAULT.validate_python(yaml.safe_load(example(kind)))
    assert FAULT.validate_python(FAULT.dump_python(found, mode="json")) == found


def test_documentation_names_every_severity():
    """What a ramp acts on is a field of the kind."""
    for kind, cls in FAULTS.items():
        assert cls.severity is None or cls.severity in cls.model_fields, kind
