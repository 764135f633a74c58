"""SimLoop: an asyncio event loop whose clock and timer queue are a `simpy.Environment`.

    time stands still  ──▶ run what is due now, first scheduled first run ──▶ nothing due: jump to the next time in the queue

Three things can stand in SimPy's queue: a `Timer` (asyncio's `call_at`), an `asyncio.Future` (`sleep`: it is given its
result when its time comes), and SimPy's own events. What is due at the current time and was asked for at the current
time is kept in a plain deque instead, since a heap is not needed to keep order there.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar

import simpy
from simpy.events import NORMAL

from sim.kernel.problems import Deadlock, NotSimulated, SimulationError
from sim.kernel.threads import run_worker_threads_inline
from sim.kernel.timers import Timer

T = TypeVar("T")
COMPACT_ABOVE = 64  # dead timers; below that a rebuild costs more than it frees


class Environment(simpy.Environment):
    """SimPy's environment; events without delay go to the loop's deque, in the order in which they were asked for."""

    def __init__(self, ready: deque[Any], initial_time: float) -> None:
        super().__init__(initial_time)
        self._ready = ready

    def schedule(self, event: simpy.Event, priority: Any = NORMAL, delay: float = 0) -> None:
        if delay == 0 and priority == NORMAL:
            self._ready.append(event)
        else:
            super().schedule(event, priority, delay)


class SimLoop(asyncio.BaseEventLoop):
    """An asyncio loop on simulated time, in seconds from *start*. *seed* is only named in error messages.

    with SimLoop(seed=1) as loop:
        loop.run_until_complete(main())     # `await asyncio.sleep(3600)` in there costs nothing
        loop.time()
    """

    def __init__(self, seed: int = 0, start: float = 0.0) -> None:
        super().__init__()
        self.seed = seed
        self._due: deque[Any] = deque()
        self.env = Environment(self._due, start)
        self._queue: list[tuple[float, int, int, Any]] = self.env._queue
        self._number = self.env._eid.__next__
        self._dead = 0
        self._failure: SimulationError | None = None
        self._kept: dict[asyncio.Task[Any], None] = {}  # asyncio itself holds its tasks only weakly
        self._until = math.inf
        self.steps = 0
        self._stopping = False

    def __enter__(self) -> SimLoop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # time and timers

    def time(self) -> float:
        """Simulated seconds."""
        return self.env._now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        timer = Timer(callback, args, context if context is not None else copy_context(), self.env._now, self)
        self._due.append(timer)
        return timer

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.env._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        timer = Timer(callback, args, context if context is not None else copy_context(), when, self)
        if when > self.env._now:
            heapq.heappush(self._queue, (when, NORMAL, self._number(), timer))
        else:
            self._due.append(timer)
        return timer

    def after(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        """As `call_later`, for the simulation's own callbacks: no context variables are kept for it."""
        when = self.env._now + delay
        timer = Timer(callback, args, None, when, self)
        if delay > 0:
            heapq.heappush(self._queue, (when, NORMAL, self._number(), timer))
        else:
            self._due.append(timer)
        return timer

    def sleep(self, delay: float) -> Future[None]:
        """A future that is done after *delay* seconds; what `asyncio.sleep` does, with less in between."""
        future: Future[None] = Future(loop=self)
        if delay > 0:
            heapq.heappush(self._queue, (self.env._now + delay, NORMAL, self._number(), future))
        else:
            self._due.append(future)
        return future

    def _timer_died(self) -> None:
        self._dead += 1
        if self._dead > COMPACT_ABOVE and self._dead * 2 > len(self._queue):
            self._queue[:] = [entry for entry in self._queue if type(entry[3]) is not Timer or entry[3].callback is not None]
            heapq.heapify(self._queue)
            self._dead = 0

    # running

    def run_until(self, until: float) -> None:
        """Run everything that is due before or at *until* seconds, and leave the clock there. Waiting tasks are no deadlock."""
        self._until = until
        try:
            self.run_forever()
        finally:
            self._until = math.inf

    def _run_once(self) -> None:  # BaseEventLoop.run_forever calls this until `_stopping`; here it is the whole run
        run_worker_threads_inline()
        env, queue, due = self.env, self._queue, self._due
        pop, popleft, until = heapq.heappop, due.popleft, self._until
        now = env._now
        steps = 0
        try:
            while not self._stopping:
                if due and (not queue or queue[0][0] > now):
                    event = popleft()
                elif queue and queue[0][0] <= until:
                    when, _, _, event = pop(queue)
                    if when > now and not (type(event) is Timer and event.callback is None):
                        env._now = now = when
                elif until < math.inf:
                    env._now = max(now, until)
                    break
                else:
                    raise Deadlock(asyncio.all_tasks(self), now)
                steps += 1
                kind = type(event)
                if kind is Timer:
                    callback = event.callback
                    if callback is None:
                        self._dead = max(0, self._dead - 1)
                        continue
                    event.callback = None
                    if event.context is None:
                        callback(*event.args)
                    else:
                        event.context.run(callback, *event.args)
                elif kind is Future:
                    if not event.done():
                        event.set_result(None)
                else:
                    self._run_simpy(event)
        except (SystemExit, KeyboardInterrupt, Deadlock, SimulationError):
            raise
        except BaseException as error:
            raise self._unhandled(error, "a callback") from error
        finally:
            self.steps += steps
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self._stopping = True

    @staticmethod
    def _run_simpy(event: simpy.Event) -> None:
        callbacks, event.callbacks = event.callbacks, None
        for callback in callbacks:
            callback(event)
        if not event._ok and not hasattr(event, "_defused"):
            raise event._value

    def _unhandled(self, error: BaseException, task: str) -> SimulationError:
        return SimulationError(error, self.env._now, task, self.seed)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio calls for an error that nobody took: it ends the run, unless a handler of the user's own was set."""
        if self.get_exception_handler() is not None:
            super().call_exception_handler(context)
            return
        error = context.get("exception") or RuntimeError(context.get("message", "unknown"))
        source = context.get("task") or context.get("future")
        name = source.get_name() if isinstance(source, asyncio.Task) else "a callback"
        failure = self._unhandled(error, name)
        failure.__cause__ = error
        if self._failure is None:
            self._failure = failure
        self._stopping = True

    # tasks

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._kept[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._kept.pop(task, None)

    def spawn(self, coro: Coroutine[Any, Any, T], name: str, context: Context | None = None) -> asyncio.Task[T]:
        """A task that its caller keeps a reference to: `create_task` without the book-keeping."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def create_future(self) -> Future[Any]:
        return Future(loop=self)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> Future[T]:
        """Run *func* here and now, in no simulated time; threads would bring real time in."""
        future: Future[T] = Future(loop=self)
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    # SimPy and asyncio side by side

    def as_event(self, awaitable: Awaitable[Any]) -> simpy.Event:
        """A SimPy event for a SimPy process to wait for, that happens when *awaitable* is done."""
        event = self.env.event()
        future = asyncio.ensure_future(awaitable, loop=self)

        def settle(done: Future[Any]) -> None:
            if done.cancelled():
                event.fail(asyncio.CancelledError())
            elif (error := done.exception()) is not None:
                event.fail(error)
            else:
                event.succeed(done.result())

        future.add_done_callback(settle)
        return event

    def close(self) -> None:
        """Cancel what still runs, in the order in which it was started, let it finish, and close."""
        if self.is_closed():
            return
        left = [task for task in self._kept if not task.done()]
        for task in left:
            task.cancel()
        if left and not self.is_running():
            self.set_exception_handler(lambda loop, context: None)
            self.run_until_complete(asyncio.wait(left, timeout=1e9))
        self._queue.clear()
        self._due.clear()
        super().close()


def _refusal(name: str) -> Any:
    def refuse(self: SimLoop, *args: Any, **kwargs: Any) -> Any:
        raise NotSimulated(name)

    return refuse


for _name in (
    "create_connection create_server create_unix_connection create_unix_server create_datagram_endpoint connect_accepted_socket "
    "sendfile start_tls sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendto sock_connect sock_accept "
    "sock_sendfile add_reader remove_reader add_writer remove_writer connect_read_pipe connect_write_pipe subprocess_exec subprocess_shell "
    "add_signal_handler remove_signal_handler getaddrinfo getnameinfo"
).split():
    setattr(SimLoop, _name, _refusal(_name))


def _await_event(event: simpy.Event) -> Any:
    """Lets asyncio code `await` any SimPy event: a timeout, a request of a resource, a process."""
    if event.callbacks is None:  # has already happened
        if not event._ok:
            event.defused()
            raise event._value
        return event._value
    future = asyncio.get_running_loop().create_future()

    def settle(happened: simpy.Event) -> None:
        if not happened._ok:
            happened._defused = True
        if future.done():
            return
        if happened._ok:
            future.set_result(happened._value)
        else:
            future.set_exception(happened._value)

    event.callbacks.append(settle)
    return (yield from future)


simpy.Event.__await__ = _await_event  # SimPy's events have no `__await__` of their own
