"""Whole plans: any of them ends, heals, keeps the accounts and repeats to the byte; and one of 10,000 faults loads at once."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.errors import InvalidInput
from sim.faults.driver import names_of
from sim.faults.faults import FAULTS
from sim.lab.run import run
from sim.scenario.documents import load_document, validated
from sim.scenario.scenario import FaultPlan, Scenario
from sim.scenario.trial import check_faults
from sim.telemetry.codes import Outcome

INSTANCES = st.sampled_from([
    {"service": "front"}, {"service": "back"}, {"service": "back", "mode": "one"}, {"zone": "a"}, {"instance": "back-1"},
    {"service": "back", "mode": "fixed-percent", "value": "50%"}, {"kind": "database"},
])
LINKS = st.sampled_from([
    {"link": "front->back"}, {"link": "front->back", "direction": "from"}, {"link": "front->back", "direction": "both"}, {"link": "*->*"},
    {"service": "db"}, {"service": "back", "mode": "one"}, {"from": {"zone": "a"}, "to": {"service": "front"}, "direction": "both"},
])
REQUESTS = st.sampled_from([{"service": "back"}, {"link": "front->db", "match": {"method": "POST"}}, {"kind": "service", "mode": "one"}])
DB, CACHE, BROKER = (st.just({"service": name}) for name in ("db", "cache", "events"))
SIZE = st.sampled_from(["1MB", "10MB"])
LENGTH = st.sampled_from(["100ms", "700ms", "1500ms"])
SHARE = st.sampled_from(["1%", "30%", "100%"])
TIME = st.sampled_from(["0ms", "20ms", "700ms"])
FIELDS = {  # of each kind: how its fields are drawn
    "network.delay": {"target": LINKS, "latency": TIME, "jitter": TIME, "correlation": SHARE,
                      "distribution": st.sampled_from(["uniform", "normal", "pareto"])},
    "network.loss": {"target": LINKS, "loss": SHARE, "transport": st.sampled_from(["tcp", "datagram"]), "correlation": SHARE},
    "network.partition": {"target": LINKS, "how": st.sampled_from(["drop", "reject"])},
    "network.reset": {"target": LINKS, "probability": SHARE, "after": TIME},
    "network.bandwidth": {"target": LINKS, "rate": st.sampled_from(["100kbit", "10Mbit"]), "limit": st.sampled_from(["1KiB", "1MB"])},
    "network.duplicate": {"target": LINKS, "probability": SHARE, "correlation": SHARE},
    "network.corrupt": {"target": LINKS, "corrupt": SHARE},
    "network.reorder": {"target": LINKS, "latency": TIME, "probability": SHARE, "gap": st.integers(1, 3)},
    "instance.kill": {"target": INSTANCES, "grace": TIME},
    "instance.unavailable": {"target": INSTANCES},
    "instance.pause": {"target": INSTANCES},
    "instance.slow": {"target": INSTANCES, "factor": st.sampled_from([0.5, 7.0, 1000.0])},
    "zone.outage": {"zone": st.sampled_from(["a", "b"])},
    "resource.cpu": {"target": INSTANCES, "load": st.sampled_from(["10%", "99%"])},
    "resource.memory": {"target": INSTANCES, "size": st.just("1MB"), "leak": SIZE, "gc_interval": st.just("100ms")},
    "resource.pool": {"target": st.just({"service": "back"}), "taken": SHARE, "leak": st.sampled_from(["0/s", "50/s"])},
    "http.delay": {"target": REQUESTS, "delay": st.just({"exponential": "100ms"}), "probability": SHARE},
    "http.abort": {"target": REQUESTS, "probability": SHARE, "status": st.sampled_from([404, 500, 503])},
    "http.throttle": {"target": REQUESTS, "rate": st.just("10/s"), "probability": SHARE},
    "db.slow": {"target": DB, "factor": st.just(20.0)},
    "db.error": {"target": DB, "statement": st.sampled_from(["read", "write", "any"])},
    "db.failover": {"target": DB, "read_only": LENGTH},
    "db.replica_lag": {"target": DB, "lag": TIME},
    "db.lock": {"target": DB, "share": SHARE, "wait_timeout": st.just("300ms"), "statement": st.sampled_from(["read", "write", "any"]),
                "key": st.sampled_from([None, "1", {"uniform": {"items": 3}}])},
    "cache.flush": {"target": CACHE},
    "cache.down": {"target": CACHE, "keep": st.booleans()},
    "cache.limit": {"target": CACHE, "share": st.just("20%")},
    "broker.down": {"target": BROKER},
    "broker.slow_consumer": {"target": BROKER, "delay": TIME},
    "broker.redeliver": {"target": BROKER, "probability": SHARE},
    "broker.poison": {"target": BROKER, "probability": SHARE},
    "registry.down": {},
    "registry.stale": {"lag": TIME.filter(lambda time: time != "0ms")},
    "dns.error": {"target": LINKS, "probability": SHARE, "after": TIME},
    "clock.skew": {"target": INSTANCES, "offset": st.sampled_from(["1s", "5m"]), "direction": st.sampled_from(["ahead", "behind"])},
    "cert.expire": {"target": st.just({"service": "back"}), "drop_connections": st.booleans()},
    "config.bad": {"target": st.just({"service": "back"}), "error_rate": SHARE, "speed": st.sampled_from([0.1, 3.0])},
    "deploy.bad_version": {"target": INSTANCES, "error_rate": SHARE, "speed": st.sampled_from([0.1, 3.0])},
    "load.surge": {"target": st.just({}), "factor": st.sampled_from([0.0, 3.0])},
}
AT = st.sampled_from(["0s", "500ms", "1s", "1700ms"])


@st.composite
def faults(draw):
    """One fault of any kind, which is over after at most 3.5 s."""
    kind = draw(st.sampled_from(sorted(FIELDS)))
    fields = {name: draw(drawn) for name, drawn in FIELDS[kind].items()}
    once = FAULTS[kind].at_once
    schedule = draw(st.sampled_from(["at", "every", "random"]))
    when = {
        "at": {"at": draw(AT)},
        "every": {"every": "400ms", "max": draw(st.integers(1, 3)), "from": draw(AT)},
        "random": {"random": "120/min", "until": "2s"},
    }[schedule]
    ramp = {"ramp": {"up": draw(TIME), "down": draw(TIME)}} if FAULTS[kind].severity is not None and draw(st.booleans()) else {}
    return {"kind": kind, **fields, **ramp, "schedule": when if once or kind == "db.failover" else {**when, "for": draw(LENGTH)}}


def small(plan, duration="16s", connection_age="1s"):
    """Services, a database, a cache, a broker and a registry; 40 requests a second of constant times, for 14 of 16 seconds."""
    loads = {name: {"executor": "ramping-arrival-rate", "arrivals": "uniform", "start_rate": "10/s", "to": "front", "timeout": "1s",
                    "stages": [{"duration": "14s", "target": "10/s"}, {"duration": "1ms", "target": "0/s"}], "mix": [{"send": send}]}
             for name, send in (("web", "GET /"), ("data", "GET /db"), ("reads", "GET /cache"), ("news", "POST /news"))}
    policies = [{"retry": {"max_attempts": 2, "backoff": {"initial": "10ms"}}}, {"timeout": "400ms"}]
    uses = {callee: {"policies": policies} for callee in ("back", "db", "cache", "events")}
    mesh = {"mtls": {"max_connection_age": connection_age, "handshake": "1ms"}}
    return Scenario.model_validate({
        "registry": {"check": {"interval": "400ms", "timeout": "100ms", "failures_before_critical": 2}},
        "name": "small", "duration": duration, "network": {"default": {"latency": "1ms"}, "zones": {"a": {}, "b": {}}},
        "services": {
            "front": {"instances": 2, "workers": 50, "zone": "spread", "uses": uses, "mesh": mesh, "endpoints": {
                "GET /": [{"work": "1ms"}, {"parallel": [[{"call": "back GET /x"}], [{"sleep": "2ms"}]]}],
                "POST /news": [{"publish": "news.today"}, {"query": {"database": "db", "transaction": [
                    {"query": {"database": "db", "statement": "write", "key": {"uniform": {"items": 3}}}}, {"sleep": "1ms"},
                    {"query": {"database": "db", "statement": "write", "key": {"uniform": {"items": 3}}}}]}}],
                "GET /db": [{"query": {"database": "db", "statement": "write", "key": {"uniform": {"items": 3}}}}, {"query": "db"}],
                "GET /cache": [{"cache": "cache", "key": {"uniform": {"items": 5}}, "miss": [{"query": "db"}]}]}},
            "back": {"instances": 3, "workers": 5, "zone": "spread", "cpu": {"cores": 1}, "mesh": mesh,
                     "endpoints": {"GET /x": [{"work": "5ms"}]}},
            "reader": {"instances": 2, "subscribe": {"news.*": [{"work": "2ms"}]}},
            "events": {"kind": "broker", "ack_wait": "300ms", "max_deliver": 3, "redelivery_delay": "50ms"},
            "db": {"kind": "database", "connections": 5, "query": "2ms", "replicas": 1},
            "cache": {"kind": "cache", "latency": "1ms", "capacity": 5, "ttl": "30s"},
        },
        "workloads": loads, "faults": plan,
    })


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(faults(), min_size=1, max_size=5))
def test_any_plan_ends_heals_keeps_the_accounts_and_repeats(plan):
    """After the last fault and the last straggler every request is answered as at first, and a second run is the same to the byte."""
    scenario = small(plan)
    result = run(scenario)
    requests = result.summary["requests"]
    assert requests["started"] == sum(requests[outcome] for outcome in ("ok", "degraded", "failed", "rejected", "unfinished"))
    assert requests["unfinished"] == 0
    late = result.requests[(result.requests.intended > 11.0)]  # a caller's watch of the registry takes a while to try again
    assert (late.outcome == Outcome.OK).all()
    assert max((fault.until for fault in result.faults), default=0) < 5
    for name, node in result.description.items():
        busy = result.series(name, "busy")
        assert busy.mean[-1] == 0 or name == "registry", f"{name} still works at the end"  # a watch waits there all the time
        assert len(node["instances"]) == {"front": 2, "back": 3, "reader": 2, "db": 2}.get(name, 1)
    assert run(scenario).digest == result.digest


def test_every_kind_is_drawn():
    """A new kind needs a line above."""
    assert set(FIELDS) == set(FAULTS)


def test_a_plan_of_ten_thousand_faults_loads_and_is_checked_in_two_seconds(tmp_path):
    """Reading, validating and checking against the scenario."""
    path = tmp_path / "plan.yaml"
    lines = ["faults:"]
    for number in range(5000):
        lines.append(f"  - {{name: slow-{number}, kind: network.delay, target: {{link: front->back}}, latency: 5ms,"
                     f" schedule: {{at: {number}ms, for: 1s}}}}")
        lines.append(f"  - {{name: kill-{number}, kind: instance.kill, target: {{service: back, mode: one}}, restart_after: 1s,"
                     f" schedule: {{at: {number}s}}}}")
    path.write_text("\n".join(lines))
    scenario = small([])
    began = time.process_time()
    plan = validated(load_document(str(path)), FaultPlan)
    assert check_faults(scenario, plan.faults) == []
    assert time.process_time() - began < 6  # seconds of CPU on a machine that is busy; 2 is the aim, and 1.2 was measured
    assert len(plan.faults) == 10_000


def test_two_thousand_faults_run_side_by_side():
    """Two thousand delays of a microsecond, two hundred at a time: all come and go, and what is left is the world without them."""
    plan = [{"kind": "network.delay", "name": f"d{number}", "target": {"link": "front->back"}, "latency": "1us",
             "schedule": {"at": f"{1000 + number // 10}ms", "for": "20ms"}} for number in range(2_000)]
    result = run(small(plan, duration="3s"))
    assert len(result.faults) == 2_000
    assert result.summary["requests"]["ok"] == result.summary["requests"]["started"] - result.summary["requests"]["unfinished"]


@pytest.mark.parametrize(("fault", "loc", "what", "cure"), [
    ({"kind": "instance.kill", "target": {"service": "bak"}}, ("target", "service"), "no service 'bak'", "did you mean 'back'?"),
    ({"kind": "instance.kill", "target": {"instance": "back-3"}}, ("target", "instance"), "no instance 'back-3'", "back-0 to back-2"),
    ({"kind": "instance.kill", "target": {"zone": "z"}}, ("target", "zone"), "no zone 'z'", "known: a, b"),
    ({"kind": "instance.kill", "target": {"kind": "gateway"}}, ("target", "kind"), "no node of kind 'gateway'", "known:"),
    ({"kind": "network.delay", "latency": "1s", "target": {"link": "frnt->back"}}, ("target", "link"), "'frnt'", "did you mean 'front'?"),
    ({"kind": "network.delay", "latency": "1s", "target": {"to": {"service": "x"}}}, ("target", "to", "service"), "'x'", "known:"),
    ({"kind": "http.abort", "target": {"link": "web->fornt"}}, ("target", "link"), "'fornt'", "front"),
    ({"kind": "load.surge", "factor": 2, "target": {"workload": "wbe"}}, ("target", "workload"), "no workload 'wbe'", "web"),
    ({"kind": "db.slow", "factor": 2, "target": {"service": "back"}}, ("target",), "'back' is a service", "db"),
    ({"kind": "cache.flush", "target": {"service": "db"}}, ("target", "service"), "no cache 'db'", "cache"),
    ({"kind": "resource.pool", "taken": "50%", "target": {"service": "cache"}}, ("target", "service"), "no pool", "database"),
    ({"kind": "resource.pool", "taken": "50%", "target": {"service": "front"}, "of": "dbb"}, ("of",), "no pool of 'front' to 'dbb'", "no pool"),
    ({"kind": "resource.pool", "taken": "50%", "target": {"instance": "front-0"}, "of": "dbb"}, ("of",), "of 'front-0' to 'dbb'", "no pool"),
    ({"kind": "resource.pool", "taken": "50%", "target": {"zone": "a"}, "of": "dbb"}, ("of",), "no pool of 'zone a' to 'dbb'", "no pool"),
    ({"kind": "resource.pool", "taken": "50%", "target": {"instance": "cache-0"}}, ("target", "instance"), "'cache' has no pool", "database"),
    ({"kind": "broker.slow_consumer", "target": {"service": "events"}, "delay": "1s", "consumer": "raeder"}, ("consumer",), "'raeder'",
     "did you mean 'reader'?"),
    ({"kind": "db.error", "target": {"link": "front->back"}}, ("target",), "'back' is a service", "aim at db"),
    ({"kind": "cert.expire", "target": {"instance": "reader-1"}}, ("target", "instance"), "'reader-1' has no certificates", "mtls"),
    ({"kind": "cert.expire", "target": {"kind": "cache"}}, ("target", "kind"), "'cache' has no certificates", "mtls"),
    ({"kind": "zone.outage", "zone": "q"}, ("zone",), "no zone 'q'", "known: a, b"),
    ({"kind": "zone.outage", "target": {"zone": "q"}}, ("target", "zone"), "no zone 'q'", "known: a, b"),
    ({"kind": "cache.down", "target": {"service": "cache"}, "schedule": {"after": "x"}}, ("schedule", "after"), "no fault 'x'", "known:"),
])
def test_a_plan_that_does_not_fit_its_scenario_is_refused_with_place_and_cure(fault, loc, what, cure):
    """Before anything runs, by the check and by `run` itself."""
    scenario = small([fault])
    (mistake,) = check_faults(scenario)
    assert mistake.loc == ("faults", 0, *loc)
    assert what in mistake.what
    assert cure in mistake.cure
    with pytest.raises(InvalidInput, match=r"faults\.0"):
        run(scenario)


def test_names_must_be_different_and_may_not_wait_for_themselves():
    """Two of one name, and a circle of `after`."""
    def kill(name, **schedule):
        return {"name": name, "kind": "cache.down", "target": {"service": "cache"}, "schedule": {"for": "1s", **schedule}}
    plan = [kill("a", after="b"), kill("b", after="a"), kill("c", at="1s"), kill("c", at="2s")]
    found = {mistake.loc: mistake.what for mistake in check_faults(small(plan))}
    assert set(found) == {("faults", 0, "schedule", "after"), ("faults", 1, "schedule", "after"), ("faults", 3, "name")}


def test_faults_without_a_name_are_called_after_their_kind():
    """And numbered from the second on."""
    plan = small([{"kind": "cache.flush", "target": {"service": "cache"}}] * 2 + [{"name": "x", "kind": "load.surge", "factor": 1}]).faults
    assert names_of(plan) == ["cache.flush", "cache.flush#2", "x"]
