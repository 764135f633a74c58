"""The data that service code keeps in a database: tables of rows by key, changed all at once or not at all.

A statement is a function that is handed the tables when its time in the database is over. Nothing else runs in that instant, so
it sees and leaves a consistent state; if it raises, what it had changed is put back, and its caller gets the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
_ABSENT = object()


class Table(MutableMapping[Any, Any]):
    """Rows by key, in the order in which they were first written. Rows are replaced, never changed in place."""

    def __init__(self, undo: list[Callable[[], None]]) -> None:
        self._rows: dict[Any, Any] = {}
        self._undo = undo

    def __getitem__(self, key: Any) -> Any:
        return self._rows[key]

    def __setitem__(self, key: Any, row: Any) -> None:
        self._remember(key)
        self._rows[key] = row

    def __delitem__(self, key: Any) -> None:
        self._remember(key)
        del self._rows[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def get(self, key: Any, default: Any = None) -> Any:
        """The row at *key*, or *default*."""
        return self._rows.get(key, default)

    def _remember(self, key: Any) -> None:
        row = self._rows.get(key, _ABSENT)
        self._undo.append((lambda: self._rows.pop(key, None)) if row is _ABSENT else (lambda: self._rows.__setitem__(key, row)))


class Tables:
    """All tables of a database: `tables["orders"][order_id] = row`. A table is there as soon as it is named."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._undo: list[Callable[[], None]] = []

    def __getitem__(self, name: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(self._undo)
        return table

    def execute(self, run: Callable[[Tables], T]) -> T:
        """What *run* gives; if it raises, the tables are as they were."""
        self._undo.clear()
        try:
            return run(self)
        except BaseException:
            while self._undo:
                self._undo.pop()()
            raise
        finally:
            self._undo.clear()


class Failed(NamedTuple):
    """How a database answers a statement that raised."""

    error: Exception


class Statement(Generic[T]):
    """What service code sends to a database: *run*, which takes *time* seconds, or as long as the database says."""

    __slots__ = ("run", "time")

    def __init__(self, run: Callable[[Tables], T], time: float | None = None) -> None:
        self.run = run
        self.time = time

    def execute(self, tables: Tables) -> T | Failed:
        """The statement's result; called by the database."""
        try:
            return tables.execute(self.run)
        except Exception as error:
            return Failed(error)
