"""Saga: a business transaction over several services, without a lock: each step commits by itself, and can be undone until the pivot.

    reserve ──▶ charge (pivot) ──▶ ship (retriable) ──▶ completed
      ◀──undo──┘ fails                └──fails: again, then again ... ──▶ stuck (somebody has to look)
    compensated

A step is *compensatable* (it has an `undo`, or nothing to undo), the one *pivot* (the point of no return), or *retriable* (it has
to succeed in the end, and is never undone). If a step fails, those that were completed are undone, last one first. If nobody knows
whether it happened (a timeout, a broken connection), it is undone as well. So an `undo` must bear being called for something that never
happened, and both `do` and `undo` being called twice: after a crash the step that was under way is called again.

Sources: Garcia-Molina and Salem, Sagas, SIGMOD 1987; Richardson, Microservices Patterns, ch. 4; MassTransit Courier's events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .deadline import no_deadline
from .errors import AttemptTimeout, DeadlineExceeded, Rejected
from .events import Event, Listener, describe, tell
from .failures import status_of
from .policy import Policy
from .retry import Retry
from .saga_log import Entry, NoStore, Progress, SagaLog

Context = MutableMapping[str, Any]
Action = Callable[[Context], Awaitable[Any]]
Kind = Literal["compensatable", "pivot", "retriable"]
_ORDER = {"compensatable": 0, "pivot": 1, "retriable": 2}


@dataclass(frozen=True, kw_only=True)
class SagaEvent(Event):
    """Something that happened to *saga_id*; *kind* is that of its log entry, and completed, compensated or stuck at its end."""

    saga_id: str
    step: str | None = None
    error: str | None = None


class StepFailed(Exception):
    """What a step failed with in a run before this one, as the log has it."""


@dataclass(frozen=True)
class Step:
    """One step. *do* and *undo* are async and take the context; *when* says whether it is to be done at all."""

    name: str
    do: Action
    undo: Action | None = None
    kind: Kind = "compensatable"
    when: Callable[[Context], bool] | None = None


@dataclass(frozen=True)
class SagaResult:
    """How a run ended: completed, compensated (all is as before), or stuck (somebody has to look at what *parked* names)."""

    status: str
    error: Exception | None = None
    context: Context = field(default_factory=dict)
    completed: tuple[str, ...] = ()
    compensated: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()


def outcome_unknown(error: Exception) -> bool:
    """May the work have happened? Timeouts, connections that broke under way, 504; not what was refused before it was sent."""
    if isinstance(error, Rejected | ConnectionRefusedError) or (isinstance(error, DeadlineExceeded) and not error.sent):
        return False
    return isinstance(error, TimeoutError | ConnectionError) or status_of(error) == 504


class Saga:
    """A named sequence of steps; `step` and `parallel` return the saga, so that it reads as a list. One object serves many runs."""

    def __init__(self, name: str, *, on_event: Listener | None = None, unknown: Callable[[Exception], bool] = outcome_unknown) -> None:
        self.name = name
        self.on_event = on_event
        self.unknown = unknown
        self.stages: list[tuple[Step, ...]] = []

    def step(self, name: str, do: Action, undo: Action | None = None, kind: Kind = "compensatable", *,
             when: Callable[[Context], bool] | None = None) -> Saga:
        """Add a step after all others."""
        return self.parallel(Step(name, do, undo, kind, when))

    def parallel(self, *steps: Step) -> Saga:
        """Add steps that are done at the same time. If one fails, the others are undone once all of them have ended."""
        known = [step for stage in self.stages for step in stage]
        for step in steps:
            if step.name in {other.name for other in known}:
                raise ValueError(f"saga {self.name!r} has a step {step.name!r} already: the log tells steps by their names")
            if step.kind not in _ORDER:
                raise ValueError(f"step {step.name!r}: {step.kind!r} is no kind of step: compensatable, pivot or retriable")
            if any(_ORDER[step.kind] < _ORDER[other.kind] for other in known) or (step.kind == "pivot" and (len(steps) > 1 or self.pivot)):
                raise ValueError(f"step {step.name!r}: first come compensatable steps, then at most one pivot, by itself, then retriable "
                                 "steps; what may fail after the pivot cannot be undone: move it before the pivot, or make it retriable")
            known.append(step)
        self.stages.append(steps)
        return self

    @property
    def pivot(self) -> Step | None:
        """The point of no return, if there is one."""
        return next((step for stage in self.stages for step in stage if step.kind == "pivot"), None)

    async def run(self, context: Context | None = None, log: SagaLog | None = None, compensation: Policy | None = None,
                  on_compensation_failure: Literal["continue", "stop"] = "continue", *, saga_id: str | None = None,
                  forward: Policy | None = None) -> SagaResult:
        """Do all steps, or undo what was done; a *log* that has entries of this saga goes on where they end, with their context.

        *compensation* retries every `undo` (three attempts, if it is not given), *forward* every retriable `do` (as *compensation*).
        What still fails is parked; the other compensations go on, or stop. Failures of steps and of their `when` are returned and not
        raised; what the store raises, and a cancellation, come out at once and leave the saga as it is, to be resumed by another run.
        Without a log nothing is kept that could be resumed, and anything may be in the context.
        """
        log = SagaLog(NoStore()) if log is None else log
        undo_by = Retry(max_attempts=3) if compensation is None else compensation
        one = _Run(self, {} if context is None else context, log, saga_id or log.saga_id or self.name, undo_by, forward or undo_by)
        return await one.to_the_end(stop=on_compensation_failure == "stop")


class _Run:
    """One run of a saga: its log, its progress, its errors."""

    def __init__(self, saga: Saga, context: Context, log: SagaLog, saga_id: str, undo_by: Policy, forward: Policy) -> None:
        self.saga = saga
        self.context = context
        self.log = log
        self.saga_id = saga_id
        self.undo_by = undo_by
        self.forward = forward
        self.progress = Progress()
        self.errors: dict[str, Exception] = {}
        self.steps = {step.name: step for stage in saga.stages for step in stage}

    async def to_the_end(self, stop: bool) -> SagaResult:
        progress = self.progress
        for entry in await self.log.read(self.saga_id):
            progress.apply(entry)
        self.context.update(progress.context)
        if progress.status is None:
            if not progress.begun:
                await self._write("begun", saga=self.saga.name, context=dict(self.context))
            if not progress.backwards:
                await self._forwards()
            if progress.backwards:
                await self._backwards(stop)
            stuck = progress.at("step_stuck", "undo_failed")
            await self._write("ended", status="stuck" if stuck else "compensated" if progress.backwards else "completed")
        return self._result()

    async def _forwards(self) -> None:
        for stage in self.saga.stages:
            waiting = [step for step in stage if self.progress.steps.get(step.name, "step_begun") == "step_begun"]
            if len(waiting) == 1:
                await self._do(waiting[0])
            elif waiting:
                for ended in await asyncio.gather(*map(self._do, waiting), return_exceptions=True):
                    if ended is not None:  # not the step's own failure, which is in the log, but the log's
                        raise ended
            if self.progress.at("step_failed", "step_stuck"):
                return

    async def _do(self, step: Step) -> None:
        if step.name not in self.progress.steps:
            try:
                wanted = step.when is None or step.when(self.context)
            except Exception as error:  # it was not even begun, so there is nothing of it to undo
                await self._give_up(step, error, unknown=False)
                return
            if not wanted:
                await self._write("step_skipped", step)
                return
            await self._write("step_begun", step)
        try:
            if step.kind == "retriable":
                await self._insist(step)
            else:
                await step.do(self.context)
        except Exception as error:
            await self._failed(step, error)
        else:
            await self._write("step_done", step, context=dict(self.context))

    async def _failed(self, step: Step, error: Exception) -> None:
        unknown = self._unknown(error)
        if step.kind == "pivot" and unknown and step.undo is None:
            # it may be the point of no return already, and cannot be undone: only asking again can tell
            try:
                await self._insist(step)
            except Exception as again:
                error, unknown = again, self._unknown(again)
            else:
                await self._write("step_done", step, context=dict(self.context))
                return
        await self._give_up(step, error, unknown)

    async def _give_up(self, step: Step, error: Exception, unknown: bool) -> None:
        self.errors[step.name] = error
        stuck = step.kind == "retriable" or (step.kind == "pivot" and unknown and step.undo is None)
        if stuck:
            await self._write("step_stuck", step, error=describe(error))
        else:
            await self._write("step_failed", step, error=describe(error), unknown=unknown)

    def _unknown(self, error: Exception) -> bool:
        try:
            return self.saga.unknown(error)
        except Exception:  # who cannot tell does not know
            logging.getLogger(__name__).exception("saga %s cannot tell whether the work was done after %r", self.saga.name, error)
            return True

    async def _insist(self, step: Step) -> None:
        with no_deadline():  # there is no way back, so the caller's hurry is no reason to stop
            await self.forward(_attempt, step.do, self.context)

    async def _backwards(self, stop: bool) -> None:
        for name in self.progress.to_undo():
            if stop and self.progress.at("undo_failed"):
                return
            await self._undo(self.steps[name])

    async def _undo(self, step: Step) -> None:
        if step.undo is None:
            return
        if self.progress.steps[step.name] != "undo_begun":
            await self._write("undo_begun", step)
        try:
            with no_deadline():  # most often the deadline is the very reason for undoing
                await self.undo_by(_attempt, step.undo, self.context)
        except Exception as error:
            await self._write("undo_failed", step, error=describe(error))
        else:
            await self._write("undone", step, context=dict(self.context))

    async def _write(self, kind: str, step: Step | None = None, **fields: Any) -> None:
        entry: Entry = {"entry": kind, **({"step": step.name} if step is not None else {}), **fields}
        await self.log.append(self.saga_id, entry)
        self.progress.apply(entry)
        if self.saga.on_event is not None and kind not in ("step_begun", "undo_begun"):
            now, told = asyncio.get_running_loop().time(), fields.get("status", kind)
            tell(self.saga.on_event, SagaEvent(at=now, policy=self.saga.name, kind=told, saga_id=self.saga_id,
                                               step=step.name if step else None, error=fields.get("error")))

    def _result(self) -> SagaResult:
        progress = self.progress
        failed = progress.failed()
        error = None if failed is None else self.errors.get(failed) or StepFailed(f"{failed}: {progress.errors[failed]}")
        assert progress.status is not None
        return SagaResult(progress.status, error, self.context, tuple(progress.at("step_done")), tuple(progress.at("undone")),
                          tuple(progress.at("undo_failed", "step_stuck")))


async def _attempt(action: Action, context: Context) -> None:
    """One of several attempts: a deadline inside it is its own and no reason to give up, as it would be for a call."""
    try:
        await action(context)
    except DeadlineExceeded as error:
        raise AttemptTimeout(str(error)) from error
