"""Books that do not balance are found: a request or a call that is lost, or written twice."""

from __future__ import annotations

import pytest

from sim.kernel import SimLoop
from sim.lab.conservation import ConservationError, check_conservation
from sim.lab.session import Session
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import SpanKind
from sim.telemetry.columns import SPAN, pack_span
from tests.model.small_runs import users

SERVICES = {"front": {"endpoints": {"GET /": [{"call": "back"}]}}, "back": {"endpoints": {"GET /": [{"work": "30ms"}]}}}


@pytest.fixture
def session():
    """A second of two services, with calls under way at its end."""
    scenario = Scenario.model_validate({"name": "books", "duration": "1s", "services": SERVICES, "workloads": {"users": users("front")}})
    with SimLoop() as loop:
        session = Session(scenario, 1, loop)
        loop.run_until(1.01)
        for load in session.loads.values():
            load.record_unfinished()
        yield session


def test_books_of_a_run_balance(session):
    """What is under way has begun and is not written."""
    check_conservation(session.world, session.loads)
    edge = session.world.edges["front->back"]
    assert edge.started == edge.finished + 1


def test_a_request_that_is_not_written_is_missed(session):
    """One more has begun than there are rows."""
    session.loads["users"].started += 1
    with pytest.raises(ConservationError, match="11 requests started, 10 recorded"):
        check_conservation(session.world, session.loads)


def test_a_call_that_is_not_written_is_missed(session):
    """It has ended, and there is no row of it on its edge."""
    session.world.edges["front->back"].finished += 1
    with pytest.raises(ConservationError, match="front->back: 10 calls started, 10 ended, 9 recorded"):
        check_conservation(session.world, session.loads)


def test_a_call_that_is_written_twice_is_found(session):
    """On its edge, and on no other."""
    node_of = session.world.recorder.node
    row = dict.fromkeys((name for name, _ in SPAN), 0) | {"node": node_of("users"), "peer": node_of("front"), "kind": SpanKind.CLIENT}
    session.world.recorder.write_span(pack_span(*row.values()))
    with pytest.raises(ConservationError, match="users->front"):
        check_conservation(session.world, session.loads)
