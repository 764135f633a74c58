"""How a new version does: its errors and latencies since a moment, for the decision to go on or to go back."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from sim.mistakes import Mistake, invalid
from sim.spec import Spec
from sim.units import PositiveDuration, Share, format_duration

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.messages import Exchange, Response
    from sim.model.station import Handle


class AnalysisSpec(Spec):
    """Go back when more than *error_rate* of the requests fail, or their 99th percentile is above *p99*; judged on
    *min_requests* or more."""

    error_rate: Share | None = None
    p99: PositiveDuration | None = None
    min_requests: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _something(self) -> AnalysisSpec:
        if self.error_rate is None and self.p99 is None:
            raise invalid(Mistake((), "nothing to judge the new version by", "add `error_rate: 5%`, or `p99: 500ms`"))
        return self


class Analysis:
    """Watches instances; `verdict()` says what is wrong with them, if anything is."""

    def __init__(self, spec: AnalysisSpec) -> None:
        self.spec = spec
        self._watched: list[Instance] = []
        self._rejected: dict[Instance, int] = {}
        self._latencies: list[float] = []
        self._failed = 0

    def watch(self, instance: Instance) -> None:
        """Count what *instance* does from now on."""
        instance.wrap(self._count)
        self._watched.append(instance)
        self._rejected[instance] = instance.rejected

    def start_again(self) -> None:
        """Forget what was counted."""
        self._latencies.clear()
        self._failed = 0
        self._rejected = {instance: instance.rejected for instance in self._watched}

    def end(self) -> None:
        """Watch nobody any more."""
        for instance in self._watched:
            instance.unwrap(self._count)
        self._watched.clear()

    def _count(self, exchange: Exchange, handle: Handle) -> Awaitable[Response | None]:
        return self._counted(exchange, handle)

    async def _counted(self, exchange: Exchange, handle: Handle) -> Response | None:
        failed = True
        try:
            response = await handle(exchange)
            failed = response is not None and response.status >= 500
            return response
        finally:
            self._failed += failed
            self._latencies.append(exchange.instance.env._now - exchange.arrived)

    @property
    def requests(self) -> int:
        """Counted so far, with those that were turned away."""
        return len(self._latencies) + self._turned_away

    @property
    def _turned_away(self) -> int:
        return sum(instance.rejected - before for instance, before in self._rejected.items())

    def verdict(self) -> str | None:
        """What is wrong, or None: nothing, or nothing that so few requests could tell."""
        spec, requests = self.spec, self.requests
        if requests < spec.min_requests:
            return None
        errors = (self._failed + self._turned_away) / requests
        if spec.error_rate is not None and errors > spec.error_rate:
            return f"{100 * errors:.3g} % of {requests} requests failed"
        slowest = sorted(self._latencies)[int(0.99 * (len(self._latencies) - 1))] if self._latencies else 0.0
        if spec.p99 is not None and slowest > spec.p99:
            return f"p99 was {format_duration(float(f'{slowest:.3g}'))}"
        return None
