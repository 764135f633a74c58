"""Code of the user's own that draws from Python's own generator, or from the machine: a run repeats all the same."""

import random
import uuid

from sim import Request, Response, Service, loads, route, run

SCENARIO = """
name: dice
duration: 5s
services: {dice: {code: "tests.lab.test_chance:Dice"}}
workloads: {users: {executor: constant-arrival-rate, rate: 20/s, to: dice, mix: [{send: GET /}]}}
"""


class Dice(Service):
    """Takes its time, as a retry library with jitter does."""

    @route("GET", "/")
    async def throw(self, request: Request) -> Response:
        await self.work(random.random() / 100 + random.Random().random() / 100 + uuid.uuid4().int % 1000 / 1e5)
        return Response(200)


def test_the_same_seed_gives_the_same_bytes():
    """Whatever was drawn before; and afterwards the generator goes on as if nothing had been."""
    scenario = loads(SCENARIO)
    random.seed("something else")
    before = random.getstate()
    first = run(scenario, seed=1)
    assert random.getstate() == before
    random.random()
    assert run(scenario, seed=1).digest == first.digest != run(scenario, seed=2).digest
