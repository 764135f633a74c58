"""Service code: routes, calls, data, errors, telemetry, its life; and what is said of code that cannot be used."""

import asyncio
import math

import pytest
from pydantic import TypeAdapter, ValidationError

from sim.kernel import SimLoop
from sim.mistakes import mistakes
from sim.model.services import AnyService
from sim.telemetry.codes import SpanKind
from tests.model.small_world import SmallWorld

DB = {"kind": "database", "query": "5ms"}


@pytest.fixture
def loop():
    with SimLoop(seed=7) as loop:
        yield loop


def both(loop, **services):
    return SmallWorld(loop, {"echo": "Echo", "caller": "Caller", **services})


# routes

def test_a_route_hands_over_body_and_names_of_the_path(loop):
    """A body comes back as it was sent, and `{names}` arrive as arguments."""
    small = both(loop)
    assert small.send("echo", "POST", "/echo", json={"a": [1]}).json == {"a": [1]}
    assert small.send("echo", "GET", "/things/shoe/42?page=2").json == {"kind": "shoe", "number": 42}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/echo", 405), ("GET", "/things/shoe", 404)])
def test_what_is_not_there_is_404_and_the_wrong_method_405(loop, method, path, status):
    """As every web framework answers."""
    assert both(loop).send("echo", method, path).status == status


def test_a_handler_may_be_decorated(loop):
    """By what makes a coroutine function of a plain one, and by what only hands on."""
    small = both(loop, decorated="Decorated")
    assert [small.send("decorated", "GET", path).json for path in ("/plain", "/watched")] == ["plain", "watched"]


# errors

def test_an_error_of_a_handler_is_a_500_with_its_event_and_the_run_goes_on(loop):
    """The server span says what was raised; the next request is served."""
    small = both(loop)
    assert small.send("echo", "GET", "/broken").status == 500
    assert small.send("echo", "POST", "/echo").status == 200
    assert small.events("handler.error")[0]["error"] == "KeyError: 'no such luck'"
    assert small.spans(SpanKind.SERVER)[0]["exception.type"] == "KeyError"


def test_code_that_would_end_the_program_is_a_500(loop):
    """`sys.exit(3)` in a handler: the exit code of the command says how the simulation went, and is not the handler's to choose."""
    small = both(loop)
    assert small.send("echo", "GET", "/exit").status == 500
    assert small.send("echo", "POST", "/echo").status == 200
    assert small.events("handler.error")[0]["error"].startswith("Exited: sys.exit(3) in service code")
    assert small.spans(SpanKind.SERVER)[0]["exception.type"] == "Exited"


@pytest.mark.parametrize("how", ["itself", "its-job"])
def test_a_handler_that_cancels_its_own_work_is_a_500(loop, how):
    """Nobody had called the request off: its caller is told at once, and does not wait for ever."""
    small = both(loop)
    assert small.send("echo", "GET", f"/cancelled/{how}").status == 500 and loop.time() == pytest.approx(0.002)
    assert small.send("echo", "POST", "/echo").status == 200
    assert small.events("handler.error")[0]["error"].startswith("CancelledItself: CancelledError in a request that nobody has called off")
    assert small.spans(SpanKind.SERVER)[0]["exception.type"] == "CancelledItself"


def test_a_handler_whose_caller_has_gone_is_cancelled_and_no_error(loop):
    """Told by the transport: its span ends as cancelled."""
    small = SmallWorld(loop, {"echo": {"code": "tests.model.sample_services:Echo", "on_caller_gone": "cancel"}})
    assert small.send("echo", "GET", "/slow", policies=[{"timeout": "100ms"}]).status == 504
    loop.run_until(2)
    assert small.spans(SpanKind.SERVER)[0]["end"] == pytest.approx(0.101) and not small.events("handler.error")


@pytest.mark.parametrize(("status", "error"), [
    ("text", "TypeError: the status '200' is a str"), ("many", "ValueError: there is no status 99999"), ("few", "there is no status 99"),
])
def test_a_status_that_does_not_exist_is_an_error_of_the_handler(loop, status, error):
    """It is answered, with a 500, and the event says what to write."""
    small = both(loop)
    assert small.send("echo", "GET", f"/status/{status}").status == 500
    assert error in small.events("handler.error")[0]["error"]


@pytest.mark.parametrize(("path", "status"), [("/pass-on/broken", 502), ("/patient", 504), ("/pass-on/nowhere", 404)])
def test_a_failed_call_that_nobody_cares_about_is_passed_on(loop, path, status):
    """A 500 behind is a 502 here, a timeout 504, and what is the asker's own mistake stays so."""
    assert both(loop).send("caller", "GET", path).status == status


def test_what_is_no_json_is_an_error_that_names_the_place(loop):
    """A set in an answer is the handler's mistake."""
    small = both(loop)
    assert small.send("echo", "GET", "/odd").status == 500
    error = small.events("handler.error")[0]["error"]
    assert "a set cannot travel as JSON" in error and "(at set)" in error


def test_an_optional_call_that_fails_leaves_a_degraded_answer(loop):
    """The answer is there, and counted apart."""
    answer = both(loop).send("caller", "GET", "/optional")
    assert (answer.status, answer.degraded, answer.json) == (200, True, {"status": 500})


def test_an_unknown_service_ends_the_request_and_names_the_nearest(loop):
    """A slip of the pen in code is found by the first request that gets there."""
    small = SmallWorld(loop, {"caller": "Caller", "ecko": "Echo"})
    assert small.send("caller", "GET", "/optional").status == 500
    assert "did you mean 'ecko'?" in small.events("handler.error")[0]["error"]


# what is shared, and what is not

def test_two_services_never_share_an_object(loop):
    """What the callee's answer is changed into does not change what the caller has sent."""
    assert both(loop).send("caller", "POST", "/shared").json == {"list": [1]}


def test_each_request_has_its_own_context_variables(loop):
    """What one request sets, no other sees, also when they overlap."""
    small = both(loop)

    async def two():
        import asyncio

        return await asyncio.gather(*(small.sending("echo", "GET", f"/whose/{name}") for name in ("a", "b")))

    assert [answer.json for answer in loop.run_until_complete(two())] == [["nobody's", "a"], ["nobody's", "b"]]


def test_what_a_process_sets_at_its_start_all_its_requests_see_and_no_other_process(loop):
    """Two replicas, and one of them again after a kill: each finds nothing, and is seen by its own."""
    small = SmallWorld(loop, {"named": {"code": "tests.model.sample_services:Named", "instances": 2}})
    assert [small.send("named", "GET", "/").json for _ in range(2)] == [["nobody's", "of named-0"], ["nobody's", "of named-1"]]
    instance = small.world.node("named").instances[0]
    instance.kill()
    instance.start()
    loop.run_until(1)
    assert small.process("named").found == "nobody's"


def test_each_service_and_each_run_has_its_own_copy_of_the_module():
    """A list that the module keeps is not shared by services, and is empty again in the next run."""
    for _ in range(2):
        with SimLoop(seed=7) as loop:
            small = SmallWorld(loop, {"echo": "Echo", "other": "Echo"})
            seen = [small.send(name, "GET", "/module").json for name in ("echo", "other", "echo")]
            assert seen == [["echo-0"], ["other-0"], ["echo-0", "echo-0"]]


def test_the_deadline_of_the_caller_is_known_to_the_handler(loop):
    """One second, less the millisecond of the way; without a policy there is none."""
    small = both(loop)
    assert small.send("echo", "GET", "/deadline", policies=[{"deadline": "1s"}]).json == pytest.approx(0.999)
    assert small.send("echo", "GET", "/deadline").json == math.inf


def test_work_is_told_in_seconds_or_in_the_words_of_a_scenario(loop):
    """`0.02`, `"20ms"` and a distribution, which goes on drawing where it stood."""
    small = both(loop)

    def took(time):
        began = loop.time()
        assert small.send("echo", "POST", "/work", json=time).status == 200
        return loop.time() - began - 0.002

    assert [took(0.02), took("20ms"), took({"constant": "20ms"})] == pytest.approx([0.02] * 3)
    assert len({took({"exponential": "20ms"}) for _ in range(3)}) == 3


@pytest.mark.parametrize(("time", "error"), [
    ("20", "InvalidInput: '20' is no duration: "), ({"exponental": "2ms"}, "did you mean 'exponential'?"),
    (None, "should be a duration, not nothing"),
])
def test_work_that_is_no_time_is_an_error_that_says_what_is(loop, time, error):
    """In the event of the handler's error."""
    small = both(loop)
    assert small.send("echo", "POST", "/work", json=time).status == 500
    assert error in small.events("handler.error")[0]["error"]


# data

def test_data_in_the_database_outlives_the_process_and_memory_does_not(loop):
    """Killed and started again, it counts from 0 in memory and goes on in the database."""
    small = SmallWorld(loop, {"keeper": "Keeper", "db": DB})
    assert small.send("keeper", "POST", "/add/2").json == {"memory": 2, "database": 2}
    instance = small.world.node("keeper").instances[0]
    instance.kill()
    instance.start()
    assert small.send("keeper", "POST", "/add/3").json == {"memory": 3, "database": 5}


def test_a_statement_that_raises_changes_nothing(loop):
    """The error comes out of the query, and the tables are as before; a transaction is one statement."""
    small = SmallWorld(loop, {"keeper": "Keeper", "db": DB})
    small.send("keeper", "POST", "/add/2")
    assert small.send("keeper", "POST", "/add/-1").status == 500
    assert small.send("keeper", "POST", "/twice").status == 500
    assert small.send("keeper", "GET", "/sum").json == 2


def test_a_cache_is_asked_first_and_a_missing_cache_is_a_miss(loop):
    """The second look is a hit; with the cache down, every look computes."""
    small = SmallWorld(loop, {"keeper": "Keeper", "db": DB, "cache": {"kind": "cache"}})
    assert [small.send("keeper", "GET", "/cached/a").json for _ in range(2)] == [["value of a", 1]] * 2
    small.world.node("cache").instances[0].kill()
    assert small.send("keeper", "GET", "/cached/a").json == ["value of a", 2]


def together(small, *sends):
    """The answers to requests that are sent at the same time."""
    async def all_at_once():
        return await asyncio.gather(*(small.sending(*send) for send in sends))

    return small.loop.run_until_complete(all_at_once())


def test_single_flight_computes_once_for_all_who_miss_at_the_same_time(loop):
    """Ten ask, one computes, all have its value; and all have its error, after which the next one tries again."""
    small = SmallWorld(loop, {"keeper": "Keeper", "cache": {"kind": "cache"}})
    answers = together(small, *[("keeper", "GET", "/alone/a")] * 10)
    assert [answer.json for answer in answers] == ["value of a"] * 10 and small.process("keeper").in_memory == 1
    assert small.world.node("cache").counts["coalesced"] == 9
    assert {answer.status for answer in together(small, *[("keeper", "GET", "/alone/nowhere")] * 10)} == {500}
    assert small.process("keeper").in_memory == 2
    assert small.send("keeper", "GET", "/alone/nowhere").status == 500 and small.process("keeper").in_memory == 3


def test_a_write_that_names_its_row_locks_it(loop):
    """Two writes of a second to one row are done one after the other, and one to another row beside them."""
    small = SmallWorld(loop, {"keeper": "Keeper", "db": DB})
    first, second, other = together(small, *[("keeper", "POST", f"/rows/{row}") for row in ("a", "a", "b")])
    assert first.json == other.json == pytest.approx(1.0, abs=0.05) and second.json == pytest.approx(2.0, abs=0.05)


# telemetry

def test_spans_of_code_have_parents_attributes_and_errors(loop):
    """A call inside a span is its child; what leaves the block as an error is written down."""
    small = both(loop)
    small.send("caller", "GET", "/spans")
    outer, inner = small.spans(SpanKind.INTERNAL)
    server = next(span for span in small.spans(SpanKind.SERVER) if span["node"] == "caller")
    call = next(span for span in small.spans(SpanKind.CLIENT) if span["node"] == "caller")
    assert (outer["name"], outer["order.id"], outer["order.total"]) == ("outer", "o-1", 1250)
    assert call["parent"] == outer["id"] and outer["parent"] == server["id"] and outer["trace"] == server["trace"] == 1
    assert (inner["exception.type"], inner["exception.message"]) == ("ValueError", "not today") and inner["status"] < 0
    assert server["customer.id"] == "u-1"


def test_a_log_line_knows_its_trace(loop):
    """Level, message and fields, with service, instance, trace and span."""
    small = both(loop)
    small.send("caller", "GET", "/spans")
    server = next(span for span in small.spans(SpanKind.SERVER) if span["node"] == "caller")
    (line,) = small.world.recorder.logs
    assert (line["level"], line["message"], line["attempt"], line["service"]) == ("warn", "inner failed", 1, "caller")
    assert (line["trace"], line["span"]) == (1, server["id"])


def test_a_metric_is_a_gauge_of_the_run(loop):
    """Counted by instance, under its own name."""
    small = both(loop)
    for _ in range(3):
        small.send("caller", "GET", "/spans")
    assert small.process("caller").metric("looks").value == 3
    assert ("caller", "caller-0", "looks") in small.world.recorder.names().gauges


# its life

@pytest.fixture
def living(loop):
    return SmallWorld(loop, {"living": {"code": "tests.model.sample_services:Living", "startup": "1s"}, "friend": "Echo", "db": DB})


def test_it_takes_requests_once_it_has_started(living):
    """`start` takes two seconds; whoever comes earlier finds nobody."""
    assert living.send("living", "GET", "/").status == 503
    living.loop.run_until(2.0)
    assert living.send("living", "GET", "/").status == 200


def test_a_job_runs_beside_the_requests_until_the_instance_dies(living):
    """A tick each second from t=2 on, none after the kill at t=5.5; another job's error is an event and no more."""
    living.loop.run_until(5.5)
    living.world.node("living").instances[0].kill()
    living.loop.run_until(9)
    assert [round(at, 1) for at in living.world.node("db").tables["ticks"]] == [3.0, 4.0, 5.0]
    assert living.events("background.error")[0]["error"] == "RuntimeError: beside the point"


def test_a_killed_process_can_do_nothing_more(living):
    """What it still tries in a `finally` is cancelled: the dead write nothing."""
    living.loop.run_until(2.5)
    asking = living.loop.create_task(living.sending("living", "GET", "/stubborn"))
    living.loop.run_until(4)
    living.world.node("living").instances[0].kill()
    living.loop.run_until(8)
    assert asking.result().status == 502 and not living.world.node("db").tables["ghosts"]


def test_a_drained_instance_stops_in_order(living):
    """Its last answer given, it cleans up, and is gone only then."""
    living.loop.run_until(3.5)
    instance = living.world.node("living").instances[0]
    instance.draining = True
    living.world.drained(instance)
    living.loop.run_until(4)
    assert dict(living.world.node("db").tables["stopped"]) == {"living-0": pytest.approx(3.506)} and not instance.up


# health

def test_health_runs_all_checks_at_once(living):
    """200 with a message each; 503 as soon as one fails."""
    living.loop.run_until(2)
    healthy = living.send("living", "GET", "/health")
    assert healthy.status == 200 and healthy.json == {"status": "healthy", "service": "living", "checks": {
        "database": {"status": "healthy", "message": "db answers"}, "friend": {"status": "healthy", "message": "ok"}}}
    living.world.node("friend").instances[0].kill()
    ill = living.send("living", "GET", "/health")
    assert ill.status == 503 and ill.json["checks"]["friend"] == {"status": "unhealthy", "message": "no healthy instances of friend"}
    assert [*living.world.recorder.attributes.values()] == [{"error.message": "friend: no healthy instances of friend"}]


def test_who_takes_something_else_at_that_path_is_asked_for_its_health_too(loop):
    """`POST /health` of its own is no answer to `GET /health`."""
    small = SmallWorld(loop, {"nudged": {"code": "tests.model.sample_services:Nudged"}})
    assert [small.send("nudged", method, "/health").status for method in ("GET", "POST", "PUT")] == [200, 202, 405]


def test_a_check_that_does_not_answer_is_unhealthy_after_its_time(loop):
    """Half a second, as the class says."""
    small = SmallWorld(loop, {"silent": "Silent"})
    answer = small.send("silent", "GET", "/health")
    assert loop.time() == pytest.approx(0.502) and answer.json["checks"]["the other side"]["message"] == "no answer within 0.5 s"


# what is said of code that cannot be used

@pytest.mark.parametrize(("code", "what", "cure"), [
    ("orders.py", "names no code", "package.module:name"),
    ("tests.model.sample_service:Echo", "no module 'tests.model.sample_service'", "did you mean 'sample_services'?"),
    ("nowhere.at_all:Echo", "no module 'nowhere'", "working directory"),
    ("tests.model.sample_services:Ecko", "has no 'Ecko'", "did you mean 'Echo'?"),
    ("tests.model.sample_services:Stranger", "is the class Stranger, and no service", "class Name(Service)"),
    ("tests.model.sample_services:WHOSE", "is a ContextVar, and no service", "class Name(Service)"),
    ("tests.model.sample_services:Nothing", "serves nothing", "@route"),
    ("tests.model.sample_services:Hasty", "Hasty.get is no coroutine function (", "write `async def get(...)`"),
    ("tests.model.broken_service:Broken", "cannot be imported: ZeroDivisionError", "broken_service.py:4"),
    ("tests.model.needy_service:Needy", "needs the module 'not_installed_anywhere'", "needy_service.py:3"),
])
def test_code_that_cannot_be_used_is_a_mistake_with_its_cure(code, what, cure):
    """Found when the scenario is read, at the key `code`."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AnyService).validate_python({"code": code})
    (mistake,) = mistakes(caught.value)
    assert mistake.loc == ("code",) and what in mistake.what and cure in mistake.cure


@pytest.mark.parametrize("extra", [{"endpoints": {"GET /": []}, "code": "tests.model.sample_services:Echo"}, {"work": "1ms"}])
def test_code_and_steps_do_not_mix(extra):
    """A service has its endpoints in one place."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AnyService).validate_python(extra)
    assert mistakes(caught.value)[0].cure
