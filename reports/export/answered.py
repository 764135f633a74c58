"""The requests whose latency counts: those that somebody worked on until there was an answer, good or bad.

A refusal takes no time and would make the percentiles look better the more requests are refused. The summary does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.telemetry.codes import Outcome

if TYPE_CHECKING:
    from sim.telemetry.result import Requests


def answered(requests: Requests) -> Requests:
    """Those that ended and were not refused."""
    kept: Requests = requests[(requests.outcome != Outcome.UNFINISHED) & (requests.outcome != Outcome.REJECTED)]
    return kept
