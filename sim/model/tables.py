"""The data that service code keeps in a database: tables of rows by key, changed all at once or not at all.

A statement is a function that is handed the tables when its time in the database is over. Nothing else runs in that instant, so
it sees and leaves a consistent state; if it raises, what it had changed is put back, and its caller gets the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
_ABSENT = object()


class Table(MutableMapping[Any, Any]):
    """Rows by key, in the order in which they were first written. Rows are replaced, never changed in place."""

    def __init__(self, name: str, changed: list[tuple[Table, Any, Any]]) -> None:
        self.name = name
        self._rows: dict[Any, Any] = {}
        self._changed = changed

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
        self._changed.append((self, key, self._rows.get(key, _ABSENT)))

    def put_back(self, key: Any, row: Any) -> None:
        """*row* is what was there before; part of no statement."""
        if row is _ABSENT:
            self._rows.pop(key, None)
        else:
            self._rows[key] = row


Change = tuple[str, Any, Any]  # table, key, and the row that is there now


class Tables:
    """All tables of a database: `tables["orders"][order_id] = row`. A table is there as soon as it is named."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._changed: list[tuple[Table, Any, Any]] = []  # by the statement that runs: what stood there before

    def __getitem__(self, name: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(name, self._changed)
        return table

    def get(self, name: str, default: Any = None) -> Any:
        """The table *name*, or *default* if nobody has named it yet."""
        return self._tables.get(name, default)

    def execute(self, run: Callable[[Tables], T]) -> T:
        """What *run* gives; if it raises, the tables are as they were."""
        self._changed.clear()
        try:
            return run(self)
        except BaseException:
            self._put_back()
            raise

    def read(self, run: Callable[[Tables], T]) -> T:
        """As `execute`, for a copy that takes no writes: raise ReadOnly if *run* has changed something."""
        result = self.execute(run)
        if self._changed:
            table = self._changed[0][0].name
            self._put_back()
            raise ReadOnly(table)
        return result

    def changes(self) -> list[Change]:
        """The rows that the last statement has left changed, for `apply` at a copy."""
        return [(table.name, key, table.get(key, _ABSENT)) for table, key, _ in self._changed]

    def apply(self, changes: Iterable[Change]) -> None:
        """Change rows as they were changed elsewhere."""
        for name, key, row in changes:
            self[name].put_back(key, row)

    def copy(self) -> Tables:
        """Tables with the same rows."""
        other = Tables()
        for name, table in self._tables.items():
            other.apply((name, key, row) for key, row in table.items())
        return other

    def _put_back(self) -> None:
        while self._changed:
            table, key, row = self._changed.pop()
            table.put_back(key, row)


class ReadOnly(Exception):
    """A statement that was sent as a read has changed something, and it ran where that cannot be."""

    def __init__(self, table: str) -> None:
        super().__init__(f"a read has written to the table {table!r}, and a copy takes no writes: send it with `write=True`")


class Failed(NamedTuple):
    """How a database answers a statement that raised."""

    error: Exception


class Statement(Generic[T]):
    """What service code sends to a database: *run*, which takes *time* seconds, or as long as the database says.

    It may say which *row* it writes, and then locks none. Where it has written the database sets its *position* in the log.
    """

    __slots__ = ("position", "row", "run", "time")

    def __init__(self, run: Callable[[Tables], T], time: float | None = None, row: str | None = None) -> None:
        self.run = run
        self.time = time
        self.row = row
        self.position = 0

    def execute(self, tables: Tables) -> T | Failed:
        """The statement's result; called by the database."""
        try:
            return tables.execute(self.run)
        except Exception as error:
            return Failed(error)

    def look(self, tables: Tables) -> T | Failed:
        """As `execute`, at a copy that takes no writes."""
        try:
            return tables.read(self.run)
        except Exception as error:
            return Failed(error)
