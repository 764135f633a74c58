"""A small world for one test: say what there is, let time pass, break things, look.

    lab.services(orders=Orders, payments={"endpoints": {"POST /charges": [{"work": "20ms"}]}})
    lab.workload(to="orders", send="POST /orders", rate="20/s")
    lab.fault("network.delay", target="orders->payments", latency="2s", at="5s", for_="5s")
    result = lab.run("20s")

or a step at a time, with requests of the test's own:

    lab.wait("10s")
    with lab.fault("instance.pause", target="payments"):
        assert lab.send("POST /orders", to="orders", timeout="1s").status == 504
    result = lab.end()

In a test that is a coroutine (`@pytest.mark.simulated`), `await lab.request(...)` and `await asyncio.sleep(10)` take the place of `send`
and `wait`. The world comes to be when time first passes, or with `start`; its parts can be named until then.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from sim.errors import InvalidInput
from sim.kernel import SimLoop
from sim.kernel.problems import waiting_for
from sim.lab.run import SAMPLES, machine_of
from sim.lab.session import Session
from sim.model.messages import Request, Response
from sim.model.world import World
from sim.telemetry.result import FaultInterval
from sim.testing.draft import Draft, FilePath, folder_of, written
from sim.testing.faults import LabFault, as_duration, write_fault
from sim.testing.given import given
from sim.testing.result import LabResult, lab_result
from sim.testing.visitor import NAME, Visitor
from sim.units import parse_duration

SAMPLE_EVERY = 0.1  # seconds, of a world whose end is not known when it begins
TEST = "the test"  # the name of the task that the test runs in
LONGER = "if it should last longer, say so before it begins, `lab.scenario({'duration': '5h'})`"


class FaultMissed(UserWarning):
    """A fault changed nothing, so that the test has not shown what it was meant to."""


class TooLong(RuntimeError):
    """The test waits for something that does not come while the world goes on."""


class Lab:
    """The world of one test on *loop*, whose seed is that of the world. Times are simulated seconds, or texts with their unit."""

    def __init__(self, loop: SimLoop) -> None:
        self.loop, self.seed = loop, loop.seed
        self._stack = ExitStack()
        self._draft = Draft(lambda thing: self._stack.enter_context(given(thing)))
        self._session: Session | None = None
        self._waiting: list[LabFault] = []  # faults without a schedule that no block has begun yet
        self._coming = False
        self._coming_up: asyncio.Task[None] | None = None  # what takes no time of what services do before their first request
        self._result: LabResult | None = None

    # what there is

    def services(self, services: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Add services by name. Each is a mapping or YAML text as in a scenario, a class derived from Service, or an ASGI app.

        In a mapping `code` and `asgi` may be the class or the app itself. It is then used as it is, by all instances; what is named by a
        text, `package.module:name`, is loaded anew for each, as for a process of its own.
        """
        for some in (services or {}, named):
            self.scenario({"services": some})

    def workload(self, name: str = "users", /, *, to: str, send: str | None = None, **fields: Any) -> None:
        """Load on the world, with the fields of a scenario: `rate="50/s"`, `timeout="1s"`, `mix=[...]`, or a single *send*
        with its `headers` and `json`."""
        if send is not None:
            of_the_request = {key: fields.pop(key) for key in ("headers", "json") if key in fields}
            fields["mix"] = [{"send": send, **of_the_request}]
        self.scenario({"workloads": {name: {"to": to, **fields}}})

    def scenario(self, what: FilePath | Mapping[str, Any], *, plans: Sequence[FilePath] = (), variant: str | None = None,
                 overrides: Sequence[str] = ()) -> None:
        """Add all that a scenario has: a file, with fault *plans*, a *variant* and *overrides* (`PATH=VALUE`), YAML text, or a mapping."""
        if self._session is not None:
            raise RuntimeError("the world is there already: name its parts before time passes in it")
        self._draft.add(written(what, plans, variant, overrides))
        self._draft.folder = self._draft.folder or folder_of(what)
        if self.loop.is_running() and not self._coming:
            self._coming = True
            self.loop.call_soon(self._begin)  # what the test says before its first `await` is part of the world

    def fault(self, kind: str, *, at: float | str | None = None, for_: float | str | None = None, **fields: Any) -> LabFault:
        """Something that goes wrong, by its kind and fields in a scenario.

        A `target` that is a text is a link `orders->payments`, or a service. *at* a time of the simulation, *for_* so long (alone: from
        now on), or as `schedule` says. Without any of these it is on for a `with` block, or, if there is none, from now to the end.
        """
        fault = LabFault(write_fault(kind, fields, at, for_, self.now), self._begin)
        if self._session is not None:
            fault.join(self._session)
        else:
            self._waiting.append(fault)
        return fault

    # letting time pass

    def start(self) -> World:
        """Let the world come to be, if it is not there yet. A service that needs time to start takes no requests before: `wait` for it."""
        begins = self._session is None
        session = self._begin()
        if begins and not self.loop.is_running():
            self.loop.run_until(self.loop.time())
        return session.world

    def wait(self, time: float | str) -> None:
        """Let so much time pass."""
        self._not_inside("await asyncio.sleep(...)")
        self.start()
        until = self.loop.time() + _seconds(time)
        if until > self._longest:
            raise RuntimeError(f"a world lasts {self._longest:g} s at most: {LONGER}")
        self.loop.run_until(until)

    def run(self, time: float | str) -> LabResult:
        """Let so much time pass, and end the world."""
        self._not_inside("await asyncio.sleep(...), then lab.end()")
        if self._session is None:
            self._draft.add({"duration": as_duration(time)})
            self._begin(_seconds(time) / SAMPLES)
        self.wait(time)
        return self.end()

    def end(self) -> LabResult:
        """End the world here and reckon; again: the same result."""
        if self._result is None:
            session = self._begin()
            session.world.recorder.sample()
            visitor = {name: load.spec for name, load in session.loads.items() if name == NAME}
            scenario = session.scenario.model_copy(update={"workloads": {**session.scenario.workloads, **visitor}})
            self._result = lab_result(session.end(), scenario)
            for missed in self._result.summary["warnings"]:
                warnings.warn(f"the fault {missed['name']} changed nothing: {missed['why']}", FaultMissed, stacklevel=2)
        return self._result

    # requests

    async def request(self, send: str, *, to: str, json: Any = None, headers: Mapping[str, str] | None = None,
                      timeout: str | None = None) -> Response:
        """The answer to one request, `"POST /orders"`, that the test itself sends over the network. Where none came, `status` is what a
        gateway says (502, 503, 504) and `error` the reason. It leaves after what needs no time to start has started."""
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError("this test runs on another loop than its lab: mark it with @pytest.mark.simulated")
        session = self._begin()
        if self._coming_up is None:
            self._coming_up = self.loop.spawn(self.loop.settle(), "coming up")
        await asyncio.shield(self._coming_up)
        if NAME not in session.loads:
            session.loads[NAME] = Visitor(session.world, to)
        visitor = session.loads[NAME]
        assert isinstance(visitor, Visitor)
        method, _, path = send.partition(" ")
        if not path.startswith("/"):
            raise InvalidInput(f"{send!r} is no request: write a method and a path, 'POST /orders'")
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        return await visitor.visit(Request(method, path, headers=lower, body=json), to, timeout)

    def send(self, send: str, *, to: str, json: Any = None, headers: Mapping[str, str] | None = None,
             timeout: str | None = None) -> Response:
        """As `request`, for a test that is no coroutine: time passes until the answer is there."""
        self._not_inside("await lab.request(...)")
        self.start()
        request = self.request(send, to=to, json=json, headers=headers, timeout=timeout)
        answer: Response = self.loop.run_until_complete(self.loop.create_task(request, name=TEST))
        return answer

    # looking

    @property
    def now(self) -> float:
        """Simulated seconds."""
        return self.loop.time()

    @property
    def world(self) -> World:
        """The world as it is now."""
        return self.start()

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """What has been recorded so far, in order."""
        if self._session is None:
            return ()
        self._session.world.tell_failures(held=False)
        return self._session.world.recorder.events

    @property
    def faults(self) -> Sequence[FaultInterval]:
        """When which fault was on so far; one that still is has no end."""
        return self._session.driver.intervals() if self._session is not None else ()

    def process(self, service: str, number: int = 0) -> Any:
        """The object of a Service class that stands for one of its instances."""
        node: Any = self.world.node(service)
        return node.processes[node.instances[number]]

    def tables(self, database: str) -> Any:
        """What is stored in a database: tables by name, rows by key."""
        node: Any = self.world.node(database)
        return node.tables

    # inside

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        """The test is over."""
        self._stack.close()

    def _begin(self, sample_every: float = SAMPLE_EVERY) -> Session:
        """The world under way; it comes to be with the first call."""
        if self._session is None:
            if self.loop.time() > 0:
                raise RuntimeError(f"it is t={self.loop.time():g} s already: name the parts of the world before time passes")
            for held in self._waiting:
                if not held.entered:
                    self._draft.add({"faults": [held.written]})
            scenario = self._draft.scenario()
            self._stack.enter_context(machine_of(scenario, self.loop))
            self._session = Session(scenario, self.seed, self.loop)
            self.loop.after(sample_every, self._sample, sample_every)
            self.loop.after(scenario.duration, self._too_long)
        return self._session

    def _sample(self, every: float) -> None:
        recorder = self.world.recorder
        if not recorder.sealed:
            recorder.sample()
            self.loop.after(every, self._sample, every)

    def _too_long(self) -> None:
        __tracebackhide__ = True
        test = next((task for task in asyncio.all_tasks(self.loop) if task.get_name() == TEST), None)
        if test is not None and self._result is None:
            raise TooLong(f"a world lasts {self._longest:g} s at most, and the test still waits {waiting_for(test)}: {LONGER}")

    @property
    def _longest(self) -> float:
        return self._begin().scenario.duration

    def _not_inside(self, instead: str) -> None:
        if self._result is not None:
            raise RuntimeError("this world has ended")
        if self.loop.is_running():
            raise RuntimeError(f"time passes already, since the test is a coroutine: write {instead}")


def _seconds(time: float | str) -> float:
    return parse_duration(time) if isinstance(time, str) else float(time)
