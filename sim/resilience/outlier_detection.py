"""Outlier detection: a host that answers worse than the others gets no calls for a while.

    used ──5 failures in a row──────────────▶ ejected ──base time * ejections so far, at most max──▶ used
      └──at each tick: success rate far below the mean, or too many failures──▶ ejected

Every ejection lasts longer than the one before; every interval in which a host stays in use takes one of them back. At most a share of
the hosts is ejected at a time, but always one may be. Sources: Envoy, outlier detection; gRPC proposal A50.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from sim.mistakes import Mistake, invalid
from sim.spec import Spec
from sim.units import PositiveDuration, Share, format_duration

from .events import Event, Listener, tell
from .outcomes import Outcome
from .policy import SAME

AtLeastOne = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True)
class HostEjected(Event):
    """*host* gets no calls until *until*; *enforced* is False where this is only observed, or too many were out already."""

    kind: str = "host_ejected"
    host: str
    reason: str
    until: float
    enforced: bool = True


@dataclass(frozen=True, kw_only=True)
class HostReturned(Event):
    """*host* gets calls again."""

    kind: str = "host_returned"
    host: str


class OutlierDetectionSpec(Spec):
    """When a host is ejected, and for how long; `max_ejection` is the share of hosts that may be out at a time."""

    consecutive_5xx: AtLeastOne = 5
    interval: PositiveDuration = 10.0
    base_ejection_time: PositiveDuration = 30.0
    max_ejection_time: PositiveDuration | None = None
    max_ejection: Share = 0.1
    success_rate_minimum_hosts: AtLeastOne = 5
    success_rate_request_volume: AtLeastOne = 100
    success_rate_stdev_factor: Annotated[float, Field(ge=0, strict=False)] = 1.9
    failure_percentage_threshold: Share = 0.85
    failure_percentage_minimum_hosts: AtLeastOne = 5
    failure_percentage_request_volume: AtLeastOne = 50
    enforcing: bool = True

    @model_validator(mode="after")
    def _grows(self) -> OutlierDetectionSpec:
        if self.max_ejection_time is not None and self.max_ejection_time < self.base_ejection_time:
            what = f"the longest ejection is shorter than the first, which takes {format_duration(self.base_ejection_time)}"
            raise invalid(Mistake(("max_ejection_time",), what, "make it longer, or `base_ejection_time` shorter"))
        return self

    def build(self, name: str = "outlier_detection", on_event: Listener | None = None) -> OutlierDetector:
        """A detector that knows no host yet."""
        options = {field: getattr(self, field) for field in type(self).model_fields if field != "max_ejection"}
        return OutlierDetector(**options, max_ejection_share=self.max_ejection, name=name, on_event=on_event)


@dataclass(slots=True)
class _Record:
    """What is known of one host."""

    in_a_row: int = 0  # failures
    good: int = 0  # in this interval
    bad: int = 0
    ejections: int = 0  # multiplies the ejection time
    until: float | None = None  # set while it is out, and until its return has been noticed

    @property
    def volume(self) -> int:
        return self.good + self.bad


class OutlierDetector:
    """Tell it the outcome of every call (`record`), and the time every *interval* seconds (`tick`). A host is anything hashable.

    With *enforcing* False everything is found and reported, and nobody is ejected.
    """

    def __init__(self, consecutive_5xx: int = 5, interval: float = 10, base_ejection_time: float = 30,
                 max_ejection_time: float | None = None, max_ejection_share: float = 0.1, success_rate_minimum_hosts: int = 5,
                 success_rate_request_volume: int = 100, success_rate_stdev_factor: float = 1.9,
                 failure_percentage_threshold: float = 0.85, failure_percentage_minimum_hosts: int = 5,
                 failure_percentage_request_volume: int = 50, *, enforcing: bool = True, hosts: Iterable[Hashable] = (),
                 name: str = "outlier_detection", on_event: Listener | None = None) -> None:
        self.consecutive_5xx = consecutive_5xx
        self.interval = interval
        self.base_ejection_time = base_ejection_time
        self.max_ejection_time = max(300.0, base_ejection_time) if max_ejection_time is None else max_ejection_time
        self.max_ejection_share = max_ejection_share
        self.success_rate = success_rate_minimum_hosts, success_rate_request_volume, success_rate_stdev_factor
        self.failure_percentage = failure_percentage_minimum_hosts, failure_percentage_request_volume, failure_percentage_threshold
        self.enforcing = enforcing
        self.name = name
        self.on_event = on_event
        self._records: dict[Hashable, _Record] = {host: _Record() for host in hosts}
        self._ejected: list[Hashable] = []  # since the last tick
        self._returned: list[Hashable] = []

    def set_hosts(self, hosts: Iterable[Hashable]) -> None:
        """These are all there are: new ones count for shares at once, those who are gone are forgotten."""
        self._records = {host: self._records.get(host) or _Record() for host in hosts}

    def record(self, host: Hashable, outcome: Outcome, now: float) -> None:
        """A call to *host* ended; only SUCCESS and FAILURE say something about it, and only if it is not out already."""
        record = self._records.get(host)
        if record is None:
            record = self._records[host] = _Record()
        if record.until is not None and not self._back(host, record, now):
            return
        if outcome is Outcome.SUCCESS:
            record.good += 1
            record.in_a_row = 0
        elif outcome is Outcome.FAILURE:
            record.bad += 1
            record.in_a_row += 1
            if record.in_a_row >= self.consecutive_5xx:
                record.in_a_row = 0
                self._eject(host, record, "consecutive_5xx", now)

    def is_ejected(self, host: Hashable, now: float) -> bool:
        """Is *host* out at *now*? At the very end of its time it is in again."""
        record = self._records.get(host)
        return record is not None and record.until is not None and now < record.until - SAME

    def tick(self, now: float) -> tuple[list[Hashable], list[Hashable]]:
        """Judge the interval that ends now. Returns who was ejected since the last tick, and who has returned since."""
        for host, record in self._records.items():
            if record.until is not None:
                self._back(host, record, now)
            elif host not in self._returned:  # in use for the whole interval
                record.ejections = max(0, record.ejections - 1)
        self._judge_success_rates(now)
        self._judge_failure_percentages(now)
        for record in self._records.values():
            record.good = record.bad = 0
        moved = self._ejected, self._returned
        self._ejected, self._returned = [], []
        return moved

    def _back(self, host: Hashable, record: _Record, now: float) -> bool:
        """Is the time of an ejected host over? It is noticed by its next call or by the next tick, whichever comes first."""
        if self.is_ejected(host, now):
            return False
        record.until = None
        self._returned.append(host)
        self._tell(HostReturned(at=now, policy=self.name, host=str(host)))
        return True

    def _with_volume(self, volume: int, now: float) -> list[tuple[Hashable, _Record]]:
        return [(host, record) for host, record in self._records.items() if record.volume >= volume and not self.is_ejected(host, now)]

    def _judge_success_rates(self, now: float) -> None:
        """Eject who lies more than so many standard deviations below the mean."""
        minimum_hosts, volume, factor = self.success_rate
        judged = self._with_volume(volume, now)
        if len(judged) < minimum_hosts:
            return
        rates = [record.good / record.volume for _, record in judged]
        mean = math.fsum(rates) / len(rates)
        deviation = math.sqrt(math.fsum((rate - mean) ** 2 for rate in rates) / len(rates))
        for (host, record), rate in zip(judged, rates, strict=True):
            if rate < mean - factor * deviation - SAME:
                self._eject(host, record, "success_rate", now)

    def _judge_failure_percentages(self, now: float) -> None:
        minimum_hosts, volume, threshold = self.failure_percentage
        judged = self._with_volume(volume, now)
        if len(judged) < minimum_hosts:
            return
        for host, record in judged:
            if record.bad / record.volume >= threshold - SAME:
                self._eject(host, record, "failure_percentage", now)

    def _eject(self, host: Hashable, record: _Record, reason: str, now: float) -> None:
        out = sum(self.is_ejected(other, now) for other in self._records)
        room = out == 0 or out + 1 <= self.max_ejection_share * len(self._records) + SAME
        enforced = self.enforcing and room
        duration = min(self.max_ejection_time, self.base_ejection_time * (record.ejections + 1))
        self._tell(HostEjected(at=now, policy=self.name, host=str(host), reason=reason, until=now + duration, enforced=enforced))
        if enforced:
            record.ejections += 1
            record.until = now + duration
            self._ejected.append(host)

    def _tell(self, event: Event) -> None:
        if self.on_event is not None:
            tell(self.on_event, event)
