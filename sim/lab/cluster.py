"""The same function over many tasks on a Dask cluster: that of a scheduler, or one made here for the time being.

The workers need this project and the user's own code installed; a scheduler's address is what `dask scheduler` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, TypeVar

from sim.errors import InvalidInput

T = TypeVar("T")
R = TypeVar("R")
PATIENCE = 10  # seconds until a scheduler that does not answer is given up


def finished_on_dask(function: Callable[[T], R], tasks: Sequence[T], jobs: int, scheduler: str | None) -> Iterator[tuple[int, R]]:
    """(index, result) of each task as it is done, by the workers of *scheduler*, else by *jobs* of our own. *function* is one that
    another process can import. Raise InvalidInput where there is no Dask, or no scheduler.
    """
    try:
        distributed: Any = import_module("distributed")
    except ModuleNotFoundError:
        raise InvalidInput("--backend dask: Dask is not installed\n    pip install 'mesocosm[dask]', or leave the option out") from None
    with _client(distributed, jobs, scheduler) as client:
        waiting = {client.submit(function, task, pure=False): index for index, task in enumerate(tasks)}
        for future in distributed.as_completed(list(waiting)):
            yield waiting[future], future.result()


def _client(distributed: Any, jobs: int, scheduler: str | None) -> Any:
    if scheduler is None:
        return distributed.Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
    try:
        return distributed.Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no answer"
        cure = "write the address that `dask scheduler` prints, for example tcp://10.0.0.5:8786"
        raise InvalidInput(f"--scheduler {scheduler}: {reason}\n    {cure}") from None
