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


def test_a_projection_is_behind_until_its_work_is_done():
    """Twenty events a second come and ten are done: it falls behind by ten a second, and by what is in work, whatever the batch."""
    def lag_at_the_end(batch):
        steps = f"[{{project: {{name: views, from: db, each: 100ms, batch: {batch}}}}}]"
        result = simulate(shop({"POST /": "[{append: {to: db, stream: {uniform: 1000}, expect_version: false}}]", "POST /project": steps},
                               "db: {kind: database, connections: 100}", rate=20, duration=61, of_users="arrivals: uniform,", mix="{send: POST /}").replace(
            "workloads:", "workloads:\n  projector: {executor: constant-vus, vus: 1, to: shop, timeout: 1000s, mix: [{send: POST /project}]}"))
        return db(result)["projections"]["views"]["lag"]

    assert [lag_at_the_end(batch) for batch in (1, 10)] == [pytest.approx(10 * 61, abs=30)] * 2
    assert 10 * 61 <= lag_at_the_end(1000) <= 20 * 61


def test_a_projector_that_is_killed_has_skipped_nothing():
    """Killed in the middle of its work it does the batch again; where two do the same work, only one of them moves the position."""
    projector = "  projector: {endpoints: {POST /: [{project: {name: views, from: db, each: 100ms, batch: 1000}}]}}"
    text = shop({"POST /": "[{append: {to: db, stream: one, expect_version: false, events: 50}}]"}, f"db: {{kind: database}}\n{projector}")
    once = "{executor: trace, to: %s, timeout: 60s, at: [%s], mix: [{send: POST /}]}"
    kill = "{kind: instance.kill, target: {service: projector}, schedule: {at: 4s}, restart_after: 1s}"
    text = text[:text.index("  users:")] + f"  users: {once % ('shop', '1s')}\n  runs: {once % ('projector', '2s, 10s, 11s')}\nfaults: [{kill}]\n"
    result = simulate(text)
    lag = result.series("db", "lag views")
    assert lag.mean[(lag.at > 2) & (lag.at < 14)].min() == lag.max.max() == 50  # five seconds of work, begun anew at 10 s
    assert db(result)["projections"]["views"] == {"lag": 0, "lag_max": 50}
    after = simulate(text.replace("name: shop", "name: shop\nwarmup: 20s"))
    assert db(after)["projections"]["views"] == {"lag": 0, "lag_max": 0}


def test_a_projection_catches_up_when_the_load_ends():
    """It applies all that is in the log, batch by batch, and lags no more."""
    burst = "{project: {name: views, from: db, batch: 10}}"
    result = simulate(shop({"POST /": "[{append: {to: db, stream: one, expect_version: false}}]", "POST /project": f"[{burst}]"},
                           "db: {kind: database, query: 1ms}", rate=20, duration=60).replace(
        "constant-arrival-rate, rate: 20/s", "ramping-arrival-rate, start_rate: 20/s, stages: [{duration: 59s, target: 20/s}]"))
    figures = db(result)["projections"]["views"]
    assert figures["lag"] < 20 and figures["lag_max"] >= 1 and set(statuses(result)) == {"200"}
