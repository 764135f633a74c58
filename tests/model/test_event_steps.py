"""Event sourcing in steps: versions that conflict, snapshots that save work, projections that lag."""

import pytest

from .platform_runs import latency, shop, simulate, statuses


def stored(step, streams=1, rate=50, duration=100, query="5ms", others="", mix="", endpoints=None):
    """A shop that appends to one of so many streams; with how long a statement takes."""
    append = f"[{{append: {{to: db, stream: {{uniform: {streams}}}{step}}}}}]"
    return simulate(shop({"POST /": append, **(endpoints or {})}, f"db: {{kind: database, connections: 1000, query: {query}}}{others}", rate=rate,
                         duration=duration, mix=mix))


def db(result):
    """The summary's figures of the database."""
    return result.summary["databases"]["db"]


def test_an_append_at_an_old_version_is_a_conflict():
    """Whoever read the stream before somebody else appended is told so, with 409, and nothing of it is stored."""
    result = stored("")
    assert statuses(result)["409"] == db(result)["version_conflicts"] > 500
    assert statuses(result)["200"] + statuses(result)["409"] == pytest.approx(50 * 100, rel=0.05)


def test_conflicts_come_with_the_load_on_one_stream():
    """Reading and writing take 10 ms: the conflicts of a stream follow its rate, so many streams have hardly any."""
    def conflicts(streams):
        result = stored("", streams=streams)
        return db(result)["version_conflicts"] / (50 * 100)

    assert conflicts(1) > 0.2 and conflicts(20) == pytest.approx(0.05 * conflicts(1), abs=0.03)


def test_a_retry_reads_again_and_decides_anew():
    """With retries conflicts cost time, and nobody fails."""
    result = stored(", retries: 50")
    assert set(statuses(result)) == {"200"} and db(result)["version_conflicts"] > 500
    assert latency(result) > 1.15 * 0.010


def test_without_an_expected_version_nothing_conflicts_and_nothing_is_safe():
    """Appended unread: as fast as one statement, whatever others do."""
    result = stored(", expect_version: false")
    assert set(statuses(result)) == {"200"} and latency(result) == pytest.approx(0.005, rel=0.02)


def test_snapshots_bound_what_has_to_be_read():
    """Without them every append reads more than the one before; with one every 20 events it stays as fast as it was."""
    grown, kept = (stored(f", replay: 1ms, retries: 5{more}", rate=2, duration=200) for more in ("", ", snapshot_every: 20"))
    done = grown.requests.finished
    first, last = (done.latency[window].mean() for window in (done.start < 20, done.start > 180))
    assert last > first + 0.2
    assert latency(kept, figure="max") < 0.010 + 0.021 + 0.05


PROJECT = "[{project: {name: views, from: db, batch: 1000%s}}]"


def projected(rate_of_projection, each=""):
    """Fifty appends a second to many streams, and a projection that is brought up to date so often."""
    mix = f"{{send: POST /, weight: 50}}, {{send: POST /project, weight: {rate_of_projection}}}"
    return stored(", expect_version: false", streams=10_000, rate=50 + rate_of_projection, mix=mix, endpoints={"POST /project": PROJECT % each})


def test_a_projection_lags_by_what_has_come_since_it_ran():
    """Run at random once a second it is 50 events behind on average, as the time since the last of a Poisson stream is one second."""
    result = projected(1)
    lag = result.series("db", "lag views")
    assert float(lag.mean[lag.at > 5].mean()) == pytest.approx(50, rel=0.25)
    assert db(result)["projections"]["views"]["lag_max"] > 100


def test_a_projection_that_is_slower_than_its_source_falls_behind_for_ever():
    """Each event takes 40 ms of work, and 50 come a second: of each second's events half stay."""
    text_each = ", each: 40ms"
    result = projected(0.05, text_each)
    lag = result.series("db", "lag views")
    assert lag.max[-1] > 0.3 * 50 * 100


def test_a_projection_catches_up_when_the_load_ends():
    """It applies all that is in the log, batch by batch, and lags no more."""
    burst = "{project: {name: views, from: db, batch: 10}}"
    result = simulate(shop({"POST /": "[{append: {to: db, stream: one, expect_version: false}}]", "POST /project": f"[{burst}]"},
                           "db: {kind: database, query: 1ms}", rate=20, duration=60).replace(
        "constant-arrival-rate, rate: 20/s", "ramping-arrival-rate, start_rate: 20/s, stages: [{duration: 59s, target: 20/s}]"))
    figures = db(result)["projections"]["views"]
    assert figures["lag"] < 20 and figures["lag_max"] >= 1 and set(statuses(result)) == {"200"}
