"""Cases OB-* and ES-* of the reference: Eventuate Tram's duplicate detection, Axon's snapshot policies."""

import pytest

from sim.resilience.event_store import SnapshotPolicy
from sim.resilience.idempotent_consumer import IdempotentConsumer


def test_ob_01_duplicates_are_seen_per_consumer():
    """False, then True; the same id for another consumer: False."""
    consumer = IdempotentConsumer()
    assert [consumer.is_duplicate("one", "id", now=0.0), consumer.is_duplicate("one", "id", now=1.0)] == [False, True]
    assert not consumer.is_duplicate("another", "id", now=1.0)


def test_es_01_snapshot_policies():
    """afterEvents(5): 6 yes, 5 no, whatever the time; sourcing time 1 s: 1001 ms yes, 1000 ms no, whatever the count; negative: error."""
    by_count, by_time = SnapshotPolicy(after_events=5), SnapshotPolicy(sourcing_time=1.0)
    assert [by_count.wants(6, 0.0), by_count.wants(5, 99.0)] == [True, False]
    assert [by_time.wants(0, 1.001), by_time.wants(99, 1.0)] == [True, False]
    with pytest.raises(ValueError, match="negative"):
        SnapshotPolicy(after_events=-1)
