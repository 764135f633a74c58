"""One fault of each kind, strong enough to be noticed in the small world of `test_plans`."""

from __future__ import annotations

from typing import Any

from sim.faults.faults import FAULTS

LINK, BACK = {"link": "front->back"}, {"service": "back"}
DB, CACHE, EVENTS = ({"service": name} for name in ("db", "cache", "events"))
KINDS: dict[str, dict[str, Any]] = {
    "network.delay": {"target": LINK, "latency": "20ms", "jitter": "10ms"},
    "network.loss": {"target": LINK, "loss": "20%"},
    "network.partition": {"target": {**LINK, "direction": "from"}},
    "network.reset": {"target": LINK, "probability": "30%"},
    "network.bandwidth": {"target": LINK, "rate": "100kbit"},
    "network.duplicate": {"target": LINK, "probability": "50%"},
    "network.corrupt": {"target": LINK, "corrupt": "20%"},
    "network.reorder": {"target": LINK, "latency": "20ms", "probability": "50%"},
    "instance.kill": {"target": {"instance": "back-0"}},
    "instance.unavailable": {"target": {"instance": "back-0"}},
    "instance.pause": {"target": {"instance": "back-0"}},
    "instance.slow": {"target": BACK, "factor": 3.3},
    "zone.outage": {"zone": "b"},
    "resource.cpu": {"target": BACK, "load": "60%"},
    "resource.memory": {"target": {"instance": "back-1"}, "size": "1MB", "leak": "400KB", "gc_interval": "100ms", "restart_after": "300ms"},
    "resource.pool": {"target": BACK, "taken": "100%"},
    "http.delay": {"target": BACK, "delay": {"exponential": "20ms"}, "probability": "50%"},
    "http.abort": {"target": BACK, "probability": "30%"},
    "http.throttle": {"target": BACK, "rate": "5/s"},
    "db.slow": {"target": DB, "factor": 7.0},
    "db.error": {"target": DB, "probability": "30%"},
    "db.failover": {"target": DB, "read_only": "500ms"},
    "db.replica_lag": {"target": DB, "lag": "300ms"},
    "db.lock": {"target": DB, "share": "50%"},
    "cache.flush": {"target": CACHE},
    "cache.down": {"target": CACHE},
    "cache.limit": {"target": CACHE, "share": "20%"},
    "broker.down": {"target": EVENTS},
    "broker.slow_consumer": {"target": EVENTS, "delay": "200ms"},
    "broker.redeliver": {"target": EVENTS, "probability": "50%"},
    "broker.poison": {"target": EVENTS, "probability": "50%"},
    "registry.down": {},
    "registry.stale": {"lag": "500ms"},
    "dns.error": {"target": LINK, "probability": "30%"},
    "clock.skew": {"target": CACHE, "offset": "1m"},
    "cert.expire": {"target": BACK, "drop_connections": True},
    "config.bad": {"target": BACK, "error_rate": "30%", "speed": 0.5},
    "deploy.bad_version": {"target": BACK, "error_rate": "30%", "speed": 0.5},
    "load.surge": {"target": {}, "factor": 3.0},
}


def fault(kind: str, name: str, at: str, length: str, **more: Any) -> dict[str, Any]:
    """One of that *kind* from *at* on for *length*, unless it says itself how long it lasts."""
    schedule = {"at": at} if FAULTS[kind].at_once or kind == "db.failover" else {"at": at, "for": length}
    return {"kind": kind, "name": name, **KINDS[kind], "schedule": schedule, **more}
