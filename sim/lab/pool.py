"""The same function over many tasks, in this process or in several; what comes out does not depend on their number."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

Crew = Callable[[Callable[[T], R], Sequence[T]], Iterator[tuple[int, R]]]  # applies a function to all tasks, here or elsewhere


def processes(jobs: int) -> ProcessPoolExecutor:
    """A pool of that many. Its processes end at once when the pool tells them to, by SIGTERM, whatever that does in this program."""
    return ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=(signal.SIGTERM, signal.SIG_DFL))


def finished(function: Callable[[T], R], tasks: Sequence[T], jobs: int) -> Iterator[tuple[int, R]]:
    """(index, result) of each task as it is done, in up to *jobs* processes. *function* is one that another process can import."""
    if jobs <= 1 or len(tasks) <= 1:
        for index, task in enumerate(tasks):
            yield index, function(task)
        return
    with processes(min(jobs, len(tasks))) as pool:
        waiting = {pool.submit(function, task): index for index, task in enumerate(tasks)}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
