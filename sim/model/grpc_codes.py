"""gRPC's status codes, and the HTTP statuses that stand for them (google/rpc/code.proto).

Services of a scenario answer in HTTP's statuses whatever the transport; on a gRPC edge a status means the code that is written here,
and a refusal that only gRPC knows has the status that stands for its code.
"""

from __future__ import annotations

from enum import IntEnum

from sim.telemetry.codes import Reason


class Code(IntEnum):
    """The outcome of a gRPC call."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS = {
    Code.OK: 200, Code.CANCELLED: 499, Code.UNKNOWN: 500, Code.INVALID_ARGUMENT: 400, Code.DEADLINE_EXCEEDED: 504, Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409, Code.PERMISSION_DENIED: 403, Code.RESOURCE_EXHAUSTED: 429, Code.FAILED_PRECONDITION: 400, Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400, Code.UNIMPLEMENTED: 501, Code.INTERNAL: 500, Code.UNAVAILABLE: 503, Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
_CODE = {
    400: Code.INVALID_ARGUMENT, 401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED, 404: Code.NOT_FOUND, 405: Code.UNIMPLEMENTED,
    409: Code.ABORTED, 412: Code.FAILED_PRECONDITION, 413: Code.RESOURCE_EXHAUSTED, 429: Code.RESOURCE_EXHAUSTED, 499: Code.CANCELLED,
    500: Code.INTERNAL, 501: Code.UNIMPLEMENTED, 502: Code.UNAVAILABLE, 503: Code.UNAVAILABLE, 504: Code.DEADLINE_EXCEEDED,
}
_CODE_OF_PROXY = {
    400: Code.INTERNAL, 401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED, 404: Code.UNIMPLEMENTED, 429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE, 503: Code.UNAVAILABLE, 504: Code.UNAVAILABLE,
}
_CODE_OF_REASON = {  # of an end that came at the caller; what its own policies refuse looks to the code around it as these do
    Reason.TIMEOUT: Code.DEADLINE_EXCEEDED, Reason.DEADLINE: Code.DEADLINE_EXCEEDED, Reason.CANCELLED: Code.CANCELLED,
    Reason.CONNECT: Code.UNAVAILABLE, Reason.RESET: Code.UNAVAILABLE, Reason.UNAVAILABLE: Code.UNAVAILABLE,
    Reason.CERTIFICATE: Code.UNAVAILABLE, Reason.CIRCUIT_OPEN: Code.UNAVAILABLE, Reason.LOAD_SHED: Code.UNAVAILABLE,
    Reason.BULKHEAD_FULL: Code.RESOURCE_EXHAUSTED, Reason.RATE_LIMITED: Code.RESOURCE_EXHAUSTED,
    Reason.BUDGET_EXHAUSTED: Code.RESOURCE_EXHAUSTED, Reason.POOL_TIMEOUT: Code.RESOURCE_EXHAUSTED, Reason.LOCK_TIMEOUT: Code.ABORTED,
    Reason.DEADLOCK: Code.ABORTED, Reason.READ_ONLY: Code.FAILED_PRECONDITION, Reason.ERROR: Code.UNKNOWN,
}


def status_of(code: Code) -> int:
    """The HTTP status that a gateway answers for *code*."""
    return HTTP_STATUS[code]


def code_of(status: int) -> Code:
    """The code that a service means by an HTTP *status*, or that stands for the Reason (below 0) why there is none."""
    if status < 0:
        return _CODE_OF_REASON[Reason(status)]
    return Code.OK if 100 <= status < 400 else _CODE.get(status, Code.UNKNOWN)


def code_of_proxy(status: int) -> Code:
    """The code that a gRPC client makes of an HTTP *status* that came without one, from something between it and the server.

    Source: grpc/doc/http-grpc-status-mapping.md.
    """
    return _CODE_OF_PROXY.get(status, Code.UNKNOWN)
