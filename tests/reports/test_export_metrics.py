"""OpenMetrics, loaded into a real Prometheus: its rates and quantiles are those of the summary."""

import re
from bisect import bisect_left
from pathlib import Path

import numpy as np
import pytest

from reports.export import openmetrics
from reports.export.counting import HTTP_BOUNDS, Grid, histograms, labelled
from reports.export.time import EPOCH_S
from sim import load, run
from sim.telemetry.codes import Outcome, SpanKind
from tests.reports import prometheus
from tests.reports.export_runs import shop

SMALL = Path(__file__).with_name("small.yaml")


def text_of(result):
    return "".join(openmetrics.lines(result))


def samples(text, name):
    """Of one metric: labels as written, and the values in the order of time."""
    found = {}
    for labels, value in re.findall(rf"^{re.escape(name)}(\{{[^}}]*\}})? (\S+) \S+$", text, flags=re.MULTILINE):
        found.setdefault(labels, []).append(float(value))
    return found


@pytest.fixture(scope="module")
def small():
    return run(load(SMALL))


@pytest.fixture(scope="module")
def server(small, tmp_path_factory):
    if not (prometheus.PROMTOOL and prometheus.PROMETHEUS):
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "metrics.om").write_text(text_of(small))
    with prometheus.serving(folder / "metrics.om", folder) as server:
        yield server


def bucket(seconds):
    """The number of the bucket that a duration falls into."""
    return bisect_left(HTTP_BOUNDS, seconds)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
def test_prometheus_quantiles_are_within_a_bucket_of_the_summary(small, server, quantile):
    """The latency that users see, by `histogram_quantile` over everything after the warm-up."""
    query = f"histogram_quantile({quantile}, sum by (le) (rate(mesocosm_request_duration_seconds_bucket[15s])))"
    ours = small.summary["workloads"]["shoppers"]["latency_s"][f"p{100 * quantile:g}"]
    assert abs(bucket(server.value(query, small.duration)) - bucket(ours)) <= 1


def test_prometheus_rates_are_those_of_the_summary(small, server):
    """Requests per second of each service, and of users, after the warm-up."""
    window = small.duration - small.warmup
    for service, figures in small.summary["services"].items():
        rate = server.value(f'sum(rate(http_requests_total{{service="{service}"}}[15s]))', small.duration)
        assert rate == pytest.approx(figures["requests"] / window, rel=0.03)
    users = server.value("sum(rate(mesocosm_requests_total[15s]))", small.duration)
    shoppers = small.summary["workloads"]["shoppers"]
    assert users == pytest.approx((shoppers["started"] - shoppers["unfinished"]) / window, rel=0.03)


def test_prometheus_counts_are_exact(small, server):
    """At the end every counter stands at the number of rows."""
    spans = small.spans
    at = small.duration
    assert server.value("sum(mesocosm_requests_total)", at) == len(small.requests.finished)
    assert server.value("sum(http_requests_total)", at) == len(spans.of(SpanKind.SERVER))
    assert server.value("sum(http_request_duration_seconds_count)", at) == len(spans.of(SpanKind.SERVER))
    attempts = server.value('traces_service_graph_request_total{client="orders",server="payments"}', at)
    assert attempts == len(spans.of(SpanKind.ATTEMPT)) > 0
    failed = (spans.of(SpanKind.ATTEMPT).outcome == Outcome.FAILED).sum()
    assert server.value('traces_service_graph_request_failed_total{client="orders",server="payments"}', at) == failed > 0


def test_prometheus_knows_the_policies(small, server):
    """Every breaker is in one state at any time, opened as often as the events say, and each call to payments ended one way."""
    opened = sum(event["kind"] == "circuit_breaker.state_transition" and event["target"] == "open" for event in small.events)
    states = server.query("sum by (instance) (resilience4j_circuitbreaker_state)", small.duration)
    assert opened > 0
    assert [(labels["instance"], value) for labels, value in states] == [("orders-0", 1), ("orders-1", 1)]
    calls = small.summary["calls"]["orders->payments"]
    retried = server.value('sum(resilience4j_retry_calls_total{name="orders->payments"})', small.duration)
    logical = small.spans.of(SpanKind.CLIENT)
    assert retried == (logical.peer == small.names.nodes.index("payments")).sum() >= calls["calls"]
    refused = sum(event["kind"] == "circuit_breaker.rejected" for event in small.events)
    assert server.value("sum(resilience4j_circuitbreaker_not_permitted_calls_total)", small.duration) == refused


def test_a_strict_reader_takes_it(small):
    """prometheus_client's OpenMetrics parser checks order, suffixes, units, buckets that only grow, and the end.

    It is given the last scrape alone: of several times it forgets all but the first bucket.
    """
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    last = f" {EPOCH_S + small.duration:.3f}"
    scrape = "".join(f"{line}\n" for line in text_of(small).splitlines() if line.startswith("#") or line.endswith(last))
    families = {family.name: family for family in parser.text_string_to_metric_families(scrape)}
    assert {"http_server_request_duration_seconds", "http_requests", "traces_service_graph_request", "mesocosm_queue"} <= set(families)
    assert families["http_requests"].type == "counter"
    assert families["http_server_request_duration_seconds"].unit == "seconds"
    assert all(family.samples for family in families.values())


def test_a_scrape_counts_what_had_ended():
    """Four requests in ten seconds: none at 1.0 s, the first at 1.2 s, three at last; the fourth never ended."""
    counts = samples(text_of(shop()), "mesocosm_requests_total")
    grid = Grid(10.0)
    total = np.sum(list(counts.values()), axis=0)
    at = dict(zip(grid.times.round(3).tolist(), total.tolist(), strict=True))
    assert (at[1.0], at[1.2], at[10.0]) == (0, 1, 3)


def test_histograms_have_every_duration_in_its_bucket():
    """Requests of 50, 100 and 600 ms, each counted by all buckets from its own on."""
    buckets = samples(text_of(shop()), "mesocosm_request_duration_seconds_bucket")
    last = {re.search(r'le="([^"]+)"', labels)[1]: values[-1] for labels, values in buckets.items()}
    assert (last["0.025"], last["0.075"], last["0.25"], last["0.5"], last["0.75"], last["+Inf"]) == (0, 1, 2, 2, 3, 3)


def test_a_bucket_has_its_bound():
    """Exactly 0.1 s is counted up to 0.1 s; longer than the longest bound only by +Inf; a scrape sees what ends when it comes."""
    by = labelled([np.array([0, 0, 0])], lambda values: "")
    ((_, found),) = histograms(Grid(0.5), by, at=np.array([0.0, 0.2, 0.5]), values=np.array([0.1, 0.1001, 100.0]), bounds=[0.1, 1.0])
    assert found.buckets[0].tolist() == [1, 1, 1]
    assert found.buckets[-1].tolist() == [1, 2, 3]
    assert found.sums[-1] == pytest.approx(100.2001)


def test_gauges_and_faults_follow_time():
    """The breaker's states, a fault that was on from 2 s to 4 s, and the attempt that payments still works on after the timeout."""
    text, times = text_of(shop()), Grid(10.0).times
    (fault,) = samples(text, "mesocosm_fault_active").values()
    assert [bool(value) for value in fault] == [2.0 <= time < 4.0 for time in times]
    states = samples(text, "resilience4j_circuitbreaker_state")
    (opened,) = [values for labels, values in states.items() if 'state="open"' in labels and "orders-0" in labels]
    assert [bool(value) for value in opened] == [5.04 <= time < 8.0 for time in times]
    active = samples(text, "active_connections")['{service="payments"}']
    assert active[list(times.round(3)).index(3.0)] == 2


def test_the_lesson_finds_its_own_names():
    """http_requests_total, http_request_duration_seconds, active_connections, errors_total, with its labels."""
    text = text_of(shop())
    assert samples(text, "http_requests_total")['{service="orders",method="POST",endpoint="/orders",status="503"}'][-1] == 1
    assert samples(text, "errors_total")['{service="orders",type="503",operation="POST /orders"}'][-1] == 1
    assert '{service="orders",method="POST",endpoint="/orders",le="0.1"}' in samples(text, "http_request_duration_seconds_bucket")
    assert '{service="orders"}' in samples(text, "active_connections")


def test_times_are_seconds_and_the_end_is_marked():
    """From the epoch to the end of the run; the last line is the one that says so."""
    lines = text_of(shop()).splitlines()
    stamps = [float(line.rsplit(" ", 1)[1]) - EPOCH_S for line in lines if not line.startswith("#")]
    assert (min(stamps), max(stamps)) == (0.0, 10.0)
    assert lines[-1] == "# EOF"


def test_labels_are_only_text():
    """A quote, a backslash and a line break in a name cannot end the label."""
    run = shop()
    nasty = type(run.names)(**{**vars(run.names), "workloads": ['a"b\\c\nd']})
    labels = samples(text_of(type(run)(**{**{key: value for key, value in vars(run).items() if key != "_gauge_rows"}, "names": nasty})),
                     "mesocosm_request_duration_seconds_count")
    assert list(labels) == ['{workload="a\\"b\\\\c\\nd",operation="POST /orders"}']


@pytest.mark.parametrize(("duration", "step"), [(0.5, 0.01), (20.0, 0.5), (180.0, 5.0), (3600.0, 60.0), (86400.0, 1440.0)])
def test_scrapes_are_at_round_times(duration, step):
    """About sixty of them, the last one at the end."""
    grid = Grid(duration)
    assert grid.step == step
    assert len(grid) <= 62
    assert grid.times[-1] == duration
