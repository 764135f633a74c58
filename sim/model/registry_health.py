"""Health as a registry sees it: results of checks in a row decide what becomes of a status. Consul's rules (agent/checks/check.go).

    critical ──success_before_passing good results in a row──▶ passing
    passing ──failures_before_warning bad ones──▶ warning ──failures_before_critical──▶ critical
    a good result in between starts the count of the bad ones anew, and the other way round
"""

from __future__ import annotations

from enum import Enum


class Health(Enum):
    """What a check has found, or what is believed of an instance."""

    PASSING = "passing"
    WARNING = "warning"
    CRITICAL = "critical"


def health_of(status: int) -> Health:
    """What the status of an answer to an HTTP check means; 0 and below: there was none."""
    if 200 <= status < 300:
        return Health.PASSING
    return Health.WARNING if status == 429 else Health.CRITICAL


class StatusHandler:
    """The status of one check. 0 and 1 are the same: the first result counts."""

    def __init__(self, success_before_passing: int = 0, failures_before_critical: int = 0, failures_before_warning: int | None = None,
                 status: Health = Health.CRITICAL) -> None:
        self.success_before_passing = success_before_passing
        self.failures_before_critical = failures_before_critical
        self.failures_before_warning = failures_before_critical if failures_before_warning is None else failures_before_warning
        self.status = status
        self._good = self._bad = 0

    def update(self, found: Health) -> bool:
        """The check has *found* something; True if that has changed the status."""
        before = self.status
        if found is Health.CRITICAL:
            self._bad, self._good = self._bad + 1, 0
            if self._bad >= self.failures_before_critical:
                self.status = Health.CRITICAL
            elif self._bad >= self.failures_before_warning:
                self.status = Health.WARNING
        else:
            self._good, self._bad = self._good + 1, 0
            if self._good >= self.success_before_passing:
                self.status = found
        return self.status is not before
