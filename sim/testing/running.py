"""Running the body of a test on simulated time."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from sim.kernel import Deadlock, SimLoop, SimulationError, loop
from sim.testing.lab import TEST

vars(loop)["__tracebackhide__"] = True  # pytest leaves the loop's own frames out of tracebacks: the reason is never found there


@contextmanager
def conducted(test: Callable[..., Any], loop: SimLoop) -> Iterator[Callable[..., None]]:
    """A plain function that does what *test* does. Where hypothesis draws the arguments, each example has a loop of its own."""
    hypothesis = getattr(test, "hypothesis", None)
    if hypothesis is not None and inspect.iscoroutinefunction(hypothesis.inner_test):
        inner, hypothesis.inner_test = hypothesis.inner_test, _in_new_loops(hypothesis.inner_test, loop.seed)
        try:
            yield test
        finally:
            hypothesis.inner_test = inner
        return
    function = test if inspect.iscoroutinefunction(test) else getattr(test, "__wrapped__", test)  # pytest-asyncio's auto mode wraps
    yield _in_loop(function, loop) if inspect.iscoroutinefunction(function) else _beside_loop(test, loop)


def _in_new_loops(function: Callable[..., Coroutine[Any, Any, Any]], seed: int) -> Callable[..., None]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        with SimLoop(seed) as loop:
            _in_loop(function, loop)(*args, **kwargs)

    return run


def _in_loop(function: Callable[..., Coroutine[Any, Any, Any]], loop: SimLoop) -> Callable[..., None]:
    """A plain function that runs the coroutine *function* on *loop*; an error that none of its tasks has handled fails it too."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        _conduct(lambda: loop.run_until_complete(loop.create_task(function(*args, **kwargs), name=TEST)), loop)

    return run


def _beside_loop(function: Callable[..., Any], loop: SimLoop) -> Callable[..., None]:
    """A plain function that runs *function*, whose own `asyncio.run` is on simulated time."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        with _simulated_loops(loop.seed):
            _conduct(lambda: function(*args, **kwargs), loop)

    return run


def fixture_in_loop(function: Callable[..., Any], loop: SimLoop) -> Callable[..., Any]:
    """A plain fixture that does what the coroutine or asynchronous generator *function* does, on *loop*."""

    @wraps(function)
    def value(*args: Any, **kwargs: Any) -> Any:
        return loop.run_until_complete(function(*args, **kwargs))

    @wraps(function)
    def values(*args: Any, **kwargs: Any) -> Iterator[Any]:
        generator = function(*args, **kwargs)
        yield loop.run_until_complete(anext(generator))
        loop.run_until_complete(anext(generator, None))

    return values if inspect.isasyncgenfunction(function) else value


def _conduct(body: Callable[[], object], loop: SimLoop) -> None:
    __tracebackhide__ = True
    try:
        body()
        loop.raise_unhandled()
    except (SimulationError, Deadlock) as error:  # its message says where it comes from; the way through the loop adds nothing
        raise error.with_traceback(None) from error.__cause__


@contextmanager
def _simulated_loops(seed: int) -> Iterator[None]:
    """Inside, every new event loop is a SimLoop. Policies are deprecated from Python 3.14 on, but nothing else reaches `asyncio.run`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)

        class Policy(asyncio.DefaultEventLoopPolicy):
            def new_event_loop(self) -> SimLoop:
                return SimLoop(seed)

        before = asyncio.get_event_loop_policy()
        asyncio.set_event_loop_policy(Policy())
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.set_event_loop_policy(before)
