"""Databases with replicas: reads that are stale, writes that are lost, and what it costs to have neither."""

import math

import pytest

from sim import loads
from sim.kernel import SimLoop
from sim.model.world import World
from sim.telemetry.codes import Reason

from .platform_runs import events, latency, reasons, shop, simulate, statuses
from .small_world import SmallWorld

LAGGING = "db: {kind: database, replicas: 1, replica_lag: 200ms, query: 1ms%s}"


def db(result):
    """The summary's figures of the database."""
    return result.summary["databases"]["db"]


def on(row, more="statement: write"):
    return f"[{{query: {{database: db, {more}, key: {row}}}}}]"


def test_reads_go_to_replicas_and_writes_to_the_primary():
    """With `reads: replicas` the primary serves writes alone; `any` shares the reads, `primary` leaves the replicas idle."""
    def served(reads):
        result = simulate(shop({"POST /": on("a"), "GET /": on("a", "statement: read")}, f"db: {{kind: database, replicas: 2, reads: {reads}}}", rate=100))
        spans = result.spans.of(2)
        mine = spans[spans.node == result.names.nodes.index("db")]
        return [int((mine.instance == result.names.instances.index(f"db-{number}")).sum()) / 3000 for number in range(3)]

    assert served("replicas") == pytest.approx([1, 0.5, 0.5], abs=0.1)
    assert served("any") == pytest.approx([1.33, 0.33, 0.33], abs=0.1)
    assert served("primary") == pytest.approx([2, 0, 0], abs=0.1)


@pytest.mark.parametrize("rate", [1, 5])
def test_a_read_of_a_replica_is_stale_as_often_as_a_write_came_within_its_lag(rate):
    """Writes of a row come as a Poisson stream: a read misses one with probability 1 - exp(-rate * lag)."""
    result = simulate(shop({"POST /": on("a"), "GET /": on("a", "statement: read")}, LAGGING % "", rate=2 * rate, duration=2000))
    figures = db(result)
    assert figures["stale_reads"] / figures["reads"] == pytest.approx(1 - math.exp(-rate * 0.2), abs=0.03)


def written_and_read(consistency):
    steps = f"[{on('a')[1:-1]}, {on('a', f'statement: read, consistency: {consistency}')[1:-1]}]"
    return simulate(shop({"POST /": steps}, LAGGING % "", rate=1, duration=500))


def test_who_writes_and_reads_at_once_does_not_see_its_own_write():
    """Read-your-writes trouble: right after the write the replica has not got it."""
    result = written_and_read("eventual")
    assert db(result)["own_writes_missed"] == db(result)["reads"] > 400


def test_a_session_waits_for_its_own_writes_and_a_strong_read_goes_to_the_primary():
    """The two cures: the replica waits until it is there, which costs the lag, or the primary is asked, which costs its capacity."""
    session, strong = written_and_read("session"), written_and_read("strong")
    assert db(session)["own_writes_missed"] == db(strong)["own_writes_missed"] == db(strong)["stale_reads"] == 0
    assert db(session)["stale_reads"] > 0  # of what others have written
    assert latency(session) == pytest.approx(0.2 + 0.002, abs=0.002) and latency(strong) == pytest.approx(0.002, abs=0.001)


KILL = "{kind: instance.kill, target: {instance: db-0}, schedule: {at: 30s}, restart_after: 100s}"


def test_a_failover_loses_what_the_replica_has_not_got():
    """The primary dies, a replica takes over after a while: the writes of the last lag are gone, though they were answered."""
    result = simulate(shop({"POST /": on("a")}, LAGGING % ", failover: {after: 5s}", rate=50, faults=KILL))
    assert db(result)["lost_writes"] == pytest.approx(50 * 0.2, abs=8) and db(result)["primary"] == "db-1"
    assert reasons(result, "db")[Reason.UNAVAILABLE] == pytest.approx(5 * 50, rel=0.2)
    assert events(result, "database.failover")[0]["at"] == 35.0


def test_synchronous_replication_loses_nothing_and_costs_the_lag():
    """A write that is answered when a replica has it survives the primary."""
    result = simulate(shop({"POST /": on("a")}, (LAGGING % ", synchronous: true, failover: {after: 5s}").replace("replicas: 1", "replicas: 2"), rate=1,
                           duration=300, faults=KILL))
    assert db(result)["lost_writes"] == 0
    assert latency(result, figure="p50") == pytest.approx(0.201, abs=0.002)


def test_after_a_failover_writes_are_refused_for_a_while():
    """In the read-only window reads go on; writes get 503 and the reason."""
    result = simulate(shop({"POST /": on("a"), "GET /": on("a", "statement: read")}, LAGGING % ", failover: {after: 2s, read_only: 8s}", rate=40, faults=KILL))
    assert reasons(result, "db")[Reason.READ_ONLY] == db(result)["refused_writes"] == pytest.approx(8 * 20, rel=0.2)
    assert statuses(result, "GET /") == {"200": statuses(result, "GET /")["200"]}


def test_a_primary_that_comes_back_in_time_loses_nothing():
    """It was restarted before anybody took over: the replica goes on where it was."""
    result = simulate(shop({"POST /": on("a")}, LAGGING % ", failover: {after: 20s}", rate=50, faults=KILL.replace("100s", "5s")))
    assert db(result)["lost_writes"] == db(result)["failovers"] == 0 and db(result)["primary"] == "db-0"
    assert result.series("db", "replica_behind", "db-1").max[-50:].max() < 40


def test_an_old_primary_comes_back_as_a_replica():
    """After a failover it takes the data of the new one, and serves reads."""
    result = simulate(shop({"POST /": on("a"), "GET /": on("a", "statement: read")}, LAGGING % ", failover: {after: 2s}", rate=40,
                           faults=KILL.replace("100s", "5s")))
    late = result.spans.of(2)
    late = late[(late.start > 40) & (late.node == result.names.nodes.index("db"))]
    reads = late[late.operation == result.names.operations.index("read")]
    assert {result.names.instances[one] for one in reads.instance.tolist()} == {"db-0"}
    assert db(result)["stale_reads"] < 0.99 * db(result)["reads"]


def test_replicas_that_stop_to_apply_fall_behind_without_end():
    """Every read is stale then, and a session waits in vain."""
    scenario = loads(shop({"POST /": on("a")}, LAGGING % ""))
    with SimLoop(1) as loop:
        world = World(loop, 1, scenario.nodes(), scenario.network)
        copy = world.node("db").instances[1].copy
        copy.halt()
        for _ in range(5):
            world.node("db").instances[0].log("a")
        loop.run_until(10)
        assert (copy.applied, copy.behind.value) == (0, 5)
        copy.go_on()
        loop.run_until(11)
        assert (copy.applied, copy.behind.value) == (5, 0)


# service code


@pytest.fixture
def coded():
    """Service code in front of a database with a replica that lags by 200 ms."""
    database = {"kind": "database", "replicas": 1, "replica_lag": "200ms", "query": "1ms"}
    with SimLoop(seed=7) as loop:
        yield SmallWorld(loop, {"notes": {"code": "tests.model.notes_service:Notes"}, "db": database})


def test_code_reads_old_rows_from_a_replica_and_new_ones_from_the_primary(coded):
    """Rows reach the replica after the lag; a `fresh` read sees them at once, and a stale one is counted."""
    assert coded.send("notes", "PUT", "/notes/1", json={"text": "old"}).status == 200
    coded.loop.run_until(1)
    assert coded.send("notes", "PUT", "/notes/1", json={"text": "new"}).status == 200
    assert coded.send("notes", "GET", "/notes/1").json == "old"
    assert coded.send("notes", "GET", "/notes/1/fresh").json == "new"
    coded.loop.run_until(2)
    assert coded.send("notes", "GET", "/notes/1").json == "new"
    assert coded.world.node("db").counts["stale_reads"] == 1


def test_code_that_writes_in_a_read_is_told_so(coded):
    """A copy takes no writes: the statement fails, and says what to do."""
    response = coded.send("notes", "POST", "/notes/1/careless")
    assert response.status == 500
    assert "write=True" in coded.events("handler.error")[0]["error"]
    assert not coded.world.node("db").instances[1].copy.tables["notes"]
