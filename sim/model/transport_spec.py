"""What a scenario says about the connections to a dependency."""

from __future__ import annotations

from collections.abc import Iterator, Set

from pydantic import Field, model_validator

from sim.mistakes import Mistake, invalid
from sim.spec import Spec
from sim.units import Duration, PositiveDuration

CHOICES = ("balancer", "outlier_detection")
OF_GRPC = ("keepalive", "max_message_size")
CONNECTIONS_OF = {"http": ("max_connections", "pool_timeout", "keep_alive"), "grpc": ("pinned", "max_streams", "max_age")}


class ConnectionSpec(Spec):
    """Connections that have to be opened: a round trip for TCP, another one and the *handshake* for TLS; then they are used again.

    http: one request at a time on each. A request beyond *max_connections* to an instance waits, for *pool_timeout* at most. One that
    nobody has used for *keep_alive* is closed, and so is one whose request was given up.

    grpc: one for each instance, which carries *max_streams* requests at once. *pinned*: a single one, to whichever instance a balancer
    of connections has chosen, until it breaks or reaches *max_age*: all requests of this caller go there.
    """

    tls: bool = False
    handshake: Duration = 0.002  # of cryptography
    connect_timeout: PositiveDuration = 10.0
    max_connections: int | None = Field(default=None, ge=1)  # None: as many as it takes
    pool_timeout: PositiveDuration | None = None  # None: as long as the caller waits
    keep_alive: PositiveDuration = 90.0
    pinned: bool = False
    max_streams: int = Field(default=100, ge=1)
    max_age: PositiveDuration | None = None

    @model_validator(mode="after")
    def _all_is_used(self) -> ConnectionSpec:
        wrong = []
        if not self.tls and "handshake" in self.written():
            wrong.append(Mistake(("handshake",), "`handshake` is of TLS, which these connections lack", "add `tls: true`", at_key=True))
        if self.max_connections is None and self.pool_timeout is not None:
            wrong.append(Mistake(("pool_timeout",), "nobody waits for a connection where there are as many as it takes",
                                 "add `max_connections: 10`", at_key=True))
        if wrong:
            raise invalid(*wrong)
        return self


class KeepaliveSpec(Spec):
    """A connection on which nothing has come for *time* is pinged; without an answer within *timeout* it is dead, with all that it carries.

    Without *permit_without_stream* only a connection that carries requests is pinged. A server that allows pings only every
    *server_min_time* closes the connection at the third that comes too early.
    """

    time: PositiveDuration = 10.0
    timeout: PositiveDuration = 20.0
    permit_without_stream: bool = False
    server_min_time: Duration = 0.0


def wrong_for_pinned(connection: ConnectionSpec | None, written: Set[str]) -> Iterator[Mistake]:
    """What was *written* that a caller with one connection cannot do: choose for each request."""
    if connection is not None and connection.pinned:
        for name in CHOICES:
            if name in written:
                yield Mistake((name,), f"`{name}` chooses for each request, and all requests of a `pinned` caller go to one instance",
                              "remove it, or `pinned`", at_key=True)


def wrong_for(protocol: str, connection: ConnectionSpec | None, written: Set[str]) -> Iterator[Mistake]:
    """What was *written* that the *protocol* does not have."""
    if protocol != "grpc":
        for name in OF_GRPC:
            if name in written:
                yield Mistake((name,), f"`{name}` is of grpc, and this dependency is called by {protocol}", "write `protocol: grpc`",
                              at_key=True)
    other = "http" if protocol == "grpc" else "grpc"
    for name in CONNECTIONS_OF[other]:
        if connection is not None and name in connection.written():
            yield Mistake(("connection", name), f"`{name}` is of {other}, and this dependency is called by {protocol}",
                          f"of {protocol} are: {', '.join(CONNECTIONS_OF[protocol])}", at_key=True)
