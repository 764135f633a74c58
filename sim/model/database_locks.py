"""Locks on rows: shared for reading, exclusive for writing, held until the transaction ends.

Who cannot have a lock waits in line, first come, first served. If the one who would wait is waited for by the one it would wait for,
over any number of others, that is a deadlock: it fails at once, and the others go on. Without detection it takes *timeout* for one
of them to give up. Source: InnoDB; it also lets the one fail that has done less, which makes no difference here.

A blocker is somebody who has locks and does not let go, for faults. It is first in line for each row that it covers, from when somebody
wants it; a statement that locks no row waits for the blocker itself, as for a lock on the table.
"""

from __future__ import annotations

from asyncio import Future
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim.model.waits import Waits

if TYPE_CHECKING:
    from sim.kernel import SimLoop


class LockTimeout(Exception):
    """The lock did not come in time."""


class Deadlock(Exception):
    """To wait for this lock would be to wait for ever."""


@dataclass(eq=False)
class Waiter:
    """*owner* wants the lock."""

    owner: Any
    exclusive: bool
    granted: Future[None]


@dataclass
class Lock:
    """Who has the lock of one row (True: exclusively), and who waits for it."""

    holders: dict[Any, bool] = field(default_factory=dict)
    waiters: OrderedDict[int, Waiter] = field(default_factory=OrderedDict)

    def free_for(self, owner: Any, exclusive: bool) -> bool:
        """Nobody else has it in a way that keeps *owner* out."""
        return all(other is owner or not (exclusive or held) for other, held in self.holders.items())


@dataclass(eq=False)
class Blocker:
    """*name* is unlike any other and no row's. *covers(key, writes)*: a statement about the row *key*, if there is one, meets its locks."""

    name: str
    covers: Callable[[str | None, bool], bool]


class LockTable:
    """All row locks of one database server. An owner is a transaction, or a statement by itself."""

    def __init__(self, loop: SimLoop, timeout: float, detects: bool) -> None:
        self._loop, self.timeout, self.detects = loop, timeout, detects
        self._locks: dict[str, Lock] = {}
        self._held: dict[Any, dict[str, None]] = {}  # by owner
        self._waiting: dict[Any, str] = {}  # by owner, the key
        self.blockers: list[Blocker] = []
        self.waits = self.timeouts = self.deadlocks = 0
        self.ended_waits = Waits()

    async def acquire(self, owner: Any, key: str, exclusive: bool) -> None:
        """Wait for the lock on *key*; raise LockTimeout or Deadlock."""
        lock = self._locks.setdefault(key, Lock())
        held = lock.holders.get(owner)
        if held is not None and (held or not exclusive):
            return
        if lock.free_for(owner, exclusive) and (held is not None or not lock.waiters):
            self._grant(lock, owner, key, exclusive)
            return
        self.waits += 1
        waiter = Waiter(owner, exclusive, Future(loop=self._loop))
        lock.waiters[id(waiter)] = waiter
        if held is not None:  # it has the lock for reading and wants to write: nobody else can go first
            lock.waiters.move_to_end(id(waiter), last=False)
        self._waiting[owner] = key
        await self._wait(lock, waiter, key)

    async def _wait(self, lock: Lock, waiter: Waiter, key: str) -> None:
        began = self._loop.time()
        timer = None
        try:
            if self.detects and self._goes_round(waiter.owner):
                self.deadlocks += 1
                raise Deadlock(key)
            timer = self._loop.call_at(began + self.timeout, self._give_up, waiter)
            await waiter.granted
        except BaseException:
            if lock.waiters.pop(id(waiter), None) is not None:
                self._serve(lock, key)
            elif waiter.owner in lock.holders:  # it came in the instant in which who waited was cancelled
                self._release_one(waiter.owner, key)
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._waiting.pop(waiter.owner, None)
            self.ended_waits.add(began, self._loop.time())

    def _give_up(self, waiter: Waiter) -> None:
        if not waiter.granted.done():
            self.timeouts += 1
            waiter.granted.set_exception(LockTimeout())

    def _goes_round(self, owner: Any) -> bool:
        """Somebody whom *owner* waits for, over any number of others, waits for *owner*."""
        seen: dict[Any, None] = {}
        pending = [owner]
        while pending:
            for other in self._in_the_way_of(pending.pop()):
                if other is owner:
                    return True
                if other not in seen:
                    seen[other] = None
                    pending.append(other)
        return False

    def _in_the_way_of(self, owner: Any) -> list[Any]:
        key = self._waiting.get(owner)
        if key is None:
            return []
        lock = self._locks[key]
        mine = next(waiter for waiter in lock.waiters.values() if waiter.owner is owner)
        found = [other for other, held in lock.holders.items() if other is not owner and (mine.exclusive or held)]
        for waiter in lock.waiters.values():
            if waiter is mine:
                break
            found.append(waiter.owner)
        return found

    def _grant(self, lock: Lock, owner: Any, key: str, exclusive: bool) -> None:
        lock.holders[owner] = exclusive or lock.holders.get(owner, False)
        self._held.setdefault(owner, {})[key] = None

    def release(self, owner: Any) -> None:
        """All that *owner* has goes to those who wait."""
        for key in list(self._held.get(owner, ())):
            self._release_one(owner, key)

    def _release_one(self, owner: Any, key: str) -> None:
        held = self._held[owner]
        del held[key]
        if not held:
            del self._held[owner]
        lock = self._locks[key]
        lock.holders.pop(owner, None)
        self._serve(lock, key)

    def _serve(self, lock: Lock, key: str) -> None:
        while lock.waiters:
            first = next(iter(lock.waiters.values()))
            if first.granted.done() or not lock.free_for(first.owner, first.exclusive):
                break
            del lock.waiters[id(first)]
            self._waiting.pop(first.owner, None)  # now, and not when it runs: somebody may look for deadlocks in this instant
            self._grant(lock, first.owner, key, first.exclusive)
            first.granted.set_result(None)
        if not lock.holders and not lock.waiters:
            self._locks.pop(key, None)

    # those who do not let go

    def block(self, blocker: Blocker) -> None:
        """From now on *blocker* has what it covers, and what others have as soon as they let go."""
        self.blockers.append(blocker)
        self._grant(self._locks.setdefault(blocker.name, Lock()), blocker, blocker.name, True)

    def unblock(self, blocker: Blocker) -> None:
        """It lets go of everything, unless it has been made to already."""
        if blocker not in self.blockers:
            return
        self.blockers.remove(blocker)
        for key, lock in list(self._locks.items()):
            for number in [number for number, waiter in lock.waiters.items() if waiter.owner is blocker]:
                del lock.waiters[number]
                self._serve(lock, key)
        self.release(blocker)

    def unblock_rows(self, blocker: Blocker, keeps: Callable[[str], bool]) -> None:
        """It lets go of the rows that it no longer *keeps*."""
        for key in [key for key in self._held.get(blocker, ()) if key != blocker.name and not keeps(key)]:
            self._release_one(blocker, key)

    def unblock_all(self) -> None:
        """The server, or its part in a cluster, has ended: so have all who were connected to it."""
        for blocker in list(self.blockers):
            self.unblock(blocker)

    async def pass_blockers(self, owner: Any, key: str | None, writes: bool) -> None:
        """*owner* is about to run a statement: those who cover it take its row, or it waits for them; raise LockTimeout."""
        met = [blocker for blocker in self.blockers if blocker.covers(key, writes)]
        for blocker in met:
            if writes and key is not None:
                self._seize(blocker, key)
            else:
                await self.acquire(owner, blocker.name, exclusive=False)
                self._release_one(owner, blocker.name)

    def _seize(self, blocker: Blocker, key: str) -> None:
        """Now if it is free, else before all who wait. It never gives up, and holds nothing that another blocker could wait for."""
        lock = self._locks.setdefault(key, Lock())
        if blocker in lock.holders or any(waiter.owner is blocker for waiter in lock.waiters.values()):
            return
        if lock.free_for(blocker, True):
            self._grant(lock, blocker, key, True)
            return
        waiter = Waiter(blocker, True, Future(loop=self._loop))
        lock.waiters[id(waiter)] = waiter
        lock.waiters.move_to_end(id(waiter), last=False)
