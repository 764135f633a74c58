"""Faults of the network: rules that are laid on links while they last.

Rules compose by themselves: delays add, and a message survives if every rule lets it pass. A message that is under way when a
fault begins or ends is not touched any more: it left under the rules of its own time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar, Literal

from sim.errors import ConnectFailed
from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.system import System
from sim.faults.targets import LinkTarget, Side, in_way, on_way
from sim.model.network import Delay, Drop, Fail, Link, Message, Rule, Verdict
from sim.spec import Mistake
from sim.units import Duration, Share

REFUSAL = 0.0  # seconds after which a rejected sender knows: the packet filter is its own machine's


class LinkFault(Fault):
    """A fault of messages."""

    target: LinkTarget

    @abstractmethod
    def rule(self, link: Link, at: Injection) -> Rule:
        """What becomes of a message on *link* while the fault is on."""
        raise NotImplementedError

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        with ExitStack() as rules:
            for way in self.target.ways(at.world, at.rng):
                at.targets.extend(names_of_way(way))
                belongs = in_way(way)

                def lay(link: Link, belongs: Callable[[Message], bool] | None = belongs) -> None:
                    rules.enter_context(link.rule(self._counted(self.rule(link, at), belongs, at)))

                rules.enter_context(at.world.each_link(on_way(way), lay))
            yield

    def _counted(self, rule: Rule, belongs: Callable[[Message], bool] | None, at: Injection) -> Rule:
        def counted(message: Message) -> Verdict:
            if belongs is not None and not belongs(message):
                return None
            at.seen += 1
            verdict = rule(message)
            if verdict is not None:
                at.hits += 1
            return verdict

        return counted

    def mistakes(self, system: System) -> Iterator[Mistake]:
        return self.target.mistakes(system)

    def missed(self, at: Injection) -> str:
        ways = ", ".join(at.targets)
        return f"no message went {ways} while it was on" if not at.seen else f"of {at.seen} messages {ways} chance hit none"


def names_of_way(way: tuple[Side, Side]) -> list[str]:
    """`orders->payments`, for every pair of names."""
    source, target = way
    return [f"{here}->{there}" for here in source.names for there in target.names]


class NetworkDelay(LinkFault):
    """Every message takes *latency* longer, give or take a *jitter* that is uniform, as netem's is.

    *correlation* makes the jitter of a message depend on the one before it, by netem's rule: the new value is so much of the last
    one and the rest by chance. Only the given *probability* of messages is delayed.
    """

    severity: ClassVar[str] = "latency"
    kind: Literal["network.delay"] = "network.delay"
    latency: Duration
    jitter: Duration = 0.0
    correlation: Share = 0.0
    probability: Share = 1.0

    def rule(self, link: Link, at: Injection) -> Rule:
        draw = correlated(at, self.correlation)
        latency, jitter, probability = self.latency, self.jitter, self.probability

        def delay(message: Message) -> Verdict:
            if not at.happens(probability):
                return None
            seconds = latency + jitter * (2 * draw() - 1) if jitter else latency
            return Delay(max(0.0, seconds) * at.strength)

        return delay


class NetworkPartition(LinkFault):
    """Nothing gets through. `drop`: in silence, so that callers wait until their own patience ends; `reject`: the sender learns at once."""

    kind: Literal["network.partition"] = "network.partition"
    how: Literal["drop", "reject"] = "drop"

    def rule(self, link: Link, at: Injection) -> Rule:
        verdict = Drop() if self.how == "drop" else Fail(lambda: ConnectFailed(f"no route {link.source} -> {link.target}"), REFUSAL)
        return lambda message: verdict


def correlated(at: Injection, correlation: float) -> Callable[[], float]:
    """Numbers of 0..1 of which each is so much the last one and otherwise by chance (netem's get_crandom)."""
    if not correlation:
        return at.rng.random
    last = at.rng.random()

    def draw() -> float:
        nonlocal last
        last = (1 - correlation) * at.rng.random() + correlation * last
        return last

    return draw
