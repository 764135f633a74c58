"""Addresses for the simulated instances, for formats that want one: always the same in one run, and nobody's in the real world."""

from __future__ import annotations


def address(instance: int, workload: bool) -> str:
    """The address of the instance with this index: in 10.0.0.0/8, or for a workload in 198.18.0.0/15 (for tests, RFC 2544)."""
    high, low = divmod(instance, 256)
    return f"198.18.{high}.{low}" if workload else f"10.0.{high}.{low}"
