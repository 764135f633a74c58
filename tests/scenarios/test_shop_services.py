"""What the services of the shop answer, log, trace and mail."""

import pytest

from scenarios.ecommerce.payment_provider import STATUSES
from sim.kernel import SimLoop
from sim.lab.run import run
from sim.scenario.load import read, validated
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import SpanKind
from tests.model.small_world import SmallWorld

ORDER = {"customer_id": "u-7", "items": [{"sku": "p-1", "quantity": 2}]}
SHOP = {"authorization": "Bearer demo-token"}


@pytest.fixture
def shop():
    """The whole shop of checkout.yaml, without load; the provider fails and declines only where a test says so."""
    sound = ["services.payment-provider.config.decline=0.0", "services.payment-provider.config.error=0.0", "services.smtp.error_rate=0%"]
    data = read("scenarios/ecommerce/checkout.yaml", overrides=sound).data
    with SimLoop(seed=3) as loop:
        small = SmallWorld(loop, data["services"])
        loop.run_until(1)
        yield small


def mails(shop):
    """The titles of the mails that were sent, in order."""
    return [line["title"] for line in shop.world.recorder.logs if line["message"] == "mail sent"]


def test_an_order_is_taken_paid_and_told(shop):
    """201, the money in the ledger, the goods set aside, and two mails to the customer."""
    answer = shop.send("gateway", "POST", "/api/orders", json=ORDER, headers=SHOP)
    order_id = answer.json["id"]
    assert answer.status == 201 and answer.json["status"] == "confirmed"
    assert shop.world.node("provider-ledger").tables["charges"][order_id] == {"amount": 2 * 537, "status": "succeeded"}
    assert shop.world.node("inventory-db").tables["stock"]["p-1"].reserved == 2
    shop.loop.run_until(5)
    assert mails(shop) == ["We have your order", "Your order is confirmed"]


def test_the_spans_of_an_order_have_the_lesson_s_names_and_attributes(shop):
    """order.create with order.validate and order.payment inside, and what they are about."""
    order_id = shop.send("gateway", "POST", "/api/orders", json=ORDER, headers=SHOP).json["id"]
    spans = {span["name"]: span for span in shop.spans(SpanKind.INTERNAL) if span["trace"]}
    assert set(spans) == {"order.create", "order.validate", "order.payment"}
    for span in spans.values():
        assert (span["order.id"], span["customer.id"], span["order.total"]) == (order_id, "u-7", 1074)
    assert spans["order.validate"]["parent"] == spans["order.payment"]["parent"] == spans["order.create"]["id"]


def test_a_new_user_gets_a_welcome_mail(shop):
    """201 at once; the event goes through the outbox and the broker to the mailer."""
    answer = shop.send("gateway", "POST", "/api/users", json={"email": "ada@example.org", "name": "Ada Lovelace"})
    assert answer.status == 201 and answer.json["profile"] == {"first_name": "Ada", "last_name": "Lovelace"}
    shop.loop.run_until(4)
    assert mails(shop) == ["Welcome to the shop"]


@pytest.mark.parametrize(("method", "path", "json", "headers", "status"), [
    ("GET", "/api/users/u-1", None, {}, 200), ("GET", "/api/users/nobody", None, {}, 404),
    ("POST", "/api/users", {"email": "none"}, {}, 400),
    ("GET", "/api/products/p-5", None, {}, 200), ("GET", "/api/products/p-0", None, {}, 404),
    ("GET", "/api/orders/o-5", None, SHOP, 200), ("GET", "/api/orders/o-5/details", None, SHOP, 200),
    ("GET", "/api/orders/o-0", None, SHOP, 404), ("GET", "/api/orders/o-5", None, {}, 401),
    ("POST", "/api/orders", {}, SHOP, 422), ("POST", "/api/orders", {**ORDER, "customer_id": "nobody"}, SHOP, 422),
    ("POST", "/api/orders", {**ORDER, "items": [{"sku": "p-0", "quantity": 1}]}, SHOP, 422), ("GET", "/api/carts/1", None, {}, 404),
    ("GET", "/api/me/summary", None, SHOP, 200),
])
def test_the_api_answers(shop, method, path, json, headers, status):
    """What is there, what is not, and who may ask."""
    assert shop.send("gateway", method, path, json=json, headers=headers).status == status


def test_composition_gives_a_partial_answer(shop):
    """The catalogue is down: the order's details come without the articles, and count as degraded."""
    for instance in shop.world.node("products").instances:
        instance.kill()
    answer = shop.send("gateway", "GET", "/api/orders/o-5/details", headers=SHOP)
    assert answer.status == 200 and answer.degraded
    assert answer.json["customer"]["id"] == "u-6" and answer.json["products"] == [None]


def test_the_view_lags_and_the_order_is_found_all_the_same(shop):
    """Asked at once, it is read from its events; a quarter of a second later the view knows it."""
    order_id = shop.send("gateway", "POST", "/api/orders", json=ORDER, headers=SHOP).json["id"]
    views = shop.world.node("order-db").tables["order-views"]
    at_once = shop.send("orders", "GET", f"/orders/{order_id}").json
    shop.loop.run_until(shop.loop.time() + 0.5)
    assert at_once["status"] == "confirmed" and views[order_id].status.value == "confirmed"


# money

@pytest.mark.parametrize("times", [1, 3])
def test_a_key_is_charged_once(shop, times):
    """However often somebody asks."""
    body = {"order_id": "o-x", "idempotency_key": "o-x", "amount_cents": 500, "currency": "EUR"}
    assert [shop.send("payments", "POST", "/charges", json=body).status for _ in range(times)] == [201] * times
    assert shop.world.node("provider-ledger").tables["charges"]["o-x"]["amount"] == 500


def test_a_refund_that_comes_first_wins(shop):
    """The charge that arrives late takes nothing: 409, and nothing in the ledger."""
    body = {"order_id": "o-x", "idempotency_key": "o-x", "amount_cents": 500, "currency": "EUR"}
    assert shop.send("payments", "POST", "/refunds", json=body).status == 200
    assert shop.send("payments", "POST", "/charges", json=body).status == 409
    assert shop.world.node("provider-ledger").tables["charges"]["o-x"]["status"] == "canceled"


def test_the_provider_s_errors_never_leak(shop):
    """Whatever it answers, our own words come out: 503 and `payment_unavailable`."""
    shop.world.node("payment-provider").instances[0].config["error"] = 1.0
    body = {"order_id": "o-x", "idempotency_key": "o-x", "amount_cents": 500, "currency": "EUR"}
    answer = shop.send("payments", "POST", "/charges", json=body)
    assert answer.status == 503 and answer.json == {"error": "payment_unavailable", "detail": "the provider answered 500"}
    assert "api_error" not in str(answer.json) and set(STATUSES.values()) == {"captured", "refunded"}


def test_a_declined_card_cancels_the_order_and_gives_the_goods_back(shop):
    """402 at once; the reservation is released and the customer is told why."""
    shop.world.node("payment-provider").instances[0].config["decline"] = 1.0
    answer = shop.send("gateway", "POST", "/api/orders", json=ORDER, headers=SHOP)
    assert answer.status == 402
    shop.loop.run_until(5)
    assert shop.world.node("inventory-db").tables["stock"]["p-1"].reserved == 0
    assert mails(shop) == ["We have your order", "Your order is cancelled"]


# health

@pytest.mark.parametrize("service", ["users", "products", "orders", "inventory", "payments", "notifications"])
def test_every_service_tells_how_it_is(shop, service):
    """Its own database is checked; without it, it is unhealthy and says so."""
    answer = shop.send(service, "GET", "/health")
    assert answer.status == 200 and answer.json["checks"]["database"]["status"] == "healthy"
    database = service.removesuffix("s") + "-db"
    shop.world.node(database).instances[0].kill()
    answer = shop.send(service, "GET", "/health")
    assert answer.status == 503 and "no healthy instances" in answer.json["checks"]["database"]["message"]


def test_the_scenario_is_sound():
    """As `mesocosm check` finds it, with all its variants."""
    for name in ("checkout", "checkout-steps", "monolith"):
        assert validated(read(f"scenarios/ecommerce/{name}.yaml"), Scenario).name == name


def test_nobody_is_sent_to_before_the_registry_knows_whom():
    """The scenario's load begins when every instance has passed its first check: nothing fails at the start."""
    few = ["workloads.shoppers.rate=20/s", "duration=16s", "warmup=0s", "checks=[]", "steady_state=[]"]
    result = run(validated(read("scenarios/ecommerce/checkout.yaml", overrides=few), Scenario))
    assert result.summary["requests"]["started"] > 100 and result.summary["requests"]["failed"] == 0
    assert min(result.requests.start) > 10
