"""Connections over the simulated network: what it takes to open one, and in how many ways that fails.

    open ──▶ SYN there, answer back ──tls: hello there, hello back, cryptography──▶ open
      ├──nobody listens──▶ refused, after the round trip
      ├──a rule of the link says Fail──▶ its error
      └──nothing comes back (a black hole)──▶ given up after connect_timeout
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sim.errors import ConnectFailed
from sim.model.messages import Request, Response
from sim.model.network import LOST, LinkFailed

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.instance import Instance
    from sim.model.transport_spec import ConnectionSpec

SEGMENT = 60  # bytes of a packet without payload


class Transport:
    """What carries the calls of one *client*; *connection* says what connections cost."""

    def __init__(self, client: Client, connection: ConnectionSpec | None) -> None:
        self.client, self.connection = client, connection
        self.loop, self.env = client.loop, client.env

    def begin_anew(self) -> None:
        """Its process was started again: it has no connections."""

    async def open(self, instance: Instance) -> None:
        """Open a connection to *instance*; raise ConnectFailed, or what a rule of the link says."""
        spec = self.connection
        assert spec is not None, "free connections need not be opened"
        try:
            async with asyncio.timeout(spec.connect_timeout):
                await self.round_trip(instance, self._knocked)
                if spec.tls:
                    await self.round_trip(instance, self._knocked)
                    await self.loop.sleep(spec.handshake)
        except TimeoutError:
            raise ConnectFailed(f"no connection to {instance.name} within {spec.connect_timeout:g} s") from None
        self.client.edge.counts["connection.opened"] += 1

    async def round_trip(self, instance: Instance, arrive: Callable[[Instance, Request, Future[None]], None]) -> None:
        """A packet there, where it is given to *arrive*, and one back; for ever, if one of them is lost."""
        client, request = self.client, Request("CONNECT", "", size=SEGMENT)
        try:
            delay = client.there.delay(client.source, instance, request)
        except LinkFailed as failure:
            await self.loop.sleep(failure.verdict.after)
            raise failure.verdict.error() from None
        come: Future[None] = Future(loop=self.loop)
        if delay != LOST:
            self.loop.post(delay, arrive, instance, request, come)
        await come

    def _knocked(self, instance: Instance, request: Request, come: Future[None]) -> None:
        """A packet has come to the kernel of the far side, which answers whatever the process does."""
        listens = instance.up and instance.accepting
        self.send_back(instance, request, come, None if listens else ConnectFailed(f"{instance.name} refuses connections"))

    def send_back(self, instance: Instance, request: Request, come: Future[None], error: Exception | None = None) -> None:
        """A packet from *instance* to the caller, who waits for *come*."""
        client = self.client
        try:
            delay = client.back.delay(instance, client.source, request, Response(0, size=SEGMENT))
        except LinkFailed as failure:
            delay, error = failure.verdict.after, failure.verdict.error()
        if delay != LOST:
            self.loop.post(delay, _settle, come, error)


def _settle(come: Future[Any], error: Exception | None) -> None:
    if come.done():
        return
    if error is None:
        come.set_result(None)
    else:
        come.set_exception(error)
