"""Who is found by a registry: by tags, by checks of their own, and by users who ask it too."""

from __future__ import annotations

import pytest

from sim import loads
from sim.scenario.problems import InvalidFile
from sim.telemetry.codes import Reason
from tests.model.platform_world import platform
from tests.model.small_runs import of_users, ran, users

CHECK = {"interval": "1s", "timeout": "500ms", "failures_before_critical": 3}
KILL = {"kind": "instance.kill", "target": {"instance": "back-0"}, "schedule": {"at": "10s"}}


def back(**more):
    return {"instances": 3, "workers": 100, "endpoints": {"GET /": []}, **more}


def front(**use):
    return {"workers": 100, "uses": {"back": use}, "endpoints": {"GET /": [{"call": "back GET /"}]}}


def served_by(result):
    """How many requests each instance has answered."""
    names, rows = result.names, result.spans.of(2).rows
    mine = rows[(rows["node"] == names.nodes.index("back")) & (rows["peer"] == names.nodes.index("front"))]
    counts = {names.instances[index]: int((mine["instance"] == index).sum()) for index in set(mine["instance"].tolist())}
    return dict(sorted(counts.items()))


def test_an_instance_registers_with_tags_and_port_of_its_service_its_version_and_its_zone():
    """Started again after it was struck off, it says all of that anew."""
    services = {"back": back(zone="a", registration={"tags": ["eu", "card"], "port": 9090})}
    with platform(services, registry={"check": CHECK, "deregister_critical_after": "5s", "reap_interval": "1s"}) as lab:
        lab.instance("back-0").kill()
        lab.run(20)
        lab.instance("back-0").start()
        lab.run(2)
        (event,) = lab.events("registry.registered")
        assert (event["tags"], event["address"].partition(":")[2]) == (["eu", "card", "a"], "9090")


def test_a_tag_selects_among_the_instances():
    """Three zones, one instance in each: who asks for `b` calls that one alone; who asks for a tag of all shares the calls."""
    network = {"default": {"latency": "1ms"}, "zones": {"a": {}, "b": {}, "c": {}}}
    services = {"front": front(tag="b"), "back": back(zone="spread", registration={"tags": ["card"]})}
    assert served_by(ran(services, duration="3s", registry={}, network=network)) == {"back-1": 29}
    services["front"] = front(tag="card")
    assert served_by(ran(services, duration="3s", registry={}, network=network)) == {"back-0": 10, "back-1": 10, "back-2": 9}


def test_a_version_is_a_tag():
    """Those who ask for v2 have nobody until the first instance of it is found healthy, and never call an old one."""
    deployment = {"at": "5s", "version": {"name": "v2"}, "strategy": "rolling"}
    result = ran({"front": front(tag="v2"), "back": back(deployment=deployment)}, duration="20s", registry={"check": CHECK})
    requests = result.requests
    assert set(requests.status[requests.start < 5]) == {503}
    assert set(requests.status[requests.start > 10]) == {200}
    assert not served_by(result).keys() & {"back-0", "back-1", "back-2"}


def test_a_service_may_be_checked_in_its_own_way():
    """The registry looks every ten seconds, at this one every second at /ready: found dead after three of those."""
    own = {"registration": {"check": {**CHECK, "path": "/ready"}}, "endpoints": {"GET /": [], "GET /ready": []}}
    result = ran({"back": back(**own), "other": back()}, users_of("back"), "30s", registry={},
                 faults=[KILL, {**KILL, "target": {"instance": "other-0"}}])
    found = {event["node"]: event["at"] for event in result.events if event["kind"] == "registry.status"}
    assert 12 <= found["back"] <= 13.5
    assert "other" not in found
    asked = {result.names.operations[row["operation"]] for row in result.spans.of(2).rows}
    assert {"GET /ready", "GET /health"} <= asked


def users_of(node, **more):
    return {"users": users(node, rate="30/s", **more)}


def test_users_who_ask_the_registry_call_the_dead_until_it_has_found_out():
    """By address nobody notices the loss of one of three; by registry a third of the calls fail for three checks."""
    by_address = ran({"back": back()}, users_of("back"), "30s", registry={"check": CHECK}, faults=[KILL])
    assert of_users(by_address)["by_status"] == {"200": 899}
    asking = ran({"back": back()}, users_of("back", discovery="registry"), "30s", registry={"check": CHECK}, faults=[KILL])
    requests = asking.requests
    failed = requests.start[requests.status != 200]
    assert failed.min() >= 10 and failed.max() <= 13.5
    assert len(failed) == pytest.approx(10 * (failed.max() - failed.min()), abs=2)
    assert any(event["kind"] == "registry.view" and event.get("caller") == "users" for event in asking.events)


def test_users_go_on_with_what_they_knew_while_the_registry_is_down():
    """It is gone before anybody dies: a third of the calls fail from then on, and all others are answered."""
    down = {"kind": "registry.down", "schedule": {"at": "5s"}}
    result = ran({"back": back()}, users_of("back", discovery="registry"), "30s", registry={"check": CHECK}, faults=[down, KILL])
    late = result.requests.status[result.requests.start >= 10]
    assert (late == 200).mean() == pytest.approx(2 / 3, abs=0.01)


def test_who_asks_for_all_that_are_registered_goes_on_calling_the_dead():
    """`passing_only: false`: found out or not, one call in three fails until the registry strikes the dead one off."""
    registry = {"check": CHECK, "passing_only": False, "deregister_critical_after": "10s", "reap_interval": "1s"}
    result = ran({"back": back()}, users_of("back", discovery="registry"), "40s", registry=registry, faults=[KILL])
    requests = result.requests
    failed = requests.start[requests.status != 200]
    (gone,) = [event["at"] for event in result.events if event["kind"] == "registry.deregistered"]
    assert 22 <= gone <= 25
    assert failed.min() >= 10 and failed.max() <= gone + 0.01
    assert len(failed) == pytest.approx(10 * (gone - 10), abs=2)


def test_a_warning_is_not_passing():
    """Health that answers 429 is a warning: callers that want who is passing leave it out, and others do not."""
    warns = {"GET /": [], "GET /health": [{"fail": {"share": "100%", "status": 429}}]}
    check = {**CHECK, "failures_before_warning": 1}
    for passing_only, status in ((True, int(Reason.UNAVAILABLE)), (False, 200)):
        result = ran({"back": back(endpoints=warns)}, users_of("back", discovery="registry"), "10s",
                     registry={"check": check, "passing_only": passing_only})
        assert {event["status"] for event in result.events if event["kind"] == "registry.status"} == {"warning"}
        requests = result.requests.finished
        assert set(requests.status[requests.start > 5]) == {status}


def test_stores_may_be_registered_and_checks_are_none_of_their_business():
    """A database, a cache, a broker and an external party: found dead like others, and what they count is not their checks."""
    stores = {"db": {"kind": "database"}, "memory": {"kind": "cache"}, "events": {"kind": "broker"}, "smtp": {"kind": "external"}}
    faults = [{**KILL, "target": {"instance": f"{name}-0"}} for name in stores]
    result = ran({"listener": {"subscribe": {">": []}}, **stores}, {}, "30s", faults=faults,
                 registry={"services": list(stores), "check": {**CHECK, "path": "/ready"}})
    found = {event["node"]: event["at"] for event in result.events if event["kind"] == "registry.status"}
    assert found.keys() == stores.keys()
    assert all(12 <= at <= 13.5 for at in found.values())
    summary = result.summary
    assert (summary["databases"]["db"]["reads"], summary["caches"]["memory"]["misses"], summary["brokers"]["events"]["stored"]) == (0, 0, 0)
    assert all(summary["services"][name]["requests"] >= 9 for name in stores)


@pytest.mark.parametrize(("linger", "fails"), [("1s", True), ("6s", False)])
def test_a_deployment_has_to_wait_for_callers_who_look_seldom(linger, fails):
    """Callers look every five seconds: old instances that leave after one are called when they are gone, those that linger longer are not."""
    services = {"front": {**front(), "workers": 1000}, "back": back(startup="2s", deployment={"at": "10s", "version": "v2", "linger": linger})}
    result = ran(services, {"users": users("front", rate="100/s")}, "40s", registry={"check": CHECK, "client_cache": "5s"})
    statuses = of_users(result)["by_status"]
    assert statuses.keys() == ({"200", "502"} if fails else {"200"})
    assert not fails or statuses["502"] > 50


@pytest.mark.parametrize("strategy", ["rolling", {"canary": {"steps": ["50%"], "interval": "5s"}}, {"blue_green": {"keep": "5s"}}])
def test_a_deployment_waits_until_new_instances_are_found(strategy):
    """Checked every ten seconds they are found long after they have started; old ones stay until then, and no call fails."""
    services = {"front": front(), "back": back(startup="1s", deployment={"at": "5s", "version": "v2", "strategy": strategy})}
    result = ran(services, {"users": users("front", rate="50/s")}, "90s", registry={"check": {**CHECK, "interval": "10s"}})
    assert of_users(result)["by_status"].keys() == {"200"}
    assert [event["kind"] for event in result.events if event["kind"] == "deployment.done"]
    assert not served_by(result).keys().isdisjoint({"back-0", "back-3"})


REGISTRY = "registry: {check: {interval: 2s}}\n"
SOUND = "name: found\nduration: 10s\n" + REGISTRY + """services:
  front: {uses: {back: {tag: eu}}, endpoints: {GET /: [{call: back GET /}, {query: db}]}}
  back: {registration: {tags: [eu]}, endpoints: {GET /: []}}
  db: {kind: database}
workloads: {users: {executor: constant-arrival-rate, rate: 1/s, to: front, discovery: registry, mix: [{send: GET /}]}}
"""


@pytest.mark.parametrize(("old", "new", "at", "what", "cure"), [
    ("tag: eu}", "tag: e}", "e}", "no instance of 'back' ever has the tag 'e'", "did you mean 'eu'?"),
    ("registration: {tags: [eu]}, ", "", "eu}", "no instance of 'back' ever has the tag 'eu'", "registration: {tags: [eu]}"),
    (REGISTRY, "", "eu}", "there is no registry, which could be asked for a tag", "registry: {}"),
    (REGISTRY, "", "registration:", "there is no registry, so that 'back' does not register", "registry: {}"),
    (REGISTRY, "", "registry, mix", "there is no registry, and 'users' is to ask it", "registry: {}"),
    ("{kind: database}", "{kind: database, registration: {}}", "registration:", "a database has a fixed address", "services: [db, ...]"),
    ("interval: 2s}}", "interval: 2s}, services: [front]}", "registration:", "the registry does not have 'back'", "add back to the"),
    ("interval: 2s}}", "interval: 2s}, services: [back, frnt]}", "frnt", "there is no service 'frnt'", "did you mean 'front'?"),
    ("interval: 2s}}", "interval: 2s}, registration: {}}", "registration:", "does not register with itself", "write it at a service"),
    ("interval: 2s}}", "interval: 2s}, uses: {back: {}}}", "uses:", "the registry calls nobody but for their health", "say how in `check`"),
    ("{tags: [eu]}", "{tags: [eu], port: 0}", "0}", "should be at least 1, not 0", ""),
    ("{tags: [eu]}", "{tags: eu}", "eu}", "should be a list, not 'eu'", "write `- item` lines, or [a, b]"),
    ("{tags: [eu]}", "{tags: [eu], check: {ttl: 5s, path: /x}}", "path:", "`path` is of checks that ask", "leave one of them out"),
    ("discovery: registry", "discovery: dns", "dns", "should be 'address' or 'registry', not 'dns'", ""),
])
def test_mistakes_are_told_with_place_and_cure(old, new, at, what, cure):
    """What no registry takes, tags that nobody has, values that are none."""
    loads(SOUND)
    with pytest.raises(InvalidFile) as caught:
        loads(SOUND.replace(old, new))
    told = [problem for problem in caught.value.problems if problem.source_line[problem.col - 1 :].startswith(at)]
    assert any(what in problem.what and cure in problem.cure for problem in told), caught.value
