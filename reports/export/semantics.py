"""What a span's columns mean in OpenTelemetry's words: its name, kind, attributes and status.

Source: OpenTelemetry semantic conventions 1.44 for HTTP, RPC, databases and messaging. Spans that differ only in ids and
times share one description, so it is made once and not for each of a million rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.model.grpc_codes import code_of
from sim.model.paths import Routes, parse_target
from sim.telemetry.codes import Outcome, SpanKind, status_text

if TYPE_CHECKING:
    from sim.telemetry.result import Names, RunResult

METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
KINDS = {  # OTLP's numbers
    SpanKind.INTERNAL: 1, SpanKind.SERVER: 2, SpanKind.CLIENT: 3, SpanKind.ATTEMPT: 3, SpanKind.PRODUCER: 4, SpanKind.CONSUMER: 5,
}
STORES = {"database": "other_sql", "cache": "cache"}  # node kinds whose clients are database clients: db.system.name
MESSAGING = {SpanKind.PRODUCER: "send", SpanKind.CONSUMER: "process"}
CALLS = frozenset({SpanKind.CLIENT, SpanKind.ATTEMPT, SpanKind.PRODUCER})


class SpanKey(NamedTuple):
    """The columns that a description depends on; the fields stand in the order of `KEY_COLUMNS`, with `repeated` at the end."""

    node: int
    peer: int
    operation: int
    instance: int
    status: int
    attempt: int
    kind: int
    outcome: int
    repeated: bool


KEY_COLUMNS = SpanKey._fields[:-1]


@dataclass(frozen=True)
class Description:
    """One sort of span. *kind* is OTLP's number; *error* says why the span counts as failed, empty if it does not."""

    name: str
    service: str
    instance: str
    workload: bool  # recorded by a workload, not by a part of the system
    kind: int
    error: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why it failed, where no status code among the attributes says so: the conventions want it told once."""
        return "" if self.error.isdecimal() else self.error


def split_operation(operation: str) -> tuple[str, str]:
    """`POST /orders`, or a gateway's `GET|POST /api/*`, as method and route; anything else has no method."""
    method, space, route = operation.partition(" ")
    return (method, route) if space and (method == "*" or METHODS.issuperset(method.split("|"))) else ("", operation)


def keys(rows: Any, repeated: Any) -> Iterable[tuple[Any, ...]]:
    """The SpanKey of every row, as a bare tuple: a million of them are made."""
    return zip(*(rows[column].tolist() for column in KEY_COLUMNS), repeated.tolist(), strict=True)


def split_exception(attributes: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What service code set on a span, without and with what it recorded of an exception: that is an event of the span."""
    exception = {name: value for name, value in attributes.items() if name.startswith("exception.")}
    return ({name: value for name, value in attributes.items() if name not in exception} if exception else attributes), exception


def version_of(description: Mapping[str, Mapping[str, Any]], node: str, instance: str) -> str:
    """The version that *instance* was deployed with; services that say nothing about it are 1.0.0."""
    return str(description.get(node, {}).get("versions", {}).get(instance) or "1.0.0")


class Semantics:
    """Describes the spans of one run."""

    def __init__(self, result: RunResult) -> None:
        self.names: Names = result.names
        self.protocols = Protocols(result.scenario.get("services") or {})

    def describe(self, raw: tuple[Any, ...]) -> Description:
        """What the columns in *raw* (a SpanKey) mean."""
        key, names = SpanKey(*raw), self.names
        kind = SpanKind(key.kind)
        failed = key.outcome in (Outcome.FAILED, Outcome.REJECTED)
        error = (status_text(key.status) or Outcome(key.outcome).name.lower()) if failed else ""
        operation = names.operations[key.operation]
        attributes = {**self._words(key, kind, operation), **self._own(key)}
        if error:
            attributes["error.type"] = error
        return Description(
            name=operation, service=names.nodes[key.node], instance=names.instances[key.instance],
            workload=names.node_kinds[key.node] == "workload", kind=1 if key.repeated else KINDS[kind], error=error, attributes=attributes,
        )

    def _words(self, key: SpanKey, kind: SpanKind, operation: str) -> dict[str, Any]:
        """The attributes of the convention that this span falls under."""
        node, peer = self.names.nodes[key.node], self.names.nodes[key.peer]
        server_kind = self.names.node_kinds[key.peer if kind in CALLS else key.node]
        if kind == SpanKind.INTERNAL:
            return {}
        if kind in MESSAGING:
            return {"messaging.system": "mesocosm", "messaging.operation.type": MESSAGING[kind], "messaging.destination.name": operation}
        other = {"server.address": peer} if kind in CALLS else {"client.address": peer}
        if server_kind in STORES:
            store = peer if kind in CALLS else node
            return {"db.system.name": STORES[server_kind], "db.namespace": store, "db.operation.name": operation, **other}
        caller, callee = (node, peer) if kind in CALLS else (peer, node)
        if self.protocols.of(caller, callee, operation) == "grpc":
            code = {"rpc.response.status_code": code_of(key.status).name} if key.status else {}
            return {"rpc.system.name": "grpc", "rpc.method": operation, **other, **code}
        return {**_http(kind, operation), **other, **_status("http.response.status_code", key.status)}

    def _own(self, key: SpanKey) -> dict[str, Any]:
        """What no convention has a word for."""
        own: dict[str, Any] = {}
        if key.outcome != Outcome.OK:
            own["mesocosm.outcome"] = Outcome(key.outcome).name.lower()
        if key.kind == SpanKind.CLIENT and key.attempt > 1:
            own["mesocosm.attempts"] = key.attempt
        if key.kind == SpanKind.ATTEMPT and key.attempt > 1:
            own["http.request.resend_count"] = key.attempt - 1
        return own


class Protocols:
    """By which protocol the services of a scenario call each other: as `uses` states it, or the step that makes the call."""

    def __init__(self, services: Mapping[str, Any]) -> None:
        self._stated = {
            (caller, callee): (use or {}).get("protocol", "http")
            for caller, service in services.items()
            for callee, use in ((service or {}).get("uses") or {}).items()
        }
        self._calls: dict[tuple[str, str], dict[str, str]] = {}  # by operation, as its caller and as its callee names it
        for caller, service in services.items():
            for call in _calls([(service or {}).get(part) for part in ("endpoints", "subscribe", "health")]):
                target = parse_target(call["to"], caller)
                way = (caller, target.node)
                protocol = call.get("protocol") or self._stated.get(way, "http")
                routes: Routes[str] = Routes()
                for endpoint in (services.get(target.node) or {}).get("endpoints") or {}:
                    routes.add(*split_operation(endpoint), endpoint)
                found = routes.find(target.method, target.path)
                self._calls.setdefault(way, {}).update(dict.fromkeys([target.operation, found or target.operation], protocol))

    def of(self, caller: str, callee: str, operation: str) -> str:
        """`grpc` or `http`. An operation of which no step speaks is called as all others are, where these agree."""
        calls = self._calls.get((caller, callee), {})
        agreed = set(calls.values())
        stated = agreed.pop() if len(agreed) == 1 else self._stated.get((caller, callee), "http")
        return calls.get(operation, stated)


def _calls(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every `call` among the steps in *part* of a service."""
    if type(part) is dict:
        for inner in part.values():
            yield from _calls(inner)
    elif type(part) is list:
        for step in part:
            call = step.get("call") if type(step) is dict else None
            if type(call) is dict and "to" in call:
                yield call
            yield from _calls(step)


def _http(kind: SpanKind, operation: str) -> dict[str, Any]:
    """The convention knows no two methods at once and no route where none was found."""
    method, route = split_operation(operation)
    known = {"url.template" if kind in CALLS else "http.route": route} if method else {}
    return {"http.request.method": method if method in METHODS else "_OTHER", **known, "url.scheme": "http"}


def _status(key: str, status: int) -> dict[str, Any]:
    return {key: status} if status > 0 else {}
