"""Which servers of a database a caller sends to: writes to the primary, reads to the replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.model.database import Database
    from sim.model.instance import Instance


class Primary:
    """The one that takes writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def reachable(self) -> Sequence[Instance]:
        """The primary, if it is there."""
        primary = self._database.primary
        return (primary,) if primary.up and primary.accepting else ()


class Readers:
    """The replicas that are there; the primary too where it is to share the reads, or where there is nobody else."""

    def __init__(self, database: Database, primary_too: bool) -> None:
        self._database, self._primary_too = database, primary_too
        self._all: Sequence[Instance] = ()
        self._primary: Instance | None = None
        self._seen: Sequence[Instance] = ()

    @property
    def reachable(self) -> Sequence[Instance]:
        """The same sequence as long as nothing has changed."""
        database = self._database
        if self._all is not database.reachable or self._primary is not database.primary:
            self._all, self._primary = database.reachable, database.primary
            replicas = tuple(server for server in self._all if server is not self._primary)
            self._seen = replicas if replicas and not self._primary_too else self._all
        return self._seen
