"""What all faults have: a name, a schedule, a ramp, and one context manager that heals on exit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from sim.faults.injection import Injection
from sim.faults.reasons import Reason, because
from sim.faults.schedule import AnySchedule, Ramp
from sim.spec import Mistake, Spec, invalid

if TYPE_CHECKING:
    from sim.faults.system import System


class Fault(Spec):
    """Something that goes wrong, at times that its schedule says (without one: for the whole run).

    *ramp* lets the kind's one `severity` rise and fall; a kind that has none cannot be ramped.
    """

    severity: ClassVar[str | None] = None
    neutral: ClassVar[float] = 0.0  # the severity that changes nothing
    at_once: ClassVar[bool] = False  # it happens and is over: no `for`
    kind: str
    name: str | None = Field(default=None, min_length=1, max_length=100)
    schedule: AnySchedule | None = None
    ramp: Ramp | None = None

    @model_validator(mode="after")
    def _can_be_done(self) -> Fault:
        if self.ramp is not None and self.severity is None:
            raise invalid(Mistake(("ramp",), f"{self.kind} has no severity that could rise and fall", "remove the ramp"))
        schedule = self.schedule
        if schedule is None:
            return self
        if schedule.lasts and self.own_length() is not None:
            why = "happens and is over" if self.at_once else f"says itself how long it lasts ({self.length_field()})"
            raise invalid(Mistake(("schedule",), f"{self.kind} {why}", "remove `for`"))
        if schedule.repeats and not schedule.lasts and self.own_length() is None:
            raise invalid(Mistake(("schedule",), "a fault that comes again and again must also end", "add `for`, for example `for: 10s`"))
        return self

    def own_length(self) -> float | None:
        """Seconds that the fault lasts by its own fields, where it does not depend on the schedule."""
        return 0.0 if self.at_once else None

    def length_field(self) -> str:
        """The field that `own_length` reads."""
        return ""

    def deploys(self) -> str | None:
        """The service that gets new instances by it, whose numbers go on where those before them ended."""
        return None

    def mistakes(self, system: System) -> Iterator[Mistake]:
        """What does not fit the scenario, with places counted from the fault."""
        return iter(())

    @abstractmethod
    def active(self, at: Injection) -> AbstractContextManager[None]:
        """Do it while the block lasts. Write the names of what is hit into `at.targets`."""
        raise NotImplementedError

    def does_nothing(self) -> bool:
        """As it is written it changes nothing, whatever it meets."""
        return self.severity is not None and getattr(self, self.severity) == self.neutral

    def nothing(self) -> Reason:
        """Why what it hit did not change, for a warning."""
        return because("neutral", severity=self.severity, value=f"{self.neutral:g}")

    def picked_nobody(self, at: Injection) -> Reason:
        """Why nothing was picked, and what to do about it, for a warning."""
        return because("nobody")

    def missed(self, at: Injection) -> Reason:
        """Why the fault changed nothing, and what to do about it, for a warning."""
        return because("met nothing")


def names_of(faults: Sequence[Fault]) -> list[str]:
    """The faults' names; one without a name is called after its kind, and a second one of a name has a number."""
    used: dict[str, int] = {}
    names = []
    for fault in faults:
        name = fault.name or fault.kind
        used[name] = used.get(name, 0) + 1
        names.append(name if used[name] == 1 else f"{name}#{used[name]}")
    return names
