"""The outbox: an event is written in the transaction that it tells of, and published afterwards by a relay.

So there is no event without its fact and no fact without its event, whenever the process dies. What is published twice (the relay
died between publishing and marking) has the same id both times, and those who handle it remember the ids that they have seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from sim import Service
from sim.errors import CallError
from sim.model.tables import Tables
from sim.resilience.errors import Rejected

POLL = 0.2  # seconds between two looks
BATCH = 50
LEASE = 5.0  # seconds that a relay has for what it took; then another one may take it
UNREACHABLE = (CallError, Rejected, TimeoutError)

Publish = Callable[[str, str, Any], Awaitable[None]]  # subject, id of the event, payload


def put(tables: Tables, subject: str, event_id: str, payload: Any) -> None:
    """Add an event, as part of a transaction."""
    tables["outbox"][event_id] = {"subject": subject, "payload": payload, "taken_until": 0.0}


async def relay(service: Service, database: str, publish: Publish) -> None:
    """Publish what is in the outbox of *database*, for ever. Every instance runs one; a lease keeps them from doing the same work."""
    while True:
        try:
            entries = await service.query(database, lambda tables: _take(tables, service.now), write=True)
            done = [event_id for event_id, entry in entries.items() if await _published(service, publish, event_id, entry)]  # in order
            if done:
                await service.query(database, partial(_done, event_ids=done), write=True)
        except UNREACHABLE as error:
            service.log.warn("outbox relay failed", error=str(error))
            entries = {}
        if len(entries) < BATCH:
            await asyncio.sleep(POLL)


async def _published(service: Service, publish: Publish, event_id: str, entry: dict[str, Any]) -> bool:
    try:
        await publish(entry["subject"], event_id, entry["payload"])
    except UNREACHABLE as error:
        service.log.warn("event not published", subject=entry["subject"], event_id=event_id, error=str(error))
        return False
    return True


def _take(tables: Tables, now: float) -> dict[str, Any]:
    taken = {}
    for event_id, entry in tables["outbox"].items():
        if entry["taken_until"] <= now:
            taken[event_id] = entry
            if len(taken) == BATCH:
                break
    for event_id, entry in taken.items():
        tables["outbox"][event_id] = {**entry, "taken_until": now + LEASE}
    return taken


def _done(tables: Tables, event_ids: list[str]) -> None:
    for event_id in event_ids:
        entry = tables["outbox"].pop(event_id, None)
        if entry is not None:
            tables["published"][event_id] = entry["subject"]
