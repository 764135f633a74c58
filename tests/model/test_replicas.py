"""Databases with replicas: reads that are stale, writes that are lost, and what it costs to have neither."""

import math

import pytest

from sim import loads, run
from sim.kernel import SimLoop
from sim.model.world import World
from sim.scenario.scenario import Scenario
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


@pytest.mark.parametrize("write", [
    "{query: {database: db, transaction: [{query: {database: db, statement: write, key: a}}]}}", "{append: {to: db, stream: a}}",
    "{append: {to: db, stream: a, expect_version: false}}"])
@pytest.mark.parametrize("key", [", key: a", ""])
def test_a_session_reads_what_it_has_written_in_a_transaction_or_appended(write, key):
    """Those are writes of its own as any other: the read waits for them, whether it names the row or not."""
    def missed(consistency):
        read = f"{{query: {{database: db, consistency: {consistency}{key}}}}}"
        result = simulate(shop({"POST /": f"[{write}, {read}]"}, LAGGING % "", rate=1, duration=100))
        return result, db(result)["own_writes_missed"] / statuses(result)["200"]

    session, eventual = missed("session"), missed("eventual")
    assert (session[1], eventual[1]) == (0, 1)
    assert latency(session[0]) == pytest.approx(0.2 + 0.002, abs=0.003) and latency(eventual[0]) < 0.01


def test_an_append_makes_reads_of_its_stream_stale():
    """The row of an event stream is the stream."""
    result = simulate(shop({"POST /": "[{append: {to: db, stream: a, expect_version: false}}, {query: {database: db, key: a}}]",
                            "POST /b": "[{append: {to: db, stream: b, expect_version: false}}, {query: {database: db, key: c}}]"},
                           LAGGING % "", rate=0.2, duration=500))
    assert db(result)["stale_reads"] == statuses(result, "POST /")["200"]


@pytest.mark.parametrize(("more", "waited"), [("", 10), (", session_wait: 500ms", 0.5)])
def test_a_session_does_not_wait_for_ever_for_a_replica_that_is_cut_off(more, waited):
    """A session's read that its replica is not far enough for goes to the primary after a while, and its connections are free again."""
    cut = "{kind: network.partition, target: {from: {instance: db-0}, to: {instance: db-1}}, schedule: {at: 10s, for: 60s}}"
    steps = f"[{on('a')[1:-1]}, {on('a', 'statement: read, consistency: session')[1:-1]}]"
    result = simulate(shop({"POST /": steps}, LAGGING % more, rate=1, duration=60, faults=cut))
    during = result.requests[(result.requests.intended > 10) & (result.requests.intended < 60 - waited)]
    assert (during.outcome == 0).all() and during.latency.min() == pytest.approx(waited + 0.002, abs=0.003)
    assert during.latency.max() == pytest.approx(waited + 0.003, abs=0.003) and db(result)["own_writes_missed"] == 0
    told = [attributes["error.message"] for attributes in result.attributes.values()]
    assert db(result)["session_timeouts"] == len(told) >= len(during) and set(told) == {f"it had not got what its caller has written within {waited:g} s"}


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


def test_a_session_does_not_wait_for_its_writes_that_are_lost():
    """After a failover that lost writes, who wrote them reads on: nobody waits for what nobody has, and no connection is kept for it."""
    text = shop({"POST /": on("a"), "GET /": on("a", "statement: read, consistency: session")},
                LAGGING.replace("replicas: 1", "replicas: 2") % ", connections: 5, failover: {after: 2s}", rate=40,
                faults=KILL.replace("100s", "10s"))
    result = simulate(text)
    late = result.requests[(result.requests.intended > 33) & (result.requests.intended < 59)]
    assert db(result)["lost_writes"] > 0 and (late.outcome == 0).all() and late.latency.max() < 0.5


def test_the_replica_that_becomes_the_primary_keeps_nobody_waiting():
    """Reads wait at the only replica for writes that a failover loses: they are served at once."""
    scenario = loads(shop({"POST /": on("a")}, LAGGING % ""))
    with SimLoop(1) as loop:
        node = World(loop, 1, scenario.nodes(), scenario.network).node("db")
        for _ in range(3):
            position = node.primary.log("a")
        later, sooner = (node.instances[1].copy.reached(one) for one in (position, position - 2))
        node.fail_over()
        assert later.done() and sooner.done() and node.counts["lost_writes"] == 3
        assert node.primary.log("a") == position + 1  # no position is used twice


def test_who_waits_for_an_early_write_does_not_wait_for_a_late_one():
    """Each read goes on when its own write is there, in whatever order they came."""
    scenario = loads(shop({"POST /": on("a")}, LAGGING % ""))
    with SimLoop(1) as loop:
        node = World(loop, 1, scenario.nodes(), scenario.network).node("db")
        early = node.primary.log("a")
        loop.run_until(0.1)
        late = node.primary.log("a")
        second, first = (node.instances[1].copy.reached(one) for one in (late, early))
        loop.run_until(0.25)
        assert first.done() and not second.done()


FAILOVER = "{kind: db.failover, target: {service: db}, schedule: {at: 30s}, read_only: 0s}"


@pytest.mark.parametrize("write", [on("{uniform: 1000000}"), f"[{{query: {{database: db, transaction: {on('{uniform: 1000000}')}}}}}]"])
def test_a_write_that_waits_for_a_replica_is_told_of_a_failover(write):
    """Synchronous writes that no replica has yet fail at once, and none of them counts as lost: they were never answered."""
    result = simulate(shop({"POST /": write}, LAGGING % ", synchronous: true", rate=50, faults=FAILOVER))
    assert db(result)["lost_writes"] == 0 and db(result)["failovers"] == 1
    assert set(statuses(result)) == {"200", "502"} and statuses(result)["502"] == pytest.approx(50 * 0.2, abs=8)
    assert latency(result, figure="max") < 0.25
    assert db(result)["rollbacks"] in (0, statuses(result)["502"])


def test_an_answered_synchronous_write_is_lost_with_the_only_replica_that_had_it():
    """The lost write was answered, since one replica had it; that one is gone when another takes over."""
    scenario = loads(shop({"POST /": on("a")}, LAGGING.replace("replicas: 1", "replicas: 2") % ", synchronous: true"))
    with SimLoop(1) as loop:
        node = World(loop, 1, scenario.nodes(), scenario.network).node("db")
        node.instances[2].copy.halt()
        for _ in range(3):
            node.primary.log("a")
        loop.run_until(1)
        node.instances[1].kill()
        node.primary.log("a")
        node.fail_over()
        assert node.primary.name == "db-2" and node.counts["lost_writes"] == 3


# who does not answer


def in_zones(fault, more, replicas=1):
    """Writers in zone a, where the primary is, and readers in zone b, where a replica is: 20 a second each; a fault from 10 to 20 s."""
    return run(Scenario.model_validate({
        "name": "zones", "duration": "40s", "network": {"zones": {"a": {}, "b": {}}},
        "services": {
            "api": {"zone": "a", "workers": 1000, "endpoints": {"POST /": [{"query": {"database": "db", "statement": "write", "key": "k"}}]}},
            "reader": {"zone": "b", "workers": 1000, "endpoints": {"GET /": [{"query": {"database": "db", "key": "k", "time": "1ms"}}]}},
            "db": {"kind": "database", "replicas": replicas, "zone": "spread", "replica_lag": "1ms", **more},
        },
        "workloads": {"writers": {"rate": "20/s", "arrivals": "uniform", "to": "api", "timeout": "1s", "mix": [{"send": "POST /"}]},
                      "readers": {"rate": "20/s", "arrivals": "uniform", "to": "reader", "timeout": "1s", "mix": [{"send": "GET /"}]}},
        "faults": [{"schedule": {"at": "10s", "for": "10s"}, **fault}]}), 1)


PRIMARY, REPLICA = {"instance": "db-0"}, {"instance": "db-1"}
CUT = {"kind": "network.partition", "target": {"from": PRIMARY, "to": REPLICA, "direction": "both"}}


@pytest.mark.parametrize(("fault", "failovers"), [
    ({"kind": "instance.kill", "target": PRIMARY}, [15.0]),
    ({"kind": "instance.pause", "target": PRIMARY}, [15.0]),
    ({"kind": "instance.unavailable", "target": PRIMARY}, [15.0]),
    (CUT, [16.0]),  # they look once a second
    ({"kind": "instance.pause", "target": PRIMARY, "schedule": {"at": "10s", "for": "4s"}}, []),
    ({"kind": "instance.pause", "target": REPLICA}, []),
    ({"kind": "network.partition", "target": {"link": "api->db"}}, []),
    ({"kind": "network.loss", "target": {"kind": "database"}, "loss": "30%"}, []),
])
def test_a_failover_is_for_a_primary_that_does_not_answer(fault, failovers):
    """Dead, paused, refusing, or cut off from its replicas for five seconds: another one takes over, and writes go on. If it is back in
    time, or the trouble is elsewhere, nobody does."""
    result = in_zones(fault, {"failover": {"after": "5s"}})
    assert [event["at"] for event in events(result, "database.failover")] == failovers
    writes = result.requests[(result.requests.workload == result.names.workloads.index("writers")) & (result.requests.intended < 38)]
    assert not failovers or (writes[writes.intended > 16.1].outcome == 0).all()


def test_a_primary_that_one_replica_still_hears_stays():
    """Cut off from one of two replicas, which only falls behind."""
    result = in_zones(CUT, {"failover": {"after": "5s"}}, replicas=2)
    assert not events(result, "database.failover") and result.series("db", "replica_behind", "db-1").max.max() > 190


def test_a_cut_network_holds_up_replication():
    """While the two zones are apart the replica gets nothing, and its reads are stale; afterwards it gets it all, when TCP tries again."""
    result = in_zones({"kind": "network.partition", "target": {"from": {"zone": "a"}, "to": {"zone": "b"}, "direction": "both"}}, {})
    behind = result.series("db", "replica_behind", "db-1")
    assert db(result)["stale_reads"] == pytest.approx(20 * (12.6 - 0.05), abs=3)  # tried last at 0.2 + 0.4 + ... + 6.4 seconds
    assert behind.max.max() == pytest.approx(20 * 12.6, abs=2) and behind.max[behind.at > 23].max() <= 1
    assert db(result)["lost_writes"] == 0 and set(result.summary["workloads"]["writers"]["by_status"]) == {"200"}
    assert not events(result, "fault.missed")


def test_a_slow_network_adds_to_the_lag():
    """Half a second on the way between the servers: reads are stale for so long."""
    result = in_zones({"kind": "network.delay", "target": {"from": PRIMARY, "to": REPLICA}, "latency": "500ms"}, {})
    assert result.series("db", "replica_behind", "db-1").max.max() == pytest.approx(20 * 0.5, abs=1)


def test_a_replica_that_stands_still_confirms_nothing():
    """Synchronous writes wait until it goes on."""
    result = in_zones({"kind": "instance.pause", "target": REPLICA}, {"synchronous": True, "reads": "primary"})
    assert result.summary["workloads"]["writers"]["by_status"]["timeout"] == pytest.approx(20 * 9.5, abs=10)


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
