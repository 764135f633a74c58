"""How a call over the simulated network fails, and whether the work surely did not happen.

    Exception
    ├── CallError                    `status` is what a server that depends on the call answers itself
    │   ├── StatusError              the callee answered 5xx or 429                        the work may have happened
    │   ├── NoHealthyInstances       discovery knows nobody to send to               503   surely did not happen
    │   ├── ConnectFailed            refused, or no route       (ConnectionError)    502   surely did not happen
    │   │   └── CertificateRefused   the handshake failed                            502   surely did not happen
    │   │       └── CertificateExpired
    │   └── ConnectionReset          broke under the call       (ConnectionResetError) 502 may have happened
    ├── TimeoutError                 AttemptTimeout, DeadlineExceeded of sim.resilience        may have happened
    ├── Rejected                     refusals of sim.resilience: nothing was sent              surely did not happen
    └── MesocosmError                what a user of the program can do something about
        ├── InvalidInput             a file or an argument cannot be used (exit code 2)
        └── TargetNotFound           a fault, measure or link names what is not there

The connection errors are also Python's own, so that code written for production recognises them.
"""

from __future__ import annotations

from typing import Any


class CallError(Exception):
    """A call over the network that failed; *status* is the HTTP status that stands for it."""

    status: int | None = None
    sent = True  # False: the work surely did not happen


class StatusError(CallError):
    """The callee answered, with a status that says it failed (5xx) or that it refuses for now (429)."""

    def __init__(self, response: Any) -> None:
        super().__init__(f"status {response.status}")
        self.response = response
        self.status = response.status
        self.retry_after = response.retry_after


class NoHealthyInstances(CallError):
    """Discovery knows nobody to send to."""

    status = 503
    sent = False

    def __init__(self, node: str) -> None:
        super().__init__(f"no healthy instances of {node}")


class ConnectFailed(CallError, ConnectionError):
    """Refused, or no route: nothing was sent."""

    sent = False


class CertificateRefused(ConnectFailed):
    """One side of a connection showed no certificate, or one that is not valid: there is no connection."""


class CertificateExpired(CertificateRefused):
    """It was valid once."""


class ConnectionReset(CallError, ConnectionResetError):
    """The connection broke while the call was under way."""


class MesocosmError(Exception):
    """Something that the user of the program can mend; the message says what and how."""


class InvalidInput(MesocosmError):
    """A file or an argument that cannot be used."""


class TargetNotFound(MesocosmError):
    """A fault, a measure or a link names something that the scenario does not have."""
