"""The clocks that code under test reads for itself: `time.time()`, `datetime.now()`, `time.monotonic()` and their like.

A retry library stops after a delay, a breaker waits for its reset, a cache forgets after its ttl: many look at the wall
clock instead of the loop's. Inside `virtual_clock(loop)` they all read simulated time.

Wall clock and calendar (`time.time`, `datetime.now`, `date.today`, ...) are replaced by time-machine, which reaches every
reference to them, and in UTC, so that no answer depends on where the machine stands. It leaves the monotonic clocks alone;
these are replaced here, in the `time` module and wherever a module or the default of a parameter holds them already.

`time.sleep` would take real time and no simulated time, and what it does in a real service, where its event loop stands still with all
requests, cannot be simulated from within a function that is not a coroutine: where the loop runs it is refused, with what to write.

Only the thread that entered the block sees simulated time, and only outside of other event loops: a progress display's
thread, or a real asyncio loop beside the simulation, keep their clocks.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FunctionType
from typing import Any

from sim.kernel.loop import SimLoop
from sim.kernel.problems import NotSimulated

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # the calendar date of t=0, unless a run says otherwise
KEEP_REAL = frozenset({"sim", "reports", "cli", "rich", "pytest", "_pytest", "hypothesis", "execnet", "xdist"})  # they watch from outside


@dataclass(frozen=True)
class _Clock:
    loop: SimLoop
    epoch_ns: int
    offset: Callable[[], float]


_clocks: dict[int, list[_Clock]] = {}  # by thread, innermost block last
_lock = threading.Lock()
_undo: list[Callable[[], None]] = []


@contextmanager
def virtual_clock(loop: SimLoop, epoch: datetime = EPOCH, offset: Callable[[], float] = float) -> Iterator[None]:
    """Let this thread read *loop*'s time: monotonic clocks give `loop.time()`, the calendar gives *epoch* plus that plus *offset()*, the
    seconds by which the calendar of whoever asks is wrong (default: none).

    Blocks nest; everything is put back at the end, whatever happens. Enter it before the code under test is imported, then
    also what that code keeps in objects of its own (`self.clock = time.monotonic`) is covered.
    """
    if epoch.tzinfo is None:
        raise ValueError(f"epoch {epoch.isoformat()} has no time zone: write datetime(..., tzinfo=UTC)")
    thread = threading.get_ident()
    with _lock:
        if not _clocks:
            _install()
        _clocks.setdefault(thread, []).append(_Clock(loop, round(epoch.timestamp()) * 10**9 + epoch.microsecond * 1000, offset))
    try:
        yield
    finally:
        with _lock:
            _clocks[thread].pop()
            if not _clocks[thread]:
                del _clocks[thread]
            if not _clocks:
                _uninstall()


def _here() -> _Clock | None:
    """The clock that counts for whoever asks: of the loop that runs in this thread, or of the innermost block if none runs."""
    clocks = _clocks.get(threading.get_ident())
    if not clocks:
        return None
    running = asyncio._get_running_loop()
    if running is None:
        return clocks[-1]
    return next((clock for clock in reversed(clocks) if clock.loop is running), None)


def _simulated(real: Callable[[], Any], read: Callable[[_Clock], Any]) -> Callable[[], Any]:
    def clock() -> Any:
        here = _here()
        return real() if here is None else read(here)

    clock.__name__ = clock.__qualname__ = real.__name__
    return clock


def _seconds(clock: _Clock) -> float:
    return clock.loop.time()


def _nanoseconds(clock: _Clock) -> int:
    return round(clock.loop.time() * 1e9)


_real_sleep = time.sleep


def _sleep(seconds: float, /) -> None:
    here = _here()
    if here is not None and here.loop.is_running() and seconds > 0:
        raise NotSimulated("time.sleep", "in a real service its event loop would stand still with all requests; write "
                                         "`await asyncio.sleep(...)`, or `work` where it stands for a computation")
    _real_sleep(seconds)


_REPLACED: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (time.sleep, _sleep),
    (time.monotonic, _simulated(time.monotonic, _seconds)),
    (time.perf_counter, _simulated(time.perf_counter, _seconds)),
    (time.monotonic_ns, _simulated(time.monotonic_ns, _nanoseconds)),
    (time.perf_counter_ns, _simulated(time.perf_counter_ns, _nanoseconds)),
]
_STAND_INS = {id(real): stand_in for real, stand_in in _REPLACED}


def _install() -> None:
    try:
        _replace_calendar()
        for name, module in list(sys.modules.items()):
            root = name.partition(".")[0]
            if name == "time" or not (root in sys.stdlib_module_names or root in KEEP_REAL):
                _replace_monotonic(getattr(module, "__dict__", {}))
    except BaseException:
        _uninstall()
        raise


def _uninstall() -> None:
    while _undo:
        _undo.pop()()


def _replace_calendar() -> None:
    import time_machine  # only here: most runs need no calendar

    travel = time_machine.travel(EPOCH, tick=False)
    traveller = travel.start()
    _undo.append(travel.stop)

    def time_ns() -> int:
        here = _here()
        return time_machine.escape_hatch.time.time_ns() if here is None else here.epoch_ns + _nanoseconds(here) + round(here.offset() * 1e9)

    traveller.time_ns = time_ns  # type: ignore[method-assign]


def _replace_monotonic(namespace: MutableMapping[str, Any]) -> None:
    """Replace the clocks, and `sleep`, among a module's names, and among the defaults of its functions and methods."""
    values = list(namespace.items())
    if not any(value is time or id(value) in _STAND_INS for _, value in values):
        return
    for name, value in values:
        if id(value) in _STAND_INS:
            _replace_item(namespace, name)
        elif isinstance(value, FunctionType):
            _replace_defaults(value)
        elif isinstance(value, type):
            for method in list(vars(value).values()):
                if isinstance(method, FunctionType):
                    _replace_defaults(method)


def _replace_item(namespace: MutableMapping[str, Any], name: str) -> None:
    real = namespace[name]
    namespace[name] = _STAND_INS[id(real)]
    _undo.append(lambda: namespace.update({name: real}))


def _replace_defaults(function: FunctionType) -> None:
    real = function.__defaults__
    if real and any(id(value) in _STAND_INS for value in real):
        function.__defaults__ = tuple(_STAND_INS.get(id(value), value) for value in real)
        _undo.append(lambda: setattr(function, "__defaults__", real))
    for name, value in (function.__kwdefaults__ or {}).items():
        if id(value) in _STAND_INS:
            _replace_item(function.__kwdefaults__, name)  # type: ignore[arg-type]
