"""Connections over the simulated network: what it takes to open one, and in how many ways that fails.

    open ──▶ SYN there, answer back ──tls: hello there, hello back, cryptography──▶ open
      ├──nobody listens──▶ refused, after the round trip
      ├──a rule of the link says Fail──▶ its error
      └──nothing comes back (a black hole)──▶ sent again after 1 s, 2 s, 4 s; given up after connect_timeout
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from sim.errors import ConnectFailed
from sim.model.messages import Request, Response
from sim.model.network import FIRST_RTO, SYN_RTO, Packet

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
                await self.round_trip(instance, partial(self._knocked, SYN_RTO), SYN_RTO)
                if spec.tls:
                    await self.round_trip(instance, partial(self._knocked, FIRST_RTO))
                    await self.loop.sleep(spec.handshake)
        except TimeoutError:
            raise ConnectFailed(f"no connection to {instance.name} within {spec.connect_timeout:g} s") from None
        self.client.edge.counts["connection.opened"] += 1

    async def round_trip(self, instance: Instance, arrive: Callable[[Instance, Request, Future[None]], None],
                         timeout: float = FIRST_RTO) -> None:
        """A packet there, where it is given to *arrive*, and one back; for ever, if one of them is lost and not sent again.

        *timeout* in seconds: when TCP begins to do that.
        """
        client, request, come = self.client, Request("CONNECT", "", size=SEGMENT), Future[None](loop=self.loop)
        client.edge.there.send(self._packet(come, lambda delay: self.loop.post(delay, arrive, instance, request, come), timeout),
                          client.source, instance, request)
        await come

    def _packet(self, come: Future[None], arrive: Callable[[float], object], timeout: float) -> Packet:
        return Packet(arrive, lambda verdict: self.loop.post(verdict.after, _settle, come, verdict.error()), come.done, timeout)

    def _knocked(self, timeout: float, instance: Instance, request: Request, come: Future[None]) -> None:
        """A packet has come to the kernel of the far side, which answers whatever the process does."""
        listens = instance.up and instance.accepting
        self.send_back(instance, request, come, None if listens else ConnectFailed(f"{instance.name} refuses connections"), timeout)

    def send_back(self, instance: Instance, request: Request, come: Future[None], error: Exception | None = None,
                  timeout: float = FIRST_RTO) -> None:
        """A packet from *instance* to the caller, who waits for *come*."""
        client = self.client
        client.edge.back.send(self._packet(come, lambda delay: self.loop.post(delay, _settle, come, error), timeout),
                         instance, client.source, request, Response(0, size=SEGMENT))


def _settle(come: Future[Any], error: Exception | None) -> None:
    if come.done():
        return
    if error is None:
        come.set_result(None)
    else:
        come.set_exception(error)
