"""What a list of policies can cost at worst, and orders that cannot work as they are meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from .policy import Policy, PolicyParts, PolicySpec, Worst


@dataclass(frozen=True)
class Explanation:
    """At worst *attempts* are sent for one call and it ends after *latency* seconds (both may be infinite); *warnings* about the order."""

    attempts: float
    latency: float
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"at worst {self.attempts:g} attempts, {self.latency:g} s"]
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


def explain(policies: Sequence[Policy], call: Worst | None = None) -> Explanation:
    """Of *policies*, outermost first, around a call that costs at worst *call* (without it: one attempt that may take for ever)."""
    worst = call or Worst()
    for policy in reversed(policies):
        worst = policy.worst(worst)
    return Explanation(worst.attempts, worst.latency, tuple(_warnings(policies)))


def explain_specs(specs: Iterable[PolicySpec], call: Worst | None = None) -> Explanation:
    """The same of what a scenario says; nothing runs, the policies are built for their arithmetic only."""
    parts = PolicyParts(read=lambda attribute: lambda *args: None)
    return explain([spec.build(parts) for spec in specs], call)


# (outer, inner): what is wrong with it, and the cure
ORDERS = {
    ("circuit_breaker", "retry"): "the retry is inside the circuit breaker: the breaker sees all attempts as one call, and an open circuit "
                                  "cannot end the retries; put the retry outside",
    ("retry", "fallback"): "the fallback is inside the retry: it hides the failures, so that nothing is ever retried; "
                           "put the fallback outside",
    ("timeout", "retry"): "the retry is inside the timeout, which then bounds all attempts together and tells nobody downstream; "
                          "write a deadline for that, and put the timeout inside the retry",
    ("timeout", "circuit_breaker"): "the circuit breaker is inside the timeout: it sees a cancellation instead of a failure, so that a "
                                    "dependency which hangs never opens it; put the timeout inside",
    ("retry", "deadline"): "the deadline is inside the retry, so that each attempt has all of it; put the deadline outside",
}


def _warnings(policies: Sequence[Policy]) -> Iterator[str]:
    for at, inner in enumerate(policies):
        for outer in policies[:at]:
            if (outer.word, inner.word) in ORDERS:
                yield ORDERS[outer.word, inner.word]
            if (outer.word, inner.word) == ("deadline", "timeout") and _limit(outer) <= _limit(inner) < inf:
                yield f"the timeout of one attempt ({_limit(inner):g} s) is not below the deadline ({_limit(outer):g} s): " \
                      "it never fires, and no second attempt ever starts; make it shorter"
            if {outer.word, inner.word} == {"retry", "hedge"}:
                times = outer.worst(inner.worst(Worst())).attempts
                one = inner.budget is not None and outer.budget is inner.budget
                cure = " (they share a budget); for fewer lower `max_attempts` or `max_hedges`" if one else "; give them one budget"
                yield f"retries and hedges multiply, up to {times:g} attempts for one call{cure}"


def _limit(policy: Policy) -> float:
    return policy.worst(Worst()).latency
