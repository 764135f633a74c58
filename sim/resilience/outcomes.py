"""What a finished call teaches a policy."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """How a call ended, as far as the health of the dependency goes.

    IGNORED counts neither way (the caller's own mistake, or a refusal of ours: nothing was sent). CANCELLED says that the
    caller left, which says nothing about the dependency. Both give back whatever the call had taken.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"
    CANCELLED = "cancelled"
