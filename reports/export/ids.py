"""Trace and span ids for other tools: the run's seed in front, the row's number behind.

Two runs loaded into one store do not mix, the same run always gives the same ids, and a person can see that trace
`...0000002a` is request 42. A span id is 16 hexadecimal digits and a trace id 32, as OpenTelemetry wants them.
"""

from __future__ import annotations

import hashlib

from sim.errors import InvalidInput


class Ids:
    """The ids of one run. The number of a trace is the user request's id."""

    def __init__(self, seed: int) -> None:
        digits = hashlib.blake2b(str(seed).encode(), digest_size=16).hexdigest()
        self.trace_prefix = digits[:23]
        self.span_prefix = digits[24:]

    def trace(self, number: int) -> str:
        """32 hexadecimal digits; never all zero, since the prefix is not."""
        return f"{self.trace_prefix}{number:09x}"

    def span(self, number: int) -> str:
        """16 hexadecimal digits."""
        return f"{self.span_prefix}{number:08x}"

    @staticmethod
    def number(text: str) -> int:
        """The row's number in an id, or in a decimal number as people write it; raise InvalidInput with a cure."""
        try:
            return int(text[-9:], 16) if len(text) in (16, 32) else int(text)
        except ValueError:
            raise InvalidInput(f"{text!r} is no trace: write a request's number, or 32 hexadecimal digits") from None
