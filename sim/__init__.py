"""mesocosm: real asyncio code on simulated time and a simulated network.

Any asyncio code on simulated time, whatever it waits for:

>>> import asyncio
>>> from sim import SimLoop
>>> with SimLoop(seed=1) as loop:
...     loop.run_until_complete(asyncio.sleep(3600, "an hour later")), loop.time()
('an hour later', 3600.0)

A scenario, from a file (`load`) or from text (`loads`), and what its run leaves:

>>> from sim import RunResult, Scenario, loads, run
>>> scenario: Scenario = loads('''
... name: shop
... duration: 10s
... services:
...   orders: {endpoints: {"GET /orders/{id}": [{work: 5ms}]}}
... workloads:
...   users: {executor: constant-arrival-rate, rate: 20/s, arrivals: uniform, to: orders, mix: [{send: GET /orders/1}]}
... ''')
>>> result: RunResult = run(scenario, seed=1)
>>> result.summary["requests"]["ok"], result.summary["services"]["orders"]["requests"]
(199, 199)
>>> bool(result.requests.latency.max() < 0.007)  # columns are numpy's; seconds
True

>>> from sim import load
>>> load("scenarios/bugs/shared-breaker.yaml").title
'One breaker for two tenants'

The same seed gives the same bytes. `on_end` is shown the World, for what only the data of the services can tell:

>>> from sim import World
>>> def look(world: World) -> None:
...     print(", ".join(world.nodes))
>>> run(scenario, seed=1, on_end=look).digest == result.digest
orders
True

Services of your own: handlers in plain asyncio. A scenario names the class, `code: package.module:Orders`.

>>> from sim import Delivery, Request, Response, Service, health_check, route, subscribe
>>> class Orders(Service):
...     @route("GET", "/orders/{order_id}")
...     async def get(self, request: Request, order_id: str) -> Response:
...         return Response(200, json={"id": order_id, "at": self.now})
...
...     @subscribe("order.*")
...     async def listen(self, delivery: Delivery) -> None:
...         self.log.info("heard of", subject=delivery.subject)
...
...     @health_check("itself")
...     async def lives(self) -> str:
...         return "is there"

In a test (see sim.testing) the class is handed over as it is:

>>> from sim.testing import Lab
>>> with SimLoop(seed=1) as loop, Lab(loop) as lab:
...     lab.services(orders=Orders, events={"kind": "broker"})
...     lab.send("GET /orders/7", to="orders").json
{'id': '7', 'at': 0.0005}

An ASGI app is named by `asgi: package.module:app`. Its httpx clients call other services over the simulated network, those that are made
with `httpx_transport()` nowhere else:

>>> from sim import httpx_transport
>>> import httpx
>>> client = httpx.AsyncClient(transport=httpx_transport(), base_url="http://payments")

Names are loaded when they are first used, so that `import sim.resilience` in production brings no simulator with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.lab.run import run
    from sim.model.handlers import Service
    from sim.model.httpx_transport import httpx_transport
    from sim.model.marks import health_check, route, subscribe
    from sim.model.messages import Request, Response
    from sim.model.messaging import Delivery
    from sim.model.world import World
    from sim.scenario.load import load, loads
    from sim.scenario.scenario import Scenario
    from sim.telemetry.result import RunResult

_HOMES = {
    "Delivery": "sim.model.messaging",
    "Scenario": "sim.scenario.scenario",
    "Request": "sim.model.messages",
    "Response": "sim.model.messages",
    "RunResult": "sim.telemetry.result",
    "Service": "sim.model.handlers",
    "SimLoop": "sim.kernel",
    "World": "sim.model.world",
    "health_check": "sim.model.marks",
    "httpx_transport": "sim.model.httpx_transport",
    "load": "sim.scenario.load",
    "loads": "sim.scenario.load",
    "route": "sim.model.marks",
    "run": "sim.lab.run",
    "subscribe": "sim.model.marks",
}
__all__ = [
    "Delivery", "Request", "Response", "RunResult", "Scenario", "Service", "SimLoop", "World", "health_check", "httpx_transport", "load",
    "loads", "route", "run", "subscribe",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
