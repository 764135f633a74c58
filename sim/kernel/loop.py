"""SimLoop: an asyncio event loop whose clock and timer queue are a `simpy.Environment`.

    time stands still  ──▶ run what is due now, first scheduled first run ──▶ nothing due: jump to the next time in the queue

How something gets into the queue is in schedule.py; here is how it is taken out and run, what becomes of tasks and of errors,
and how it all ends.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from heapq import heappop
from itertools import count
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import simpy

from sim.kernel.problems import Deadlock, Failure, SimulationError, failing_task, source_name
from sim.kernel.refused import refuse
from sim.kernel.schedule import Schedule
from sim.kernel.tasks import InOrder, NumberedTask, complete_in_order
from sim.kernel.threads import run_worker_threads_inline
from sim.kernel.timers import Timer

T = TypeVar("T")
new_task, init_task = NumberedTask.__new__, NumberedTask.__init__
FOREVER = sys.float_info.max  # seconds: what is due later than this, at infinity, never happens
GRACE = 60.0  # simulated seconds that cancelled tasks have for their cleaning up when the loop is closed


class SimLoop(Schedule):
    """An asyncio loop on simulated time, in seconds from *start*. *seed* is only named in error messages.

    An error that nobody handles ends the run as a SimulationError, unless a handler of the user's own was set, or the code in which it
    came up has an owner (*owner_of* gives that of a coroutine or callback, in the context that is to run it): then it is kept for
    `take_failures`. A handler that such code sets is for its own errors alone, those of all owners with the same `process`. When nothing
    is scheduled any more and the run is not over, it ends as a Deadlock.

    >>> with SimLoop(seed=1) as loop:
    ...     loop.run_until_complete(asyncio.sleep(3600, "costs nothing"))
    ...     loop.time()
    'costs nothing'
    3600.0
    """

    def __init__(self, seed: int = 0, start: float = 0.0) -> None:
        super().__init__(start)
        self.seed = seed
        self._failure: SimulationError | None = None
        self._kept: dict[int, NumberedTask] = {}  # by number: asyncio itself holds its tasks only weakly
        self._failed: WeakValueDictionary[int, NumberedTask] = WeakValueDictionary()  # by number, in the order of their failures
        self._failures: list[Failure] = []
        self.owner_of: Callable[[Any], Any] | None = None
        self.handlers: dict[Any, Callable[[Any, dict[str, Any]], object]] = {}  # by process, those that its own code has set
        self._task_numbers = count(1)
        self._asyncgens = InOrder()
        self._until = FOREVER
        self.steps = 0
        self._stopping = False

    def __enter__(self) -> SimLoop:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.raise_unhandled()
        finally:
            self.close()

    # running

    def run_until(self, until: float) -> None:
        """Run everything that is due before or at *until* seconds, and leave the clock there. Waiting tasks are no deadlock."""
        if not until >= self.env._now:
            raise ValueError(f"cannot run until t={until:g}s: it is t={self.env._now:g}s already")
        self._until = float(until)
        try:
            self.run_forever()
        finally:
            self._until = FOREVER

    def run_until_complete(self, future: Awaitable[T]) -> T:  # type: ignore[override]
        """Run until *future* is done and return its result. An error it raises comes out as it is, with time and seed as a note."""
        try:
            return super().run_until_complete(future)
        except (SimulationError, Deadlock):
            raise
        except Exception as error:
            error.add_note(f"at t={self.env._now:g}s of the simulation, seed {self.seed}")
            raise

    def _run_once(self) -> None:  # BaseEventLoop.run_forever calls this until `_stopping`; here it is the whole run
        run_worker_threads_inline()
        while self._failure is None and not self._stopping:
            self._run_events()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self._stopping = True

    def _run_events(self) -> None:
        env, queue, due = self.env, self._queue, self._due
        popleft, until = due.popleft, self._until
        when = now = env._now
        callback: Any = None
        event: Any = None
        steps = 0
        try:
            while not self._stopping:
                if due and (not queue or queue[0][0] > now):
                    event = popleft()
                elif queue and queue[0][0] <= until:
                    when, _, _, event = heappop(queue)  # the clock follows only if there is something to run
                elif until < FOREVER:
                    env._now = until
                    self._stopping = True
                    break
                else:
                    raise Deadlock(asyncio.all_tasks(self), now, self.seed)
                steps += 1
                kind = type(event)
                if kind is Timer:
                    callback = event.callback
                    if callback is None:
                        self.dead = max(0, self.dead - 1)
                        continue
                    if when > now:
                        env._now = now = when
                    event.callback = None
                    if event.context is None:
                        callback(*event.args)
                    else:
                        event.context.run(callback, *event.args)
                elif kind is Future:
                    if not event.done():
                        if when > now:
                            env._now = now = when
                        event.set_result(None)
                elif kind is tuple:
                    if when > now:
                        env._now = now = when
                    callback = event[0]
                    callback(*event[1])
                else:
                    if when > now:
                        env._now = now = when
                    self._run_simpy(event)
                event = callback = None  # a task that failed and that nothing else holds is found now, not with the next event
        except (KeyboardInterrupt, Deadlock, SimulationError):
            raise
        except BaseException as error:
            source = event if isinstance(event, simpy.Event) else callback
            context = event.context if type(event) is Timer else None
            if isinstance(error, SystemExit):
                if self._owner(source, context) is None:
                    raise
                if isinstance(getattr(source, "__self__", None), asyncio.Task):
                    return  # the task has failed with it, and that is told
            found = {"message": f"unhandled error in {source_name(source)}", "exception": error, "source": source}
            if context is None:
                self.call_exception_handler(found)
            else:
                context.run(self.call_exception_handler, found)
        finally:
            self.steps += steps

    @staticmethod
    def _run_simpy(event: simpy.Event) -> None:
        callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
        for callback in callbacks:
            callback(event)
        if not event._ok and not hasattr(event, "_defused"):
            raise event._value

    # errors

    def set_exception_handler(self, handler: Any) -> None:
        """As in asyncio. Code that has an owner believes that it is alone on its loop: it takes its own errors, and nobody else's."""
        owner = self._owner(handler)
        if owner is None:
            super().set_exception_handler(handler)
        elif handler is None:
            self.handlers.pop(_process(owner), None)
        elif callable(handler):
            self.handlers[_process(owner)] = handler
        else:
            raise TypeError(f"a callable object or None is expected, got {handler!r}")

    def get_exception_handler(self) -> Any:
        """As in asyncio: the one that was set, by code that has an owner its own."""
        owner = self._owner(None)
        return super().get_exception_handler() if owner is None else self.handlers.get(_process(owner))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio calls for an error that nobody took: a handler that its owner has set takes it, else one that was set for the whole
        loop, else `default_exception_handler`."""
        source = failing_task(_source(context))
        handler = self.handlers.get(_process(self._owner(source))) if self.handlers else None
        if handler is None:
            super().call_exception_handler(context)
            return
        try:
            handler(self, context)
        except Exception as error:
            self._keep(source, error)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """An error that nobody took is kept for the owner of its code, or ends the run.

        One that comes up while the loop stands still ends the next run, or leaves the `with` block.
        """
        error = context.get("exception") or RuntimeError(context.get("message", "unknown"))
        source = _source(context)
        if self._keep(failing_task(source), error):
            return
        at = getattr(source, "failed", self.env._now)
        if self._failure is None and not self.is_closed():
            self._failure = SimulationError(error, at, source_name(source), self.seed)
            self._failure.__cause__ = error
        if self.is_running():
            self._stopping = True

    def raise_unhandled(self) -> None:
        """Raise SimulationError for an error that nobody has taken yet, also of a task that is still referred to."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        for task in list(self._failed.values()):
            if task.owner is None and task._log_traceback and (error := task.exception()) is not None:
                raise SimulationError(error, task.failed, task.get_name(), self.seed) from error

    def take_failures(self, *, held: bool) -> list[Failure]:
        """Errors that nobody handled in code that has an owner, in the order in which they came up, and each of them once.

        Who awaits a task later handles its error, so that it counts once nobody can any more; those of tasks that are still *held* by
        someone count too where nothing runs from here on. So it is the same whenever Python collects its garbage.
        """
        for task in list(self._failed.values()) if held else ():
            if task.owner is not None and task._log_traceback and (error := task.exception()) is not None:
                self._keep(task, error)
        failures, self._failures = self._failures, []
        return sorted(failures, key=lambda failure: failure[:2])

    def _keep(self, source: Any, error: BaseException) -> bool:
        """Keep the *error* for the owner of *source*, if it has one."""
        owner = self._owner(source)
        if owner is not None:
            at = getattr(source, "failed", self.env._now)
            self._failures.append(Failure(at, getattr(source, "number", 0), owner, f"{type(error).__name__}: {error}"))
        return owner is not None

    def _owner(self, source: Any, context: Context | None = None) -> Any:
        if self.owner_of is None or type(source) is NumberedTask:
            return getattr(source, "owner", None)
        return self.owner_of(source) if context is None else context.run(self.owner_of, source)

    # tasks

    def create_task(self, coro: Any, *, name: Any = None, context: Context | None = None) -> asyncio.Task[Any]:
        self._check_closed()  # type: ignore[attr-defined]
        if self.get_task_factory() is not None:
            return super().create_task(coro, name=name, context=context)
        task = new_task(NumberedTask)
        task.number = number = next(self._task_numbers)
        task.owner = None if self.owner_of is None else self._owner(coro, context)
        init_task(task, coro, loop=self, name=name or f"Task-{number}", context=context)
        self._kept[number] = task
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: NumberedTask) -> None:
        del self._kept[task.number]
        if task._log_traceback:  # it failed, and so far nobody has asked why
            task.failed = self.env._now
            self._failed[task.number] = task

    def running(self) -> list[NumberedTask]:
        """The tasks that are not done, in the order in which they were started; without those of `spawn`."""
        return [task for task in self._kept.values() if not task.done()]

    def spawn(self, coro: Coroutine[Any, Any, T], name: str, context: Context | None = None) -> asyncio.Task[T]:
        """A task that its caller keeps a reference to: `create_task` without the book-keeping."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    get_debug = staticmethod(bool)  # False, and asked for each future and task: from C, since that is the cheapest way to say no

    def create_future(self) -> Future[Any]:
        return Future(loop=self)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> Future[T]:  # type: ignore[override]
        """Run *func* here and now, in no simulated time; threads would bring real time in."""
        future: Future[T] = Future(loop=self)
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        try:
            return future
        finally:
            del future  # its error refers to this frame: together they would be garbage, found by the collector whenever it comes

    # SimPy and asyncio side by side

    def as_event(self, awaitable: Awaitable[Any]) -> simpy.Event:
        """A SimPy event for a SimPy process to wait for, that happens when *awaitable* is done."""
        event = self.env.event()
        future = asyncio.ensure_future(awaitable, loop=self)

        def settle(done: Future[Any]) -> None:
            if done.cancelled():
                event.fail(asyncio.CancelledError())  # type: ignore[arg-type]
            elif (error := done.exception()) is not None:
                event.fail(error)  # type: ignore[arg-type]
            else:
                event.succeed(done.result())

        future.add_done_callback(settle)
        return event

    # the end

    def close(self) -> None:
        """Cancel what still runs, in the order in which it was started, give it GRACE seconds to clean up, and close.

        Timers and SimPy's events of the future are dropped: nothing new begins. Errors while cleaning up are dropped too.
        """
        if self.is_running():
            raise RuntimeError("cannot close a running loop")
        if self.is_closed():
            return
        try:
            if asyncio._get_running_loop() is None:
                self._finish_tasks()
        finally:
            self._queue.clear()
            self._due.clear()
            super().close()

    def _finish_tasks(self) -> None:
        self.handlers.clear()
        self.set_exception_handler(lambda loop, context: None)
        self._failure = None
        self._queue.clear()
        for _ in range(3):  # a task that is cancelled may start others
            left: list[asyncio.Task[Any]] = list(self.running())
            left += sorted(asyncio.all_tasks(self) - set(left), key=asyncio.Task.get_name)
            if not left:
                break
            for task in left:
                task.cancel()
            self.run_until_complete(asyncio.wait(left, timeout=GRACE))
        if self._asyncgens:
            self.run_until_complete(self.shutdown_asyncgens())

    def __del__(self) -> None:
        if not self.is_closed():
            warnings.warn(f"unclosed {self!r}: write `with SimLoop() as loop:`", ResourceWarning, stacklevel=1, source=self)
            super().close()  # without running anything: who knows in the middle of what this loop was collected


def _source(context: dict[str, Any]) -> Any:
    """What an error came up in, of which asyncio tells in that *context*."""
    return context.get("task") or context.get("future") or context.get("source")


def _process(owner: Any) -> Any:
    return getattr(owner, "process", owner)


refuse(SimLoop)
complete_in_order(SimLoop)
