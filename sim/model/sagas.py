"""Sagas of service code: those of sim.resilience, with their steps and ends written into the events of the run."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from sim.resilience.policy import Policy
from sim.resilience.saga import Action, Context, Saga, SagaResult, Step
from sim.resilience.saga_log import SagaLog

if TYPE_CHECKING:
    from sim.model.instance import Instance

_saga_id: ContextVar[str] = ContextVar("saga_id", default="")


class RecordedSaga(Saga):
    """Written down: `saga.started`, `saga.step` and `saga.undo` with their start (seconds) and whether they succeeded, and how it ended."""

    def __init__(self, name: str, instance: Instance, **options: Any) -> None:
        super().__init__(name, **options)
        self._instance = instance

    def parallel(self, *steps: Step) -> Saga:
        return super().parallel(*map(self._told_step, steps))

    async def run(self, context: Context | None = None, log: SagaLog | None = None, compensation: Policy | None = None,
                  on_compensation_failure: Literal["continue", "stop"] = "continue", *, saga_id: str | None = None,
                  forward: Policy | None = None) -> SagaResult:
        saga_id = saga_id or (log.saga_id if log is not None else None) or self.name
        token = _saga_id.set(saga_id)
        self._instance.recorder.event("saga.started", saga=self.name, id=saga_id)
        try:
            result = await super().run(context, log, compensation, on_compensation_failure, saga_id=saga_id, forward=forward)
        finally:
            _saga_id.reset(token)
        self._instance.recorder.event(f"saga.{result.status}", saga=self.name, id=saga_id)
        return result

    def _told_step(self, step: Step) -> Step:
        undo = self._told("saga.undo", step.name, step.undo) if step.undo is not None else None
        return Step(step.name, self._told("saga.step", step.name, step.do), undo, step.kind, step.when)

    def _told(self, kind: str, step: str, act: Action) -> Action:
        recorder, env = self._instance.recorder, self._instance.env

        async def told(context: Context) -> Any:
            start, ok = env._now, False
            try:
                result = await act(context)
                ok = True
                return result
            finally:
                recorder.event(kind, saga=self.name, id=_saga_id.get(), step=step, start=start, ok=ok)

        return told
