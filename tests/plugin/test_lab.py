"""The fixture `lab`: what a test can say of its world, do to it, and ask of it."""

import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sim import Request
from sim.errors import InvalidInput
from sim.testing.lab import FaultMissed
from tests.plugin.small import PAYMENTS, Orders, shop

# what there is

def test_three_lines_make_a_world_that_runs_and_is_measured(lab):
    """A class, a mapping, a workload; a kill by name; the share of answers over the whole run and after it."""
    lab.services(orders=Orders, payments=PAYMENTS)
    lab.workload(to="orders", send="POST /orders", rate="20/s", timeout="1s")
    lab.fault("instance.kill", target="payments", at="5s", for_="2s")
    result = lab.run("20s")
    assert 0.85 < result.measure("success_ratio") < 0.95 and result.duration == 20
    result.expect("success_ratio", from_=8, until="20s", at_least="99%")
    assert len(result.requests) == result.summary["requests"]["started"] > 300
    assert [event["at"] for event in result.events_of("fault.on")] == [5.0]


@pytest.mark.parametrize("payments", [
    "endpoints: {POST /charges: [{work: 20ms}]}",
    json.dumps(PAYMENTS),
    {"asgi": Starlette(routes=[Route("/charges", lambda request: PlainTextResponse("ok"), methods=["POST"])])},
    Starlette(routes=[Route("/charges", lambda request: PlainTextResponse("ok"), methods=["POST"])]),
    {"code": "tests.plugin.small:Charges"},
], ids=["yaml", "json", "app in a mapping", "app", "by name"])
def test_a_service_is_given_in_any_form(lab, payments):
    """YAML text, a mapping, an app, and code by its name."""
    lab.services(orders=Orders, payments=payments)
    assert lab.send("POST /orders", to="orders").status == 201


@pytest.mark.simulated
async def test_the_first_request_of_a_coroutine_finds_an_app_that_starts_in_no_time(lab):
    """Its lifespan is begun and done at t=0, before several requests of that instant leave, as before a plain test's."""
    lab.services(payments=Starlette(routes=[Route("/charges", lambda request: PlainTextResponse("ok"), methods=["POST"])]))
    answers = await asyncio.gather(*(lab.request("POST /charges", to="payments") for _ in range(3)))
    assert [answer.status for answer in answers] == [200, 200, 200] and lab.now < 0.1


def test_a_class_that_is_made_in_a_test_is_used_as_it_is(lab):
    """What the test handed over is what runs: it can be looked at, by every instance."""
    seen = []

    class Local(Orders):
        async def start(self):
            seen.append(self.instance_name)

    lab.services({"local-orders": {"code": Local, "instances": 2}})
    lab.wait(1)
    assert seen == ["local-orders-0", "local-orders-1"] and lab.process("local-orders", 1).name == "local-orders"


@pytest.mark.simulated
async def test_the_events_so_far_tell_of_an_error_in_the_background(lab):
    """Of a callback, a second after the answer; the test goes on."""

    def fail():
        raise ConnectionError("no mail today")

    async def order(request):
        asyncio.get_running_loop().call_later(1, fail)
        return PlainTextResponse("ordered")

    lab.services(shop=Starlette(routes=[Route("/", order)]))
    assert (await lab.request("GET /", to="shop")).ok
    await asyncio.sleep(2)
    assert [event["error"] for event in lab.events if event["kind"] == "background.error"] == ["ConnectionError: no mail today"]


def test_a_scenario_is_a_base_to_add_to(lab, tmp_path):
    """From a file with a plan and an override; services, workloads and faults are added."""
    scenario, plan = tmp_path / "base.yaml", tmp_path / "plan.yaml"
    scenario.write_text("name: base\nduration: 10s\nservices: {payments: {endpoints: {POST /charges: []}}}")
    plan.write_text("name: plan\nfaults: [{kind: instance.pause, target: {service: payments}, schedule: {at: 1s, for: 1s}}]")
    lab.scenario(scenario, plans=[plan], overrides=["services.payments.instances=3"])
    lab.services(orders=Orders)
    lab.workload("shoppers", to="orders", send="POST /orders", rate="10/s")
    result = lab.run("5s")
    assert [fault.kind for fault in result.faults] == ["instance.pause"] and len(lab.world.node("payments").instances) == 3
    assert result.name == "base" and result.measure("offered", "shoppers") == pytest.approx(10, rel=0.5)


def test_a_scenario_may_be_text(lab):
    """YAML, as in a file."""
    lab.scenario("""
        duration: 30s
        services: {shop: {endpoints: {GET /: [{work: 1ms}]}}}
        workloads: {users: {executor: constant-arrival-rate, rate: 10/s, to: shop, mix: [{send: GET /}]}}
        checks: [{measure: success_ratio, of: users, at_least: 99%}]
    """)
    assert lab.run("5s").summary["verdict"] == "pass"


def test_all_mistakes_are_told_with_their_lines(lab):
    """As for a file: place, cause, cure."""
    lab.services(orders={"endpoints": {"GET /": [{"call": "paymnts GET /"}]}}, payments={})
    with pytest.raises(InvalidInput, match=r"(?s)<lab>:\d+:\d+: .*paymnts.*did you mean 'payments'"):
        lab.run("1s")


@pytest.mark.parametrize(("fault", "what"), [
    (("network.latancy", {"target": "orders->payments"}), "did you mean 'network.delay'"),
    (("network.delay", {"target": "orders->payments", "latency": 5}), "'5ms' or '5s'|write"),
    (("instance.kill", {"target": "orders", "at": 1, "schedule": {"at": "1s"}}), "either `schedule` or `at`"),
])
def test_a_fault_that_makes_no_sense_is_refused_where_it_is_named(lab, fault, what):
    """The kind, a field, the times."""
    with pytest.raises(InvalidInput, match=what):
        lab.fault(fault[0], **fault[1])


def test_a_fault_of_something_that_is_not_there_is_refused(shop_lab):
    """Also while the world runs."""
    shop_lab.wait(1)
    with pytest.raises(InvalidInput, match="did you mean 'orders'"):
        shop_lab.fault("instance.kill", target="order", for_=1)


def test_parts_are_named_before_time_passes(shop_lab):
    """Afterwards the world is what it is."""
    shop_lab.wait(1)
    with pytest.raises(RuntimeError, match="before time passes"):
        shop_lab.services(more={})


# step by step

@pytest.fixture
def shop_lab(lab):
    return shop(lab)


def test_a_plain_test_goes_step_by_step(shop_lab):
    """Time passes when the test says so; a fault is on for a block, and healed after it."""
    lab = shop_lab
    lab.wait("10s")
    assert lab.now == 10 and lab.send("POST /orders", to="orders").status == 201
    with lab.fault("instance.pause", target="payments"):
        assert lab.faults[0].until is None
        answer = lab.send("POST /orders", to="orders", timeout="1s")
        assert answer.status == 504 and isinstance(answer.error, TimeoutError)
    lab.wait(1)
    assert lab.send("POST /orders", to="orders").json == {"charged": True}
    assert lab.process("orders").taken == 3
    result = lab.end()
    assert result.summary["workloads"]["the-test"]["by_status"] == {"201": 2, "timeout": 1}
    assert result.faults[0].until - result.faults[0].start == pytest.approx(1.0)
    assert result is lab.end()


@pytest.mark.simulated
async def test_a_coroutine_lives_in_its_world(shop_lab):
    """The world begins with the first `await`, even if that is a sleep; faults come by themselves, now or at their time."""
    lab = shop_lab
    lab.workload(to="orders", send="POST /orders", rate="10/s")
    await asyncio.sleep(10)
    assert lab.process("orders").taken > 50
    before = lab.now
    with lab.fault("network.delay", target="orders->payments", latency="500ms"):
        assert (await lab.request("POST /orders", to="orders")).ok
        assert lab.now - before > 0.5
    lab.fault("instance.kill", target={"instance": "payments-0"}, name="now", for_=2)
    lab.fault("instance.kill", target={"instance": "payments-1"}, name="later", at="15s", restart_after="1s")
    await asyncio.sleep(1)
    assert [(fault.name, fault.until) for fault in lab.faults[1:]] == [("now", None)]
    await asyncio.sleep(10)
    assert [(fault.name, fault.until - fault.start) for fault in lab.faults[1:]] == [("now", 2), ("later", 1)]
    assert lab.end().measure("success_ratio", "users") > 0.9


def test_a_fault_without_times_lasts_to_the_end(shop_lab):
    """Named before the world, or while it runs."""
    shop_lab.fault("instance.slow", target="payments", factor=2)
    shop_lab.wait(1)
    shop_lab.fault("instance.slow", target="payments", factor=2, name="more")
    shop_lab.wait(1)
    assert [(fault.name, fault.start, fault.until) for fault in shop_lab.end().faults] == [("instance.slow", 0, None), ("more", 1, None)]


def test_a_ramp_rises_in_a_block_too(lab):
    """Ten times as slow after ten seconds, and about half of that after five."""
    shop(lab, instances=1)
    with lab.fault("instance.slow", target="payments", factor=10, ramp={"up": "10s"}):
        lab.wait(5)
        assert lab.world.node("payments").instances[0].slowness == pytest.approx(5.5, abs=0.5)
        lab.wait(6)
        assert lab.world.node("payments").instances[0].slowness == 10
    assert lab.world.node("payments").instances[0].slowness == 1


def test_a_time_that_is_over_is_refused(shop_lab):
    """Times count from the start of the world."""
    shop_lab.wait(10)
    with pytest.raises(InvalidInput, match="is over"):
        shop_lab.fault("instance.kill", target="orders", at="5s")


def test_a_scheduled_fault_is_no_block(shop_lab):
    """It says itself when it is on."""
    with pytest.raises(RuntimeError, match="scheduled already"), shop_lab.fault("instance.kill", target="orders", at="5s"):
        pass


def test_a_fault_that_changes_nothing_is_a_warning(shop_lab):
    """The test has not shown what it was meant to."""
    shop_lab.fault("network.delay", target="orders->payments", latency="1s", name="idle")
    with pytest.warns(FaultMissed, match="idle changed nothing"):
        shop_lab.run(5)


@pytest.mark.simulated
async def test_inside_of_a_coroutine_time_passes_by_itself(shop_lab):
    """The error says what to write."""
    for act, cure in ((lambda: shop_lab.wait(1), "asyncio.sleep"), (lambda: shop_lab.run(1), "lab.end"),
                      (lambda: shop_lab.send("GET /", to="orders"), "await lab.request")):
        with pytest.raises(RuntimeError, match=cure):
            act()


def test_a_world_has_an_end(shop_lab):
    """An hour, unless the test says otherwise."""
    with pytest.raises(RuntimeError, match=r"lasts 3600 s at most: .*duration"):
        shop_lab.wait("2h")


# asking

def test_measures_are_those_of_checks(shop_lab):
    """With windows and bounds; what is not kept is told with its number."""
    shop_lab.workload(to="orders", send="POST /orders", rate="20/s")
    result = shop_lab.run("10s")
    assert 0.02 < result.measure("latency.p50") < 0.1 and result.measure("utilisation", "payments") == pytest.approx(0.012, rel=0.5)
    result.expect("latency.p99", of="orders->payments", at_most="1s", at_least="1ms")
    with pytest.raises(AssertionError, match=r"latency.p50 of users, 2 s to 10 s: expected at most 1ms, and it is 2\d\.?\d*ms"):
        result.expect("latency.p50", at_most="1ms", from_=2)
    with pytest.raises(AssertionError, match=r"expected at least 22/s, and it is [12]\d(\.\d)?/s$"):
        result.expect("goodput", at_least="22/s")
    with pytest.raises(InvalidInput, match=r"unknown measure 'latncy.p50'"):
        result.measure("latncy.p50")
    with pytest.raises(InvalidInput, match=r"there is no .*'orderz'"):
        result.measure("queue", "orderz")


def test_what_a_failing_assertion_shows_fits_on_a_line(shop_lab):
    """An answer with its status and what is in it, or why there is none; a result with its seed and how it went."""
    assert repr(shop_lab.send("POST /orders", to="orders")) == "<Response 201 {'charged': True}>"
    with shop_lab.fault("instance.pause", target="payments"):
        late = shop_lab.send("POST /orders", to="orders", timeout="1s")
    assert repr(late).startswith("<Response 504 AttemptTimeout: ")
    result = shop_lab.end()
    assert repr(result).startswith("<LabResult lab, seed 1: 2 requests in 1.") and repr(result.requests) == "<Requests: 2 rows>"
    assert repr(Request("POST", "/orders", body={"sku": "a"})) == "<Request POST /orders {'sku': 'a'}>"


def test_the_same_seed_gives_the_same_bytes(lab):
    """As `run` of the same scenario does."""
    from sim import run
    from sim.testing.draft import Draft

    data = {"services": {"payments": PAYMENTS}, "duration": "5s",
            "workloads": {"users": {"to": "payments", "rate": "20/s", "mix": [{"send": "POST /charges"}]}}}
    draft = Draft(str)
    draft.add(data)
    lab.scenario(data)
    assert lab.run("5s").digest == run(draft.scenario(), seed=lab.seed).digest
