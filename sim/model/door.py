"""Admission at an instance: its own door (sim.resilience.admission), asked with what a request brings along.

    arrives ──▶ rate limiter, shedders ──▶ queue ──▶ shedders, who now know the delay ──▶ worker
                  429 or 503                            503

The deadline that counts is the caller's, which came with the request. Health checks pass the door like other requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.model.messages import Exchange, Response
from sim.resilience.admission import Admission, AdmissionSpec, CoDelSpec
from sim.resilience.errors import RateLimited, Rejected
from sim.resilience.events import CallRejected, Event

if TYPE_CHECKING:
    from sim.model.instance import Instance


def with_codel(admission: AdmissionSpec | None) -> AdmissionSpec:
    """What a queue in the order `codel` means: the same *admission*, with CoDel as it is by default, unless it has one of its own."""
    admission = admission or AdmissionSpec()
    if any(isinstance(shedder, CoDelSpec) for shedder in admission.load_shedder):
        return admission
    return admission.model_copy(update={"load_shedder": [*admission.load_shedder, CoDelSpec()]})


class Door:
    """Of one *instance*. Both methods return the refusal, or None where the request may go on."""

    def __init__(self, spec: AdmissionSpec, instance: Instance) -> None:
        self._instance, self._env = instance, instance.env
        self._admission: Admission = spec.build(instance.env._now, instance.name, self._tell)
        self._rng = instance.stream("admission")

    def arrive(self, exchange: Exchange) -> Response | None:
        """A request has come."""
        request = exchange.request
        try:
            self._admission.arrive(self._env._now, self._rng, request.priority, exchange.deadline)
        except Rejected as refusal:
            return _answer(refusal)
        return None

    def start(self, exchange: Exchange) -> Response | None:
        """A request would get a worker now."""
        request, now = exchange.request, self._env._now
        try:
            self._admission.start(now, self._rng, now - exchange.arrived, request.priority, exchange.deadline)
        except Rejected as refusal:
            return _answer(refusal)
        return None

    def _tell(self, event: Event) -> None:
        assert isinstance(event, CallRejected)
        by, _, why = event.reason.partition(": ")
        instance = self._instance
        instance.shed[by] += 1
        more = {} if event.retry_after is None else {"retry_after": event.retry_after}
        instance.recorder.event("admission.rejected", node=instance.node.name, instance=instance.name, by=by, reason=why, **more)


def _answer(refusal: Rejected) -> Response:
    status = 429 if isinstance(refusal, RateLimited) else 503
    return Response(status, rejected=True, retry_after=refusal.retry_after, body=refusal.reason)
