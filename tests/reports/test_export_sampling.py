"""Which traces are written in full."""

import numpy as np
import pytest

from reports.export.sampling import EVERYTHING, Sampling, meets, sample
from sim.telemetry.codes import Outcome
from tests.reports.export_runs import repeated, shop
from tests.reports.hand_made import client, fault, run_of, server

ONLY = Sampling(head=0.0, slowest=0)


def good(count, **more):
    """*count* traces of two spans, of 10 ms each, one a second; *more* are other fields of the run."""
    spans = []
    for number in range(1, count + 1):
        at = float(number)
        spans.append(server(2 * number, 2 * number - 1, "orders", "shoppers", at, at + 0.01, trace=number, instance="orders-0"))
        spans.append(client(2 * number - 1, 0, "shoppers", "orders", at, at + 0.01, trace=number))
    return run_of([], spans, duration=count + 1.0, **more)


def traces(result, chosen):
    return set(result.spans.trace[chosen.rows].tolist())


def test_every_error_is_kept():
    """Trace 3 failed; trace 2 had an attempt that failed and is kept too."""
    assert traces(shop(faults=[]), sample(shop(faults=[]), ONLY)) == {2, 3}


def test_a_trace_is_kept_whole():
    """All seven spans of trace 2, also the one that outlived its caller."""
    chosen = sample(shop(), ONLY)
    assert (shop().spans.trace[chosen.rows] == 2).sum() == 7


def test_the_slowest_are_kept():
    """The one request that took 200 ms."""
    run = good(50)
    rows = run.spans.rows.copy()
    rows["end"][rows["trace"] == 17] += 0.19
    run.spans.rows = rows
    assert traces(run, sample(run, Sampling(head=0.0, slowest=1))) == {17}


@pytest.mark.parametrize(("target", "kept"), [
    ("orders", {3, 4}), ("orders-0", {3, 4}), ("shoppers->orders", {3, 4}), ("orders->payments", set()), ("zone a", {3, 4}),
    ("payments", set()),
])
def test_what_met_a_fault_is_kept(target, kept):
    """A service, an instance, a link; one that nobody used meets nobody; a target of another sort is met by all."""
    run = good(10, faults=[fault(start=3.0, until=4.5, targets=(target,))])
    assert traces(run, sample(run, ONLY)) == kept


def test_a_fault_that_never_ended_is_met_to_the_end():
    """From 8 s on."""
    run = good(10, faults=[fault(start=8.0, until=None, targets=())])
    assert run.spans.start[meets(run, run.faults[0])].min() == 8.0


def test_of_the_others_a_share_is_kept():
    """About one in ten, spread over the run, and the same ones whatever the seed."""
    run = good(4000)
    kept = traces(run, sample(run, Sampling(head=0.1, slowest=0)))
    assert len(kept) == pytest.approx(400, abs=60)
    assert np.std(np.histogram(sorted(kept), bins=8)[0]) < 12
    other = good(4000, seed=99)
    assert traces(other, sample(other, Sampling(head=0.1, slowest=0))) == kept
    assert traces(run, sample(run, Sampling(head=0.2, slowest=0))) > kept


def test_near_the_limit_errors_come_first():
    """Ten spans have room: the five failed traces get it, and the report says who did not."""
    run = good(100, faults=[fault(start=50.0, until=60.0, targets=())])
    rows = run.spans.rows.copy()
    rows["outcome"][np.isin(rows["trace"], [5, 25, 45, 65, 85])] = Outcome.FAILED
    run.spans.rows = rows
    chosen = sample(run, Sampling(head=1.0, slowest=10, limit=10))
    assert traces(run, chosen) == {5, 25, 45, 65, 85}
    told = chosen.as_dict()
    assert told["traces_written"] == {"error": 5, "slow": 0, "fault": 0, "head": 0}
    assert told["spans_written"] == 10
    assert sum(told["no_room_for"].values()) == 95


def test_everything_is_everything():
    """No limit and no share: all rows in their order."""
    run = repeated(shop(), 30)
    assert sample(run, EVERYTHING).rows.tolist() == list(range(len(run.spans)))


def test_background_work_is_chosen_by_its_root():
    """A thousand health checks are a thousand small traces, not one large one that crowds out the requests."""
    run = repeated(shop(), 1000)
    background = run.spans.trace == 0
    chosen = sample(run, Sampling(head=0.1, slowest=0))
    assert 0.05 < background[chosen.rows].sum() / background.sum() < 0.15


def test_an_empty_run_has_nothing_to_choose():
    """And says so in numbers."""
    assert sample(run_of(), Sampling()).as_dict()["spans"] == 0
