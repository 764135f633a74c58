"""The step that runs a saga: each part is done in order, and if one fails, what was done is undone in reverse.

    - saga:
        name: place-order
        steps:
          - {name: reserve, do: POST inventory/reservations, undo: DELETE inventory/reservations}
          - {name: charge, do: POST payments/charges, undo: POST payments/refunds, kind: pivot}
          - {name: confirm, do: {query: orders-db}, kind: retriable}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sim.errors import StatusError
from sim.model.messages import Answer, Exchange, Response
from sim.model.paths import Target
from sim.model.sagas import RecordedSaga
from sim.model.steps import Act, AnyStep, Step, sequence
from sim.resilience.backoff import Exponential
from sim.resilience.retry import Retry
from sim.resilience.saga import Saga
from sim.spec import Mistake, Spec, invalid

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.service import Service

Action = Callable[[Any], Awaitable[Any]]

FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 2.0  # seconds, of compensations and of steps that must succeed at last
ATTEMPTS = 5
_exchange: ContextVar[Exchange] = ContextVar("exchange")  # not in the saga's own context, which its log copies
CONFLICT = 409  # what the endpoint answers where the saga was undone and nobody else said why


def _call_or_step(value: Any) -> Any:
    """A text is a call: `POST payments/charges`."""
    return {"call": value} if isinstance(value, str) else value


Part = Annotated[AnyStep, BeforeValidator(_call_or_step)]


class SagaPart(Spec):
    """One part: *do* it, *undo* it if a later one fails. After a pivot nothing is undone; what is retriable must succeed at last."""

    name: str = Field(min_length=1)
    do: Part
    undo: Part | None = None
    kind: Literal["compensatable", "pivot", "retriable"] = "compensatable"


class SagaStep(Step):
    """Do *steps* in order; if one fails, undo those before it in reverse, with retries. A saga that was undone ends the endpoint with
    the status of what failed (409 where that has none), a stuck one with 500."""

    name: str = "saga"
    steps: list[SagaPart] = Field(min_length=1)
    on_compensation_failure: Literal["continue", "stop"] = "continue"

    @model_validator(mode="after")
    def _in_an_order_that_can_be(self) -> SagaStep:
        saga = Saga(self.name)
        for index, part in enumerate(self.steps):
            try:
                saga.step(part.name, _nothing, kind=part.kind)
            except ValueError as error:
                raise invalid(Mistake(("steps", index), str(error))) from None
        return self

    def children(self) -> Iterator[list[Step]]:
        for part in self.steps:
            yield [part.do]
            if part.undo is not None:
                yield [part.undo]

    def targets(self) -> Iterator[Target]:
        return iter(())

    def build(self, service: Service) -> Act:
        parts = [(part, _action(part.do, service), _action(part.undo, service) if part.undo is not None else None) for part in self.steps]
        place = service.each(lambda instance: self._run_of(instance, parts))
        return lambda exchange: exchange.instance.own[place](exchange)

    def _run_of(self, instance: Instance, parts: list[tuple[SagaPart, Action, Action | None]]) -> Act:
        """The saga as one instance runs it."""
        stream = instance.stream(f"saga {self.name}")
        saga = RecordedSaga(self.name, instance)
        for part, do, undo in parts:
            saga.step(part.name, do, undo, part.kind)
        backoff = Exponential(FIRST_BACKOFF, max=LONGEST_BACKOFF, jitter="full")
        retries = Retry(max_attempts=ATTEMPTS, backoff=backoff)
        retries.bind(f"{self.name}.retry", stream)
        numbers = count(1)

        async def run(exchange: Exchange) -> Response | None:
            token = _exchange.set(exchange)
            try:
                result = await saga.run(compensation=retries, on_compensation_failure=self.on_compensation_failure,
                                        saga_id=f"{instance.name}/{self.name}/{next(numbers)}")
            finally:
                _exchange.reset(token)
            if result.status == "completed":
                return None
            return Answer(500 if result.status == "stuck" else getattr(result.error, "status", None) or CONFLICT)

        return run


async def _nothing(context: Mapping[str, Any]) -> None: ...


def _action(step: Step, service: Service) -> Action:
    """The step as a saga's action: it raises where the step came to an answer that ends the endpoint."""
    act = sequence([step], service)

    async def do(context: Mapping[str, Any]) -> None:
        answer = await act(_exchange.get())
        if answer is not None:
            raise StatusError(answer)

    return do

