"""The right to make one call, as the policies that count calls hand it out."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Permit:
    """What lets one call in; *held* until it is given back to the policy that gave it."""

    held: bool = field(default=True, kw_only=True)
