"""A resolved scenario spells out all defaults; read again, it is the same scenario, whatever does not go together."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sim.scenario.load import load_scenario

CALL = {"GET /": [{"call": "b GET /"}]}
PARTS: dict[str, dict[str, Any]] = {
    "a stream": {"events": {"kind": "broker"}},
    "at most once": {"events": {"kind": "broker", "delivery": "at_most_once"}},
    "a transaction": {
        "db": {"kind": "database"},
        "a": {"endpoints": {"GET /": [{"query": {"database": "db", "transaction": [{"query": "db"}]}}]}}},
    "polled config": {"a": {"endpoints": {"GET /": []}, "config": {"rate": 1}, "config_updates": {"poll": "5s"}}},
    "http": {"b": {"endpoints": {"GET /": []}}, "a": {"uses": {"b": {"connection": {"tls": True}}}, "endpoints": CALL}},
    "grpc": {
        "b": {"endpoints": {"GET /": []}},
        "a": {"uses": {"b": {"protocol": "grpc", "connection": {"pinned": True}}}, "endpoints": CALL}},
}


@pytest.mark.parametrize("services", PARTS.values(), ids=PARTS)
def test_a_resolved_scenario_reads_as_the_same(services, tmp_path):
    """What `scenario.resolved.yaml` says is accepted, and says it again."""
    first, again = tmp_path / "first.yaml", tmp_path / "again.yaml"
    first.write_text(yaml.safe_dump({"name": "parts", "duration": "10s", "services": services}))
    resolved = load_scenario(first).scenario.model_dump(mode="json", by_alias=True, exclude_none=True)
    again.write_text(yaml.safe_dump(resolved))
    assert load_scenario(again).scenario.model_dump(mode="json", by_alias=True, exclude_none=True) == resolved
