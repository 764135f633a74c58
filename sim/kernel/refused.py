"""What a SimLoop refuses, since it belongs to the real machine, and what to do instead."""

from __future__ import annotations

import asyncio
from typing import Any

from sim.kernel.problems import NotSimulated

_SOCKETS = "send requests over the simulated network instead, or through an ASGI transport"
_PROCESSES = "model the process, or run it before the simulation"
_SIGNALS = "use signal.signal outside of the run"
REFUSED = {
    "create_connection create_server create_unix_connection create_unix_server create_datagram_endpoint connect_accepted_socket "
    "sendfile start_tls sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendto sock_connect sock_accept "
    "sock_sendfile getaddrinfo getnameinfo add_reader remove_reader add_writer remove_writer": _SOCKETS,
    "subprocess_exec subprocess_shell connect_read_pipe connect_write_pipe": _PROCESSES,
    "add_signal_handler remove_signal_handler": _SIGNALS,
}


def refuse(loop_class: type[asyncio.BaseEventLoop]) -> None:
    """Let every method of *loop_class* that is listed above raise NotSimulated."""
    for names, cure in REFUSED.items():
        for name in names.split():
            setattr(loop_class, name, _refusal(name, cure))


def _refusal(name: str, cure: str) -> Any:
    def refused(self: asyncio.BaseEventLoop, *args: Any, **kwargs: Any) -> Any:
        raise NotSimulated(name, cure)

    return refused
