"""What the tests of the plugin put into their labs, and how they run pytest inside of pytest."""

# loaded here: a pytest inside of pytest unloads what it has loaded, and numpy cannot be loaded twice
import numpy  # noqa: F401

import sim.kernel.clock
import sim.lab.run
import sim.testing.running  # noqa: F401
from sim import Request, Response, Service, route

PAYMENTS = {"instances": 2, "endpoints": {"POST /charges": [{"work": "20ms"}]}}
QUICK = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")  # hypothesis loads itself at the end of a session, which takes a second


class Orders(Service):
    """Charges, without a timeout."""

    async def start(self) -> None:
        self.taken = 0

    @route("POST", "/orders")
    async def create(self, request: Request) -> Response:
        if request.json == "broken":
            raise ZeroDivisionError("in the handler")
        self.taken += 1
        charge = await self.call("payments", "POST", "/charges")
        return Response(201 if charge.ok else 502, json={"charged": charge.ok})


class Charges(Service):
    """Takes money as fast as it is asked to."""

    @route("POST", "/charges")
    async def charge(self, request: Request) -> Response:
        return Response(201)


def shop(lab, **payments):
    """Two services: Orders, which calls payments."""
    lab.services(orders=Orders, payments={**PAYMENTS, **payments})
    return lab


def inside(pytester, text, *options):
    """Run a test file in a session of its own, with only our plugin."""
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:asyncio", "-p", "no:anyio", *options)


def apart(pytester, *options):
    """Run what lies there in a process of its own, beside the other plugins that are installed."""
    return pytester.runpytest_subprocess(*QUICK, *options)
