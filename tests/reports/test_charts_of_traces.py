"""Waterfall and critical path."""

import itertools

import pytest

from reports.charts import figure
from reports.charts.style import NotApplicable
from reports.charts.traces import choose, critical_path, tree
from reports.charts.waterfall import MOST_ROWS, longest
from sim.telemetry.codes import Outcome

from .hand_made import attempt, client, request, run_of, server


@pytest.fixture
def checkout():
    """A request of 100 ms: the gateway calls orders, which calls payments twice, the first attempt timing out."""
    return run_of(
        [request(1, 1.0, 0.1), request(2, 2.0, 0.3, Outcome.FAILED, 504), request(3, 3.0, 0.01)],
        [
            client(10, 0, "shoppers", "gateway", 1.0, 1.1),
            server(11, 10, "gateway", "shoppers", 1.005, 1.095, instance="gateway-0", queued=0.005),
            client(12, 11, "gateway", "orders", 1.01, 1.09),
            server(13, 12, "orders", "gateway", 1.012, 1.088, instance="orders-1"),
            client(14, 13, "orders", "payments", 1.02, 1.08, attempt=2),
            attempt(15, 14, "orders", "payments", 1.02, 1.05, 1, status=-1, outcome=Outcome.FAILED),
            server(16, 15, "payments", "orders", 1.021, 1.2, instance="payments-0"),  # works on when nobody waits any more
            attempt(17, 14, "orders", "payments", 1.06, 1.08, 2),
            server(18, 17, "payments", "orders", 1.062, 1.078, instance="payments-0"),
            client(20, 0, "shoppers", "gateway", 2.0, 2.3, trace=2),
            client(30, 0, "shoppers", "gateway", 3.0, 3.01, trace=3),
        ],
    )


def test_the_critical_path_tiles_the_request(checkout):
    """From start to end without gap or overlap: its parts add up to the latency."""
    path = critical_path(tree(checkout, 1))
    assert path[0].start == 1.0
    assert path[-1].end == 1.1
    assert all(one.end == other.start for one, other in itertools.pairwise(path))
    assert sum(part.end - part.start for part in path) == pytest.approx(0.1)


def test_the_path_leads_through_who_was_waited_for(checkout):
    """The call waited 10 ms between its attempts; the timed-out attempt counts until the caller left, not until the work was done."""
    spent = {}
    for part in critical_path(tree(checkout, 1)):
        spent[part.span] = spent.get(part.span, 0.0) + part.end - part.start
    assert spent[14] == pytest.approx(0.01)  # the backoff
    assert spent[16] == pytest.approx(0.029)  # 1.021 to 1.05
    assert spent[18] == pytest.approx(0.016)
    assert spent[11] == pytest.approx(0.01)


def test_the_tree_has_parents_before_children(checkout):
    """Depths go from the user's call down to the last server; labels tell callee, attempt and failure."""
    nodes = tree(checkout, 1)
    assert [node.id for node in nodes] == [10, 11, 12, 13, 14, 15, 16, 17, 18]
    assert [node.depth for node in nodes] == [0, 1, 2, 3, 4, 5, 6, 5, 6]
    assert nodes[2].label == "→ orders POST /orders"
    assert nodes[3].label == "orders-1"
    assert nodes[5].label == "#1 · timeout"


def test_the_slowest_the_failed_or_the_median_request_is_shown(checkout):
    """Each pick finds its trace; a run without failures says so."""
    assert (choose(checkout), choose(checkout, "failed"), choose(checkout, "median")) == (2, 2, 1)
    with pytest.raises(NotApplicable, match="no failed request"):
        choose(run_of([request(1, 0, 1)], [client(10, 0, "shoppers", "gateway", 0, 1)]), "failed")


def test_of_many_spans_the_longest_are_kept_with_their_ancestors():
    """A fan-out of 500: the slow call and everything above it stay, and no span stands without its parent."""
    spans = [client(1, 0, "shoppers", "gateway", 0, 2), server(2, 1, "gateway", "shoppers", 0, 2, instance="gateway-0")]
    for i in range(500):
        spans += [client(10 + 2 * i, 2, "gateway", "orders", 0, 0.01 + (i == 321)),
                  server(11 + 2 * i, 10 + 2 * i, "orders", "gateway", 0, 0.005 + (i == 321), instance="orders-0")]
    kept = longest(tree(run_of([request(1, 0, 2)], spans), 1))
    ids = {node.id for node in kept}
    assert len(kept) <= MOST_ROWS
    assert {1, 2, 10 + 2 * 321, 11 + 2 * 321} <= ids
    assert all(node.parent in ids or node.parent == 0 for node in kept)


def test_bars_are_as_long_as_their_spans(checkout):
    """The drawn widths, in milliseconds, are the durations of the spans and of their time in the queue."""
    chart = figure(checkout, "waterfall", trace=1).axes[0].child_axes[0]
    widths = sorted(round(patch.get_width(), 6) for patch in chart.patches)
    assert widths == pytest.approx(sorted([100, 90, 5, 80, 76, 60, 30, 179, 20, 16]))


def test_names_of_a_deep_trace_have_room():
    """Thirty calls within each other: the deepest is indented by half of the names' room at most, and told in full."""
    spans = [client(i, i - 1, "gateway", "orders", 0.01 * i, 1.0 - 0.01 * i) for i in range(1, 31)]
    made = figure(run_of([request(1, 0.0, 1.0)], spans), "waterfall")
    names = [text.get_text() for text in made.axes[0].texts if "→" in text.get_text()]
    assert len(names) == 30 and not any("…" in name for name in names)
