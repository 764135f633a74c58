"""A fault as a test names it: scheduled like one of a scenario, or on for a `with` block."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from sim.errors import InvalidInput
from sim.faults.fault import Fault
from sim.faults.faults import AnyFault
from sim.faults.schedule import At
from sim.mistakes import Mistake, mistakes
from sim.scenario.trial import check_faults
from sim.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.lab.session import Session


class LabFault:
    """What `lab.fault` gives; *start* lets the world come to be."""

    def __init__(self, written: Mapping[str, Any], start: Callable[[], Session]) -> None:
        self.written = dict(written)
        self.entered = False
        self._start = start
        self._held: AbstractContextManager[None] | None = None
        try:
            self._fault: Fault = TypeAdapter(AnyFault).validate_python(self.written)
        except ValidationError as error:
            raise InvalidInput(_told(mistakes(error))) from None

    def __enter__(self) -> None:
        if self._fault.schedule is not None:
            raise RuntimeError(f"{self._fault.kind} is scheduled already: leave its times out, and the block says when it is on")
        self.entered = True
        session = self._start()
        self._check(session)
        self._held = session.driver.hold(self._fault)
        self._held.__enter__()

    def __exit__(self, *error: Any) -> None:
        assert self._held is not None
        self._held.__exit__(*error)

    def join(self, session: Session) -> None:
        """Be part of a world that is there already: at the time that the schedule says, or now, unless a block begins it."""
        self._check(session)
        schedule = self._fault.schedule
        if schedule is None:
            session.loop.after(0, lambda: None if self.entered else self._run(session))
            return
        if not isinstance(schedule, At):
            raise RuntimeError("in a world that is there already a fault has `at`, `for_` or a `with` block: "
                               "name one with another schedule before time passes")
        if schedule.at < session.loop.time():
            raise InvalidInput(f"at={schedule.at:g} s is over, it is t={session.loop.time():g} s: times count from the start of the world")
        self._run(session)

    def _run(self, session: Session) -> None:
        plan = session.driver.add(self._fault)
        session.driver.spawn(plan.run(), plan.name)

    def _check(self, session: Session) -> None:
        wrong = check_faults(session.scenario, [self._fault])
        if wrong:
            raise InvalidInput(_told(wrong))


def write_fault(kind: str, fields: Mapping[str, Any], at: float | str | None, for_: float | str | None, now: float) -> dict[str, Any]:
    """A fault as a scenario has it; *for_* alone counts from *now*, and a target that is a text is a link `a->b` or a service."""
    written = {"kind": kind, **fields}
    target = fields.get("target")
    if isinstance(target, str):
        written["target"] = {"link" if "->" in target else "service": target}
    if at is not None or for_ is not None:
        if "schedule" in fields:
            raise InvalidInput("a fault has either `schedule` or `at` and `for_`: leave one of them out")
        written["schedule"] = {"at": as_duration(now if at is None else at)}
        if for_ is not None:
            written["schedule"]["for"] = as_duration(for_)
    return written


def as_duration(time: float | str) -> str:
    """As a scenario has it; a number is seconds."""
    return time if isinstance(time, str) else format_duration(float(time))


def _told(wrong: list[Mistake]) -> str:
    return "\n".join(": ".join(filter(None, (".".join(map(str, one.loc)), one.what, one.cure))) for one in wrong)
