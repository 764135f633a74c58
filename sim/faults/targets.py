"""Whom a fault hits: instances by service, name, zone or kind, and how many of them (Chaos Mesh's modes); messages between groups.

    {service: orders, mode: one}                          one instance, picked at random each time
    {zone: a}      {kind: database}      {instance: orders-0}      {service: registry, mode: one}
    {link: orders->payments, direction: both}             `*` stands for any service or workload
    {from: {zone: a}, to: {zone: b}, direction: both}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.spec import Mistake, Spec, invalid
from sim.units import Share

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.network import Link, Message
    from sim.model.node import NodeSpec
    from sim.model.world import World
    from sim.streams import Stream

Mode = Literal["one", "all", "fixed", "fixed-percent", "random-max-percent"]


def _checked_link(link: str) -> str:
    caller, arrow, callee = link.partition("->")
    if not (arrow and caller.strip() == caller and callee.strip() == callee and caller and callee):
        raise invalid(Mistake((), f"{link!r} is no link", "name the caller and the callee: 'orders->payments'"))
    return link


LinkName = Annotated[str, AfterValidator(_checked_link)]
SELECTORS = ("service", "instance", "zone", "kind")


class Picks(Spec):
    """How many of those that fit are hit.

    `one` at random; `all`; `fixed`: *value* of them; `fixed-percent`: a share *value* of them; `random-max-percent`: a share drawn
    between nothing and *value*. Shares are rounded to the nearest instance, `fixed-percent` to at least one.
    """

    mode: Mode = "all"
    value: int | Share | None = None

    @classmethod
    def meant_for(cls, text: str) -> str:
        return "link" if "->" in text and "link" in cls.model_fields else "service"

    @model_validator(mode="after")
    def _value_fits(self) -> Picks:
        if self.mode in ("one", "all"):
            if self.value is not None:
                raise invalid(Mistake(("value",), f"mode {self.mode!r} takes no value", "remove `value`, or write `mode: fixed`"))
        elif self.mode == "fixed":
            if not isinstance(self.value, int) or self.value < 1:
                raise invalid(Mistake(("mode",), "mode 'fixed' needs how many", "add `value: 2`"))
        elif not isinstance(self.value, float):
            raise invalid(Mistake(("mode",), f"mode {self.mode!r} needs a share", "add `value: 50%`"))
        return self

    def pick(self, some: list[Instance], rng: Stream) -> list[Instance]:
        """Those of *some* that are hit, in their order."""
        number = self._number(len(some), rng)
        if number >= len(some):
            return some
        chosen = sorted(rng.sample(range(len(some)), number))
        return [some[index] for index in chosen]

    def _number(self, of: int, rng: Stream) -> int:
        value = self.value or 0
        if self.mode == "one":
            return 1
        if self.mode == "fixed":
            return int(value)
        if self.mode == "fixed-percent":
            return max(1, round(of * value))
        if self.mode == "random-max-percent":
            return round(of * rng.uniform(0, value))
        return of


class Group(Picks):
    """Instances of one service, by name, in one zone, or of all nodes of a kind (service, gateway, database, cache, broker, external).
    Where all are meant, those that are added while the fault is on belong to them; the other modes pick as it begins.

    The registry is a service called `registry`.
    """

    service: str | None = None
    instance: str | None = None
    zone: str | None = None
    kind: str | None = None

    @model_validator(mode="after")
    def _one_selector(self) -> Group:
        given = [name for name in SELECTORS if getattr(self, name) is not None]
        if len(given) > 1 or (not given and self._must_select()):
            but = f", not by {' and '.join(given)}" if given else ""
            raise invalid(Mistake((), f"a target is chosen by one of service, instance, zone, kind{but}",
                                  "write for example `target: {service: orders, mode: one}`"))
        return self

    def _must_select(self) -> bool:
        return True

    @property
    def selector(self) -> str:
        """The key by which it is chosen."""
        return next(key for key in SELECTORS if getattr(self, key) is not None)

    @property
    def node(self) -> str:
        """The service that is meant, or whose instance; none where a zone is, or a kind."""
        return self.service or (self.instance or "").rpartition("-")[0]

    def fits(self, instance: Instance) -> bool:
        """Whether an instance belongs to the group, before anything is picked."""
        if self.service is not None:
            return instance.node.name == self.service
        if self.instance is not None:
            return instance.name == self.instance
        if self.zone is not None:
            return instance.zone == self.zone
        return instance.node.spec.word == self.kind

    def members(self, world: World) -> list[Instance]:
        """All that fit, in the order of the world."""
        return [instance for instance in world.instances if self.fits(instance)]

    def picked(self, world: World, rng: Stream) -> list[Instance]:
        """Those that are hit."""
        return self.pick(self.members(world), rng)

    def mistakes(self, system: System, at: tuple[str, ...] = ("target",)) -> Iterator[Mistake]:
        """Names that the scenario does not have."""
        if self.service is not None:
            yield from system.unknown((*at, "service"), "service", self.service, system.services)
        if self.zone is not None:
            yield from system.unknown((*at, "zone"), "zone", self.zone, system.zones)
        if self.kind is not None:
            yield from system.unknown((*at, "kind"), "node of kind", self.kind, system.kinds)
        if self.instance is not None:
            yield from self._no_instance(system, self.instance, (*at, "instance"))

    @staticmethod
    def _no_instance(system: System, name: str, at: tuple[str, ...]) -> Iterator[Mistake]:
        service, _, number = name.rpartition("-")
        spec = system.services.get(service)
        if spec is None or not number.isdecimal():
            yield Mistake(at, f"no instance {name!r}", "an instance is called after its service and counted from 0, as 'orders-0'")
        elif int(number) >= spec.instances and not grows(spec) and service not in system.deployed:
            yield Mistake(at, f"no instance {name!r}", f"{service} has {spec.instances}: {service}-0 to {service}-{spec.instances - 1}")

    def nobody(self, key: str) -> Reason:
        """Why nobody was hit, where all are meant that are there at that time; of an instance that was not it is the reason *key*."""
        return because("nobody") if self.instance is None else because(key, name=self.instance)

    def text(self) -> str:
        """As events name it where all are hit."""
        return self.service or self.instance or (f"zone {self.zone}" if self.zone is not None else f"every {self.kind}")


def grows(spec: NodeSpec) -> bool:
    """Whether instances may be added to a node while it runs; their numbers go on where those before them ended."""
    return getattr(spec, "autoscale", None) is not None or getattr(spec, "deployment", None) is not None


class InstanceTarget(Group):
    """Whom a fault of instances hits."""


class Side:
    """One end of the messages that a fault hits: a predicate on nodes, and one on single parts where nodes do not tell."""

    def __init__(self, names: list[str], node: Callable[[str], bool], part: Callable[[Any], bool] | None = None) -> None:
        self.names, self.node, self.part = names, node, part


ANYBODY = Side(["*"], lambda name: True)


def side_of_name(name: str) -> Side:
    """All of a service or workload; `*` is anybody."""
    return ANYBODY if name == "*" else Side([name], lambda other: other == name)


def side_of_group(group: Group, world: World, rng: Stream) -> Side:
    """The instances of a group. Where all are meant, instances that come later (by scaling, by deployment) belong to it too."""
    if group.mode == "all" and group.service is not None:
        return side_of_name(group.service)
    if group.mode == "all" and group.instance is not None:
        return Side([group.instance], lambda name: name == group.node, lambda part: part.name == group.instance)
    if group.mode == "all" and group.zone is not None:
        return Side([group.text()], lambda name: True, lambda part: part.zone == group.zone)
    if group.mode == "all" and group.kind is not None:
        return Side([group.text()], lambda name: name in world.nodes and world.nodes[name].spec.word == group.kind)
    chosen = group.picked(world, rng)
    names, nodes = {instance.name for instance in chosen}, {instance.node.name for instance in chosen}
    return Side([instance.name for instance in chosen], lambda name: name in nodes, lambda part: part.name in names)


class LinkTarget(Picks):
    """Messages on a *link* `caller->callee`; or those that go *from* one group *to* another; or to a service, instance, zone or kind.

    *direction* `to` is the way towards the callee, `from` the way back, `both` both. `*` in a link is any service or workload.
    """

    link: LinkName | None = None
    from_: Group | None = Field(default=None, alias="from")
    to: Group | None = None
    service: str | None = None
    instance: str | None = None
    zone: str | None = None
    kind: str | None = None
    direction: Literal["to", "from", "both"] = "to"

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> LinkTarget:
        given = [name for name in ("link", *SELECTORS) if getattr(self, name) is not None]
        groups = self.from_ is not None or self.to is not None
        if len(given) + groups != 1:
            raise invalid(Mistake((), "a target of messages is a link, or groups `from` and `to`, or one of service, instance, zone, kind",
                                  "write for example `target: {link: orders->payments, direction: to}`"))
        if given in ([], ["link"]) and (self.mode != "all"):
            raise invalid(Mistake(("mode",), "`mode` picks instances, and a link has none of its own", "write it inside `from` or `to`"))
        return self

    def _ends(self) -> tuple[str, str]:
        caller, _, callee = (self.link or "").partition("->")
        return caller, callee

    def _group(self) -> Group:
        """The group that a bare service, instance, zone or kind stands for."""
        return Group(service=self.service, instance=self.instance, zone=self.zone, kind=self.kind, mode=self.mode, value=self.value)

    def sides(self, world: World, rng: Stream) -> tuple[Side, Side]:
        """Caller's side and callee's side."""
        if self.link is not None:
            caller, callee = self._ends()
            return side_of_name(caller), side_of_name(callee)
        if self.from_ is None and self.to is None:
            return ANYBODY, side_of_group(self._group(), world, rng)
        return (side_of_group(self.from_, world, rng) if self.from_ is not None else ANYBODY,
                side_of_group(self.to, world, rng) if self.to is not None else ANYBODY)

    def ways(self, world: World, rng: Stream) -> list[tuple[Side, Side]]:
        """The one or two directions (source, target) in which messages are hit."""
        caller, callee = self.sides(world, rng)
        there, back = [(caller, callee)], [(callee, caller)]
        return {"to": there, "from": back, "both": there + back}[self.direction]

    def mistakes(self, system: System) -> Iterator[Mistake]:
        """Names that the scenario does not have."""
        if self.link is not None:
            for name in self._ends():
                yield from system.unknown(("target", "link"), "service or workload", name, system.ends)
        for key, group in (("from", self.from_), ("to", self.to)):
            if group is not None:
                yield from group.mistakes(system, ("target", key))
        if any(getattr(self, name) is not None for name in SELECTORS):
            yield from self._group().mistakes(system)


def on_way(way: tuple[Side, Side]) -> Callable[[Link], bool]:
    """Whether a link carries messages of that way at all."""
    source, target = way
    return lambda link: source.node(link.source) and target.node(link.target)


def in_way(way: tuple[Side, Side]) -> Callable[[Message], bool] | None:
    """Whether a message belongs to the way; None where every message of its links does."""
    source, target = way[0].part, way[1].part
    if source is None and target is None:
        return None
    return lambda message: (source is None or source(message.source)) and (target is None or target(message.target))
