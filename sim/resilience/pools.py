"""Bulkhead pools: several bulkheads side by side, each call into the one of its kind, so that batch work cannot starve checkout.

    call ──key──▶ "critical"  10 at once, 100 in line
           ├────▶ "normal"    20 at once, 200 in line
           └────▶ "batch"      5 at once,  50 in line
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field, model_validator

from .bulkhead import Bulkhead, BulkheadSpec
from .events import Listener
from .policy import Policy, PolicyParts, PolicySpec, Proceed, Worst

LESSON = {"critical": (10, 100), "normal": (20, 200), "batch": (5, 50)}  # slots and places in line, as the lesson has them


def _pool(slots: int, line: int) -> BulkheadSpec:
    return BulkheadSpec.model_construct(max_concurrent_calls=slots, max_queued_calls=line, max_wait_duration=1.0)


class BulkheadPoolsSpec(PolicySpec):
    """A bulkhead for each kind of call; *key* is what of a call names its pool, *default* the pool of all that name none of them."""

    pools: dict[str, BulkheadSpec] = Field(default_factory=lambda: {name: _pool(*sizes) for name, sizes in LESSON.items()})
    default: str = "normal"
    key: str = "priority"

    @model_validator(mode="after")
    def _default_exists(self) -> BulkheadPoolsSpec:
        if self.default not in self.pools:
            raise ValueError(f"the default pool {self.default!r} is not one of {', '.join(self.pools)}")
        return self

    def build(self, parts: PolicyParts) -> BulkheadPools:
        return BulkheadPools({name: spec.build(parts) for name, spec in self.pools.items()}, key=parts.read(self.key), default=self.default)


class BulkheadPools(Policy):
    """Each call goes through the bulkhead that *key*, called with its arguments, names; any other name means *default*."""

    word = "bulkhead_pools"

    def __init__(self, pools: Mapping[str, Bulkhead], key: Callable[..., Any], default: str, *,
                 name: str | None = None, on_event: Listener | None = None) -> None:
        if default not in pools:
            raise ValueError(f"the default pool {default!r} is not one of {', '.join(pools)}")
        self.pools = dict(pools)
        self._key = key
        self._default = self.pools[default]
        self._name = name
        self.on_event = on_event

    def pool_of(self, *args: Any) -> Bulkhead:
        """The bulkhead that a call with these arguments goes through."""
        return self.pools.get(self._key(*args), self._default)

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Run *proceed* inside its pool; raise BulkheadFull, by that pool, if there is no room."""
        return await self.pool_of(*args)(proceed, *args)

    def shutdown(self, now: float) -> None:
        """Let nobody into any pool any more; those inside finish."""
        for pool in self.pools.values():
            pool.shutdown(now)

    def speaks_for(self, by: object) -> bool:
        return by is self or any(by is pool for pool in self.pools.values())

    def bind(self, name: str, rng: random.Random | None = None, on_event: Listener | None = None) -> None:
        super().bind(name, rng, on_event)
        for kind, pool in self.pools.items():
            pool.bind(f"{self.name}.{kind}", rng, self.on_event)

    def worst(self, inner: Worst) -> Worst:
        latency = max(pool.worst(inner).latency for pool in self.pools.values())
        return Worst(inner.attempts, latency)
