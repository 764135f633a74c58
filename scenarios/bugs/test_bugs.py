"""The three bugs as the test suites of their apps would find them.

    pytest scenarios/bugs                what is wrong fails, as it is expected to (x), and what is fixed passes
    pytest scenarios/bugs --runxfail     shows how it fails: under which faults, and how to see it again
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from scenarios.bugs.ledger import Payments
from sim.testing import Lab

both = pytest.mark.parametrize("app", [
    pytest.param("app", marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason="the bug")), pytest.param("fixed"),
])


@both
def test_nobody_is_charged_twice(lab: Lab, app: str) -> None:
    """For five seconds every third answer of payments is lost on its way."""
    lab.services(checkout={"asgi": f"scenarios.bugs.double_charge:{app}"}, payments=Payments, ledger={"kind": "database"})
    lab.workload(to="checkout", send="POST /orders", json={"order_id": "o-{seq}", "amount": 1000}, rate="20/s")
    lab.fault("network.reset", target={"link": "checkout->payments", "direction": "from"}, probability="33%", at="2s", for_="5s")
    lab.run("10s")
    charges = Counter(charge["order_id"] for charge in lab.tables("ledger")["charges"].values())
    assert [order for order, times in charges.items() if times > 1] == [], "charged more than once"


@both
def test_a_tenant_is_served_while_another_ones_backend_fails(lab: Lab, app: str) -> None:
    """Step by step: ten requests of blue fail, then green asks for something."""
    backend = {"endpoints": {"GET /": [{"work": "5ms"}]}}
    lab.services(proxy={"asgi": f"scenarios.bugs.shared_breaker:{app}"}, blue=backend, green=backend)
    with lab.fault("http.abort", target="blue", probability="100%", status=500):
        for _ in range(10):
            assert lab.send("GET /blue/things", to="proxy").status >= 500
        assert lab.send("GET /green/things", to="proxy").status == 200, "green suffers for blue"


@both
@pytest.mark.simulated
async def test_pages_come_without_recommendations(lab: Lab, app: str) -> None:
    """The recommendations stand still. After a while somebody else wants a page."""
    lab.services(pages={"asgi": f"scenarios.bugs.missing_timeout:{app}"},
                 recommendations={"endpoints": {"GET /for/{sku}": [{"work": "10ms"}]}})
    lab.workload("readers", to="pages", send="GET /products/p-{zipf:100}", rate="40/s", timeout="2s")
    await asyncio.sleep(5)
    with lab.fault("instance.pause", target="recommendations"):
        await asyncio.sleep(5)
        page = await lab.request("GET /products/p-1", to="pages", timeout="2s")
        assert page.status == 200, f"all workers wait, and so does who wants a page: {page.status}"
