"""A user's own ASGI app as a service, and its httpx calls over the simulated network."""

import asyncio
import sys
import types

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from sim import httpx_transport
from sim.kernel import NotSimulated, SimLoop
from sim.kernel.clock import virtual_clock
from sim.mistakes import mistakes
from sim.model.services import AnyService
from sim.model.whose import tasks_of
from sim.telemetry.codes import SpanKind
from tests.model.small_world import SmallWorld

APPS = "tests.model.apps"


@pytest.fixture
def loop():
    with SimLoop(seed=7) as loop, virtual_clock(loop):
        yield loop


@pytest.fixture
def plain(loop):
    small = SmallWorld(loop, {"shop": {"asgi": f"{APPS}.plain:app", "work": "10ms"}})
    loop.run_until(2)
    return small


def two(loop, backend):
    return SmallWorld(loop, {"front": {"asgi": f"{APPS}.calling:app"}, "backend": backend})


# requests and answers

def test_the_app_gets_the_request_as_a_server_gives_it(plain):
    """Method, path, query, headers and body; the answer has the app's status, body and headers."""
    answer = plain.send("shop", "POST", "/echo?page=2", json={"a": [1]}, headers={"user-agent": "test"})
    assert answer.status == 201 and answer.headers["content-type"] == "application/json"
    assert answer.json == {"body": {"a": [1]}, "query": {"page": "2"}, "count": 1, "opened": 2.0, "agent": "test",
                           "type": "application/json"}
    assert plain.loop.time() == pytest.approx(2.012)


@pytest.mark.parametrize(("path", "status", "text"), [
    ("/items/42", 200, b"42"), ("/items/x", 404, b"Not Found"), ("/synchronous", 200, b"in a thread, elsewhere"),
    ("/broken", 500, b"Internal Server Error"),
])
def test_the_app_answers_for_itself(plain, path, status, text):
    """Its routes, its 404, its sync handlers, and what its framework makes of an error."""
    answer = plain.send("shop", "GET", path)
    assert (answer.status, answer.content) == (status, text)


def test_an_error_of_the_app_is_recorded(plain):
    """The framework has answered and raises all the same: an event, and the error at the span."""
    plain.send("shop", "GET", "/broken")
    assert plain.events("handler.error")[0]["error"] == "ZeroDivisionError: in the app"
    assert plain.spans(SpanKind.SERVER)[-1]["exception.type"] == "ZeroDivisionError"


def test_an_answer_in_pieces_arrives_when_it_is_complete(plain):
    """Three pieces, half a second apart."""
    answer = plain.send("shop", "GET", "/stream")
    assert answer.content == b"0;1;2;" and plain.loop.time() == pytest.approx(2 + 1.5 + 0.012)


def test_requests_are_recorded_under_the_routes_of_the_app(plain):
    """Not under each path that comes."""
    plain.send("shop", "GET", "/items/42")
    assert plain.spans(SpanKind.SERVER)[-1]["name"] == "GET /items/{item}"


def test_websockets_are_refused_with_the_reason(plain):
    """501, and what to do instead."""
    answer = plain.send("shop", "GET", "/items/1", headers={"upgrade": "websocket"})
    assert answer.status == 501 and "websockets are not simulated" in answer.json["error"]


def test_a_background_task_does_not_hold_the_answer_back(plain):
    """The mail takes five seconds: the caller has his answer at once, the worker is free again, and the mail is written all the same."""
    assert plain.send("shop", "GET", "/order").content == b"ordered" and plain.loop.time() == pytest.approx(2.012)
    assert plain.world.node("shop").instances[0].busy.value == 0
    plain.loop.run_until(8)
    assert plain.send("shop", "GET", "/mails").json == [pytest.approx(7.011)]


def test_an_error_of_a_background_task_is_an_event_of_its_own(plain):
    """The request was answered well, and its span says no other."""
    assert plain.send("shop", "GET", "/order?fails").status == 200
    plain.loop.run_until(8)
    (event,) = plain.events("background.error")
    assert (event["instance"], event["trace"], event["error"]) == ("shop-0", 1, "ConnectionError: no mail today")
    assert not plain.events("handler.error") and "exception.type" not in plain.spans(SpanKind.SERVER)[-1]


def test_a_background_task_ends_with_its_instance(plain):
    """Killed after one of its five seconds: no mail is written, also not by the process that comes after it."""
    plain.send("shop", "GET", "/order")
    instance = plain.world.node("shop").instances[0]
    process = plain.process("shop")
    plain.loop.run_until(3)
    instance.kill()
    plain.loop.run_until(20)
    assert not tasks_of(instance) and not hasattr(process.app.state, "mails")


def test_an_instance_that_is_drained_finishes_its_background_tasks(plain):
    """Five seconds for the mail, then one for the shutdown of the app, as uvicorn does."""
    plain.send("shop", "GET", "/order")
    instance = plain.world.node("shop").instances[0]
    instance.drain()
    plain.loop.run_until(7.9)
    assert instance.up and plain.process("shop").app.state.mails == [pytest.approx(7.011)]
    plain.loop.run_until(8.1)
    assert not instance.up


def test_an_app_that_cancels_its_own_work_answers_500(plain):
    """The caller is told at once, and the event says what happened."""
    assert plain.send("shop", "GET", "/cancelled").status == 500 and plain.loop.time() == pytest.approx(2.012)
    assert plain.events("handler.error")[0]["error"].startswith("CancelledItself: CancelledError in a request that nobody has called off")


# its life

def test_the_app_starts_before_the_first_request_and_stops_after_the_last(loop):
    """A start of 2 s: nobody is there before. A stop of 1 s."""
    small = SmallWorld(loop, {"shop": {"asgi": f"{APPS}.plain:app"}})
    assert small.send("shop", "GET", "/items/1").status == 503
    loop.run_until(3)
    instance = small.world.node("shop").instances[0]
    instance.draining = True
    small.world.drained(instance)
    loop.run_until(3.9)
    assert instance.up
    loop.run_until(4.1)
    assert not instance.up


def test_every_replica_and_every_restart_has_the_app_to_itself(loop):
    """The module's counter is that of one process."""
    small = SmallWorld(loop, {"shop": {"asgi": f"{APPS}.plain:app", "instances": 2}})
    loop.run_until(2)
    counts = [small.send("shop", "POST", "/echo", json=1).json["count"] for _ in range(4)]
    assert counts == [1, 1, 2, 2]
    for instance in small.world.node("shop").instances:
        instance.kill()
        instance.start()
    loop.run_until(5)
    assert small.send("shop", "POST", "/echo", json=1).json["count"] == 1


def test_an_app_that_cannot_start_takes_no_requests_and_says_why(loop):
    """Its own words are in the event."""
    small = SmallWorld(loop, {"shop": {"asgi": f"{APPS}.plain:refuses_to_start"}})
    loop.run_until(1)
    assert small.send("shop", "GET", "/").status == 503
    assert small.events("startup.failed")[0]["error"] == "the app's startup failed: no licence"


def test_an_app_that_ends_the_program_has_failed_to_start(loop):
    """`sys.exit(1)` in its lifespan, where it misses something: the instance does not come up, and the run goes on."""
    small = SmallWorld(loop, {"shop": {"asgi": f"{APPS}.plain:exiting"}})
    loop.run_until(1)
    assert "sys.exit(1) in service code" in small.events("startup.failed")[0]["error"]


def test_an_app_that_ends_the_program_while_it_serves_answers_500(plain):
    """And serves the next request."""
    assert plain.send("shop", "GET", "/exit").status == 500
    assert plain.send("shop", "GET", "/items/42").status == 200
    assert "sys.exit(1) in service code" in plain.events("handler.error")[0]["error"]


# an app without a framework

@pytest.mark.parametrize(("path", "what"), [
    ("/silent", "the app returned without a complete answer"),
    ("/odd", "the app sent 'websocket.accept', which this server does not offer"),
])
def test_an_app_that_breaks_the_rules_is_a_500(loop, path, what):
    """The event says which rule."""
    small = SmallWorld(loop, {"bare": {"asgi": f"{APPS}.plain:bare"}})
    loop.run_until(0)
    assert small.send("bare", "GET", path).status == 500
    assert what in small.events("handler.error")[0]["error"]


def test_a_bare_app_is_served_too(loop):
    """429 and Retry-After come through, also to a policy that retries."""
    small = SmallWorld(loop, {"bare": {"asgi": f"{APPS}.plain:bare"}})
    loop.run_until(0)
    answer = small.send("bare", "GET", "/", policies=[{"retry": {"max_attempts": 2, "on": [429]}}])
    assert (answer.status, answer.content, answer.retry_after) == (429, b"slow ", 7.0) and loop.time() == pytest.approx(7.004)


def test_the_app_learns_that_its_caller_has_gone(loop):
    """`receive` says so when the caller's patience is over, after a second and not after a minute."""
    small = SmallWorld(loop, {"bare": {"asgi": f"{APPS}.plain:bare"}})
    loop.run_until(0)
    assert small.send("bare", "GET", "/gone", policies=[{"timeout": "1s"}]).status == 504
    loop.run_until(2)
    assert small.spans(SpanKind.SERVER)[-1]["end"] == pytest.approx(1.0)


# httpx over the simulated network

def test_httpx_calls_another_service_by_its_name(loop):
    """What the client adds arrives, the answer is httpx' own, and the call is a child span of the request."""
    small = two(loop, {"asgi": f"{APPS}.plain:app"})
    loop.run_until(2)
    answer = small.send("front", "POST", "/echo")
    assert answer.json["status"] == 201 and answer.json["type"] == "application/json" and '"p":"ü"' in answer.json["text"]
    call = next(span for span in small.spans(SpanKind.CLIENT) if span["node"] == "front")
    server = next(span for span in small.spans(SpanKind.SERVER) if span["node"] == "front")
    assert call["parent"] == server["id"] and call["trace"] == 1 and call["name"] == "POST /echo"


def test_headers_that_come_twice_arrive_twice(loop):
    """Two tags on the way there, two cookies on the way back; a comma in one of them parts nothing."""
    small = two(loop, {"asgi": f"{APPS}.plain:app"})
    loop.run_until(2)
    found = small.send("front", "GET", "/collect").json
    assert found["tags"] == ["one", "two"]
    assert found["cookies"] == ["a=1; Path=/; SameSite=lax", 'b="2\\054 and more"; Path=/; SameSite=lax']


def test_an_app_calls_a_service_of_handlers_and_of_steps(loop):
    """Bodies are JSON on the wire, whatever is behind."""
    small = two(loop, {"code": "tests.model.sample_services:Echo"})
    loop.run_until(0)
    assert small.send("front", "POST", "/echo").json == {"status": 200, "text": '{"a":1}', "type": "application/json"}
    with SimLoop(seed=7) as other:
        small = two(other, {"endpoints": {"POST /echo": [{"return": {"status": 204}}]}})
        other.run_until(0)
        assert small.send("front", "POST", "/echo").json["status"] == 204


@pytest.mark.parametrize(("backend", "act", "error"), [
    ({"endpoints": {"GET /x": [{"sleep": "5s"}]}}, None, "ReadTimeout"),
    ({"endpoints": {"GET /x": []}}, "kill", "ConnectError"),
    ({"endpoints": {"GET /x": [{"sleep": "500ms"}]}}, "kill later", "ReadError"),
])
def test_what_goes_wrong_is_raised_as_httpx_would(loop, backend, act, error):
    """Its timeout of one second, nobody there, and a connection that breaks under the call."""
    small = two(loop, backend)
    loop.run_until(0)
    instance = small.world.node("backend").instances[0]
    if act == "kill":
        instance.kill()
    if act == "kill later":
        loop.call_later(0.2, instance.kill)
    assert small.send("front", "GET", "/x").json["error"] == error


def test_a_refusal_of_a_policy_is_a_pool_timeout(loop):
    """A bulkhead that `uses` states for the dependency: nothing was sent."""
    small = SmallWorld(loop, {
        "front": {"asgi": f"{APPS}.calling:app", "uses": {"backend": {"policies": [{"bulkhead": {"max_concurrent_calls": 1}}]}}},
        "backend": {"endpoints": {"GET /x": [{"sleep": "500ms"}]}}})
    loop.run_until(0)

    async def both():
        return await asyncio.gather(*(small.sending("front", "GET", "/x") for _ in range(2)))

    assert sorted(answer.json.get("error", "") for answer in loop.run_until_complete(both())) == ["", "PoolTimeout"]


def test_who_is_refused_by_a_rate_is_told_when_to_come_again(loop):
    """`Retry-After` in whole seconds, rounded up: two a minute, and the third is to wait for 30 s, less the way there."""
    small = SmallWorld(loop, {
        "front": {"asgi": f"{APPS}.calling:app"}, "orders": {"endpoints": {"GET /x": []}},
        "backend": {"kind": "gateway", "rate_limit": {"rate": "2/min", "burst": 1}, "routes": [{"path": "/x", "to": "orders"}]}})
    loop.run_until(0)
    told = [small.send("front", "GET", "/x").json for _ in range(2)]
    assert [(one["status"], one.get("wait")) for one in told] == [(200, None), (429, "30")]


def test_an_unknown_host_is_a_connect_error_with_the_nearest_name(loop):
    """As a resolver would say it, and what was probably meant."""
    small = two(loop, {"endpoints": {}})
    loop.run_until(0)
    assert "did you mean 'backend'?" in small.send("front", "GET", "/elsewhere").json["text"]


def test_outside_of_a_simulation_the_transport_refuses_and_httpx_is_its_own():
    """The transport says where it belongs; a client without one still uses sockets."""

    async def call(**options):
        async with httpx.AsyncClient(**options) as client:
            await client.get("http://127.0.0.1:9/")

    with pytest.raises(RuntimeError, match="use it in code that a service of a scenario runs"):
        asyncio.run(call(transport=httpx_transport()))
    with pytest.raises(httpx.ConnectError):
        asyncio.run(call())


def test_grpc_is_refused_inside_of_a_simulation_with_what_to_do_instead(loop, monkeypatch):
    """Its sockets and threads would go past the event loop; outside it is as it was."""
    grpc = types.ModuleType("grpc")
    grpc.aio = types.SimpleNamespace(insecure_channel=lambda target: target, secure_channel=None, server=None)
    monkeypatch.setitem(sys.modules, "grpc", grpc)
    SmallWorld(loop, {"shop": {"asgi": f"{APPS}.plain:app"}})

    async def connect():
        return grpc.aio.insecure_channel("payments:50051")

    assert asyncio.run(connect()) == "payments:50051"
    with pytest.raises(NotSimulated, match="protocol: grpc"):
        loop.run_until_complete(connect())


def test_an_app_may_be_whatever_can_be_called_as_one(loop):
    """Functions, methods, objects and classes, also wrapped and decorated."""
    shapes = ("function", "partial", "in_middleware", "decorated", "instance", "method", "passing", "decorated_call", "slotted", "Endpoint",
              "fastapi")
    small = SmallWorld(loop, {shape: {"asgi": f"{APPS}.shapes:{shape}"} for shape in shapes})
    loop.run_until(1)
    answers = {shape: small.send(shape, "GET", "/").content for shape in shapes}
    assert answers == {shape: b'"here"' if shape == "fastapi" else b"here" for shape in shapes}


# what is said of apps that cannot be used

@pytest.mark.parametrize(("asgi", "what"), [
    (f"{APPS}.plain:ap", "has no 'ap'"), (f"{APPS}.plain:count", "is a int, and no ASGI app"),
    ("tests.model.sample_services:Stranger", "is the class Stranger"), (f"{APPS}.shapes:OfTwo", "is the class OfTwo"),
    ("os.path:join", "is no coroutine function"), (f"{APPS}.shapes:plain", "is no coroutine function"),
    ("builtins:print", "is no coroutine function"),
    (f"{APPS}.shapes:create_app", "does not take the three arguments"), (f"{APPS}.shapes:wsgi", "does not take the three arguments"),
    (f"{APPS}.shapes:fastapi.get", "does not take the three arguments"),
])
def test_what_is_no_app_is_a_mistake(asgi, what):
    """Found when the scenario is read, at the key `asgi`."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AnyService).validate_python({"asgi": asgi})
    (mistake,) = mistakes(caught.value)
    assert mistake.loc == ("asgi",) and what in mistake.what and mistake.cure
