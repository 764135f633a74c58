"""A run's tables as `.npz`: one array a column, and the names that its indices stand for. `numpy.load` reads them anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.telemetry.result import Names

PREFIX = "names_"  # of the arrays of names: `names_nodes[spans["node"]]`


def write(path: Path, rows: Any, names: Names) -> None:
    """Every column of the structured array *rows*, uncompressed: a million spans are written and read in a blink."""
    import numpy as np

    tables: dict[str, Any] = {PREFIX + key: np.array(value, dtype=str) for key, value in vars(names).items()}
    np.savez(path, **{name: rows[name] for name in rows.dtype.names}, **tables)


def read(path: Path) -> tuple[Any, Names]:
    """The rows as they were written, and the names."""
    import numpy as np

    from sim.telemetry.result import Names

    with np.load(path, allow_pickle=False) as archive:
        columns = {key: archive[key] for key in archive.files if not key.startswith(PREFIX)}
        names = {key.removeprefix(PREFIX): archive[key].tolist() for key in archive.files if key.startswith(PREFIX)}
    rows = np.empty(len(next(iter(columns.values()))), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    names["gauges"] = [tuple(gauge) for gauge in names["gauges"]]
    return rows, Names(**names)
