"""The mesh: what sidecars cost, whom they let in, what their certificates do, and what happens where they and the application both retry."""

import pytest

from sim.telemetry.codes import Reason

from .platform_runs import events, latency, reasons, simulate, statuses


def meshed(front="{}", back="{}", gateway="", uses="{}", do="[{work: 1ms}]", rate=50, duration=60, faults="", instances=1, warmup=0):
    """Users call `front`, which calls `back`; each with a mesh as given (null: none)."""
    return f"""
name: meshed
duration: {duration}s
warmup: {warmup}s
network: {{default: {{latency: 0ms}}}}
services:
  front:
    mesh: {front}
    uses: {uses}
    endpoints: {{GET /: [{{call: back GET /}}]}}
  back:
    instances: {instances}
    mesh: {back}
    endpoints: {{GET /: {do}}}
{gateway}
workloads:
  users: {{executor: constant-arrival-rate, rate: {rate}/s, to: front, mix: [{{send: GET /}}]}}
faults: [{faults}]
"""


def edge(result):
    """The calls from front to back."""
    return result.summary["calls"]["front->back"]


def test_a_call_between_two_sidecars_passes_each_of_them_twice():
    """There and back, out of one and into the other: four times the latency of one, and half of that where only one side has a sidecar."""
    none, one, both = (latency(simulate(meshed(front, back))) for front, back in (("null", "null"), ("null", "{sidecar: 2ms}"),
                                                                                   ("{sidecar: 2ms}", "{sidecar: 2ms}")))
    users = 2 * 0.002  # the users' own calls pass the sidecar of front as well
    assert none == pytest.approx(0.001, rel=0.01) and one - none == pytest.approx(2 * 0.002, rel=0.01)
    assert both - none == pytest.approx(4 * 0.002 + users, rel=0.01)


def test_a_caller_that_is_not_on_the_list_is_turned_away():
    """403 from the sidecar, before any work: the callee's application never sees the request."""
    result = simulate(meshed(back="{allow: [gateway]}", gateway="  gateway: {kind: gateway, routes: [{path: /, to: back}]}"))
    assert set(statuses(result)) == {"403"} and reasons(result, "back") == {403: sum(statuses(result).values())}
    assert result.summary["services"]["back"]["utilisation"] == 0
    assert edge(result)["policies"]["mesh.not_allowed"] == edge(result)["calls"]


def test_a_caller_that_is_on_the_list_is_let_in():
    """The list names services, and workloads."""
    assert set(statuses(simulate(meshed(front="{allow: [users]}", back="{allow: [front]}")))) == {"200"}
    assert set(statuses(simulate(meshed(front="{allow: [back]}")))) == {"403"}


MTLS = "{mtls: {handshake: 30ms%s}, sidecar: 0ms}"


def test_a_handshake_is_paid_once_for_a_connection():
    """The first call takes the handshake longer, and so does one whenever the connection has reached its age."""
    result = simulate(meshed(MTLS % "", MTLS % ", max_connection_age: 10s", rate=5, duration=100))
    slow = result.requests.latency > 0.02
    assert int(slow.sum()) == pytest.approx(10, abs=3)  # calls that come during a handshake wait for it
    assert latency(result, figure="p50") == pytest.approx(0.001, rel=0.01)
    assert edge(result)["policies"]["mesh.handshake"] == pytest.approx(10, abs=1)


def test_an_expired_certificate_fails_new_connections_and_not_the_old_ones():
    """What is connected works on; when it has to connect anew the call fails, with the reason in the trace."""
    result = simulate(meshed(MTLS % ", valid_for: 1h, age: 59m40s, rotate: false", MTLS % ", max_connection_age: 30s", rate=20))
    ends = result.requests
    failed = ends.status >= 400
    assert not failed[ends.end < 30].any(), "the certificate is over since 20 s, and the connection is as good as before"
    assert failed[ends.start > 31].all() and set(statuses(result)) == {"200", "502"}
    assert reasons(result, "back")[Reason.CERTIFICATE] == statuses(result)["502"]
    assert [(event["at"], event["node"]) for event in events(result, "certificate.expired")] == [(20, "front")]


def test_certificates_that_rotate_do_not_expire():
    """The same lifetime, renewed in time; and so it goes on, as the events tell."""
    result = simulate(meshed(MTLS % ", valid_for: 1h, age: 59m40s", MTLS % ", valid_for: 25s, max_connection_age: 30s", rate=20))
    assert set(statuses(result)) == {"200"}
    told = [(event["at"], event["node"]) for event in events(result, "certificate.rotated")]
    assert told == [(20, "front"), (25, "back"), (50, "back")]


def test_a_restart_meets_an_expired_certificate():
    """Instances that were restarted must connect anew, and cannot: an expired certificate takes a system down bit by bit."""
    kill = "{kind: instance.kill, target: {instance: back-0}, schedule: {at: 40s}, restart_after: 1s}"
    result = simulate(meshed(MTLS % "", MTLS % ", valid_for: 20s, rotate: false, max_connection_age: 1h", rate=20, instances=2, faults=kill))
    ends = result.requests
    after, failed = ends.start > 42, ends.status >= 400
    assert failed[after].mean() == pytest.approx(0.5, abs=0.05) and not failed[ends.start < 39].any()


def test_strict_refuses_who_has_no_certificate_and_permissive_lets_him_in():
    """A caller without a sidecar cannot connect to a strict service."""
    assert set(statuses(simulate(meshed("null", MTLS % ", mode: strict")))) == {"502"}
    assert set(statuses(simulate(meshed("null", MTLS % ", mode: permissive")))) == {"200"}


def test_a_registry_finds_a_strict_service_as_well_as_it_is():
    """Its checks are let through, by a list of callers and without a certificate: nobody who works becomes critical."""
    result = simulate("registry: {check: {interval: 1s}}" + meshed("{mtls: {}}", "{mtls: {mode: strict}, allow: [front]}"))
    assert set(statuses(result)) == {"200"} and not events(result, "registry.status")


@pytest.mark.parametrize(("back", "status"), [("{allow: [users]}", "403"), ("{mtls: {mode: strict}}", "502")])
def test_a_service_that_is_called_registry_is_a_service_like_any_other(back, status):
    """Where there is no registry nobody of that name is let through."""
    assert set(statuses(simulate(meshed("null", back, duration=2).replace("front", "registry")))) == {status}


RETRY = "retry: {max_attempts: 3, backoff: {initial: 1ms}, on: [5xx]}"
FAILING = "[{fail: {share: 100%}}]"


def test_retries_of_mesh_and_application_multiply():
    """Three attempts of the one and three of the other are nine, as neither knows of the other."""
    app = f"{{back: {{policies: [{{{RETRY}}}]}}}}"
    assert edge(simulate(meshed("{}", "{}", uses=app, do=FAILING)))["amplification"] == pytest.approx(3)
    assert edge(simulate(meshed("{}", f"{{{RETRY}}}", do=FAILING)))["amplification"] == pytest.approx(3)
    assert edge(simulate(meshed("{}", f"{{{RETRY}}}", uses=app, do=FAILING)))["amplification"] == pytest.approx(9)


def test_a_mesh_retries_what_the_application_does_not():
    """Failures that come by chance are hidden by the sidecar: p becomes p cubed."""
    result = simulate(meshed("{}", f"{{{RETRY}}}", do="[{fail: {share: 30%}}]", rate=100))
    assert edge(result)["success_ratio"] == pytest.approx(1 - 0.3**3, abs=0.01) and edge(result)["policies"]["mesh.retry.retry"] > 1000


def test_a_caller_without_a_sidecar_has_none_of_its_policies():
    """Timeouts and retries are done in the callers' sidecars."""
    assert edge(simulate(meshed("null", f"{{{RETRY}}}", do=FAILING)))["amplification"] == 1


def test_the_mesh_gives_up_before_a_patient_application_does():
    """An application without a timeout gets one from the mesh, for all attempts and for each."""
    assert latency(simulate(meshed("{}", "{timeout: 200ms, sidecar: 0ms}", do="[{sleep: 2s}]", rate=2))) == pytest.approx(0.201, abs=0.002)
    retry = RETRY.replace("[5xx]", "[timeout]")
    per_try = simulate(meshed("{}", f"{{timeout: 1s, per_try_timeout: 100ms, sidecar: 0ms, {retry}}}", do="[{sleep: 2s}]", rate=2))
    assert set(statuses(per_try)) == {"504"} and edge(per_try)["amplification"] == 3


def test_the_mesh_ejects_an_instance_that_fails():
    """Outlier detection of the mesh leaves out the one instance whose version is bad."""
    bad = "{kind: http.abort, target: {instance: back-0}, status: 500}"
    detection = "{outlier_detection: {consecutive_5xx: 5, base_ejection_time: 1h, interval: 1s}}"
    without, with_it = (simulate(meshed("{}", mesh, instances=4, rate=100, faults=bad)) for mesh in ("{}", detection))
    assert statuses(without)["502"] / sum(statuses(without).values()) == pytest.approx(0.25, abs=0.02)
    assert statuses(with_it)["502"] == 5 and events(with_it, "outlier.ejected")[0]["instance"] == "back-0"
