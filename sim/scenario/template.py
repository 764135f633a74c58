"""The files that `mesocosm init` writes: the smallest scenario that shows something, and a fault plan for it."""

from __future__ import annotations

import os
from pathlib import Path

from sim.errors import InvalidInput

SCENARIO = """\
# Run it:             mesocosm run scenario.yaml
# ... under faults:   mesocosm run scenario.yaml --faults faults.yaml
# ... another way:    mesocosm run scenario.yaml --faults faults.yaml --variant no-breaker
# All kinds, fields and defaults: mesocosm kinds

name: my-shop
title: A shop with one slow dependency
seed: 42                                    # the same seed gives the same run, to the last bit
duration: 60s
warmup: 5s                                  # not counted in the figures

services:
  gateway:
    kind: gateway
    routes:
      - {path: /api/orders/*, methods: [POST], to: orders, timeout: 2s}
  orders:
    instances: 2
    workers: 16                             # requests that one instance serves at once
    uses:
      payments:
        policies:                           # outermost first
          - fallback: {status: 202, degraded: true}  # the order is taken, and charged later
          - deadline: 1500ms
          - retry: {max_attempts: 2, backoff: {initial: 50ms, max: 200ms}}
          - circuit_breaker: {sliding_window: {calls: 20}, minimum_number_of_calls: 10, wait_duration_in_open_state: 5s}
          - timeout: 300ms                  # of one attempt
    endpoints:
      POST /orders:
        - work: {exponential: 3ms}
        - query: orders-db
        - call: payments POST /charges
  payments:
    instances: 2
    endpoints:
      POST /charges:
        - work: {lognormal: {median: 20ms, p99: 120ms}}
  orders-db: {kind: database, connections: 20, query: {exponential: 2ms}}

workloads:
  shoppers:
    executor: constant-arrival-rate
    rate: 100/s
    to: gateway
    timeout: 3s                             # a shopper's patience
    mix:
      - send: POST /api/orders

steady_state:                               # what must hold before, during and after the faults
  - {name: availability, measure: success_ratio, of: shoppers, at_least: 99%}

variants:                                   # the same scenario with a few values changed
  no-breaker:                               # one long timeout and nothing else: the slow dependency takes the others down
    services.orders.uses.payments.policies: [{timeout: 5s}]
"""

FAULTS = """\
# A fault plan for scenario.yaml. All kinds of faults: mesocosm kinds faults

name: slow-payments
faults:
  - name: slow-payments
    kind: network.delay
    target: {link: orders->payments}
    schedule: {at: 20s, for: 20s}
    latency: 500ms
    jitter: 50ms
"""

FILES = {"scenario.yaml": SCENARIO, "faults.yaml": FAULTS}


def write_template(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the files into *folder* and return their paths; raise InvalidInput if one is there already, or cannot be written."""
    paths = [Path(folder) / name for name in FILES]
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise InvalidInput(f"{', '.join(there)}: already there, and not overwritten\n    name another folder")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for path in paths:
            with path.open("x", encoding="utf-8") as file:
                file.write(FILES[path.name])
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{os.fspath(folder)}: cannot be written: {cause}\n    name another folder") from None
    return paths
