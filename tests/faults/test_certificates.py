"""Certificates that are over: what is connected goes on, what must connect fails, and healing renews."""

from __future__ import annotations

import pytest

from sim.errors import InvalidInput

from .small import measure, ran

MTLS = {"mtls": {"max_connection_age": "1h", "handshake": "2ms"}}
EXPIRE = {"kind": "cert.expire", "target": {"service": "back"}}


def meshed(*faults, mesh=MTLS):
    """The small world with sidecars at front and back."""
    return ran(*faults, services__front__mesh=mesh, services__back__mesh=mesh)


def success(result, start, until):
    return measure(result, "success_ratio", "web", (start, until))


def test_what_is_connected_goes_on():
    """Connections live for an hour, and nobody notices."""
    result = meshed(EXPIRE)
    assert success(result, 1, 11) == 1
    assert [event["instance"] for event in result.events if event["kind"] == "certificate.expired"] == ["back-0", "back-1", "back-2"]


def test_whoever_must_connect_anew_fails_until_there_are_new_certificates():
    """With all connections dropped nothing is sent any more; as the fault ends, everything is."""
    result = meshed({**EXPIRE, "drop_connections": True})
    assert success(result, 1, 3.9) == 1
    assert success(result, 4.1, 7.9) == 0
    assert measure(result, "offered", "back", (4.1, 7.9)) == 0
    assert success(result, 8.1, 11.5) == 1


def test_connections_of_a_second_die_within_a_second():
    """Bit by bit: each connection lives to its end."""
    result = meshed(EXPIRE, mesh={"mtls": {"max_connection_age": "1s", "handshake": "2ms"}})
    assert 0 < success(result, 4.0, 5.0) < 1
    assert success(result, 5.1, 7.9) == 0
    assert success(result, 8.1, 11.5) == 1


def test_one_instance_of_three_and_overlapping_faults():
    """The calls to that instance fail, until the later of two faults has ended."""
    one = {**EXPIRE, "drop_connections": True, "name": "one", "target": {"instance": "back-1"}}
    two = {**one, "name": "two", "schedule": {"at": "3s", "for": "2s"}}
    result = meshed(one, two)
    assert success(result, 5.1, 7.9) == pytest.approx(2 / 3, abs=0.02)
    assert success(result, 8.1, 11.5) == 1


def test_a_skewed_clock_finds_good_certificates_over():
    """A day-old certificate that is good for another hour; whoever is two hours ahead lets nobody in who must connect."""
    mesh = {"mtls": {"rotate": False, "valid_for": "2h", "age": "1h", "max_connection_age": "1s"}}
    result = meshed({"kind": "clock.skew", "target": {"service": "front"}, "offset": "2h"}, mesh=mesh)
    assert success(result, 5.1, 7.9) == 0
    assert success(result, 8.1, 11.5) == 1


@pytest.mark.parametrize(("offset", "good"), [("10m", 1.0), ("2h", 0.0)])
def test_certificates_that_rotate_are_over_for_a_clock_that_is_wrong_by_what_is_left(offset, good):
    """The one of this hour has an hour left: two hours ahead it is over, ten minutes ahead it is not, and nothing has changed."""
    mesh = {"mtls": {"valid_for": "1h", "max_connection_age": "1s"}}
    result = meshed({"kind": "clock.skew", "target": {"service": "front"}, "offset": offset}, mesh=mesh)
    assert (success(result, 5.1, 7.9), success(result, 8.1, 11.5)) == (good, 1)
    assert len(result.summary["warnings"]) == good


def test_when_the_fault_ends_the_certificates_are_new_ones():
    """Good for as long as any other, though the one before would have been over by then and nobody rotates them."""
    theirs = {"mtls": {"rotate": False, "valid_for": "6s", "max_connection_age": "500ms"}}
    result = ran(EXPIRE, services__front__mesh={"mtls": {}}, services__back__mesh=theirs)
    assert (success(result, 1, 3.9), success(result, 5, 7.9), success(result, 8.1, 11.5)) == (1, 0, 1)


def test_without_certificates_it_is_a_mistake():
    """With the cure."""
    with pytest.raises(InvalidInput, match="mtls"):
        ran(EXPIRE)
