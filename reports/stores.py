"""What databases, caches, brokers and sagas count of themselves, in words; a summary has their figures under these keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.texts import Words

SECTIONS = ("databases", "caches", "brokers", "sagas")

FIGURES: dict[str, tuple[str, str]] = {  # key in the summary: English, Spanish; told in this order
    # databases
    "reads": ("reads", "lecturas"),
    "writes": ("writes", "escrituras"),
    "errors": ("errors", "errores"),
    "transactions": ("transactions", "transacciones"),
    "commits": ("committed", "confirmadas"),
    "rollbacks": ("rolled back", "deshechas"),
    "pool_waits": ("waits for a connection", "esperas de conexión"),
    "pool_timeouts": ("no connection in time", "sin conexión a tiempo"),
    "lock_waits": ("waits for a lock", "esperas de bloqueo"),
    "lock_timeouts": ("no lock in time", "sin bloqueo a tiempo"),
    "deadlocks": ("deadlocks", "interbloqueos"),
    "stale_reads": ("stale reads", "lecturas obsoletas"),
    "own_writes_missed": ("own writes missed", "escrituras propias no vistas"),
    "session_timeouts": ("waited too long for own writes", "esperaron demasiado sus propias escrituras"),
    "lost_writes": ("lost writes", "escrituras perdidas"),
    "lost_updates": ("lost updates", "actualizaciones perdidas"),
    "refused_writes": ("refused writes", "escrituras rechazadas"),
    "failovers": ("failovers", "conmutaciones"),
    "version_conflicts": ("version conflicts", "conflictos de versión"),
    # caches
    "hits": ("hits", "aciertos"),
    "misses": ("misses", "fallos"),
    "hit_ratio": ("hit ratio", "tasa de aciertos"),
    "evictions": ("evicted", "expulsadas"),
    "expirations": ("expired", "caducadas"),
    "lost": ("lost", "perdidos"),
    "coalesced": ("shared a load", "compartieron una carga"),
    "stampede": ("most needless loads of a key at once", "más cargas superfluas de una clave a la vez"),
    "entries": ("entries", "entradas"),
    "capacity": ("capacity", "capacidad"),
    # brokers, and the groups that subscribe to them
    "published": ("published", "publicados"),
    "received": ("received", "recibidos"),
    "stored": ("stored", "guardados"),
    "duplicates": ("duplicates", "duplicados"),
    "refused": ("refused", "rechazados"),
    "unheard": ("heard by nobody", "sin suscriptor"),
    "in_stream": ("in the stream", "en el flujo"),
    "members": ("members", "miembros"),
    "offered": ("offered", "ofrecidos"),
    "deliveries": ("deliveries", "entregas"),
    "redeliveries": ("redeliveries", "reentregas"),
    "handled": ("handled", "procesados"),
    "acked": ("acknowledged", "confirmados"),
    "naks": ("sent back", "devueltos"),
    "ack_timeouts": ("not acknowledged in time", "sin confirmar a tiempo"),
    "dead_lettered": ("dead letters", "a mensajes fallidos"),
    "given_up": ("given up", "abandonados"),
    "expired": ("expired", "caducados"),
    "dropped": ("dropped", "descartados"),
    "lag": ("lag", "retraso"),
    "lag_max": ("lag (max)", "retraso (máx)"),
    # sagas
    "started": ("started", "iniciadas"),
    "completed": ("completed", "completadas"),
    "compensated": ("compensated", "compensadas"),
    "stuck": ("stuck", "atascadas"),
}


def told(part: Mapping[str, Any], words: Words) -> list[str]:
    """Its figures that are not nothing, each as a few words: `reads 12,234`."""
    return [f"{words.pick(pair)} {words.percent(part[key]) if key == 'hit_ratio' else words.number(part[key])}"
            for key, pair in FIGURES.items() if part.get(key)]


def rows(parts: Mapping[str, Mapping[str, Any]], words: Words) -> Iterator[tuple[str, list[str]]]:
    """Each store with its figures, and under a broker its groups, set in."""
    for name, part in parts.items():
        yield name, told(part, words)
        yield from ((f"  {group}", told(figures, words)) for group, figures in (part.get("groups") or {}).items())
