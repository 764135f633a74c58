"""Paths: patterns that a node listens on, and templates that a caller sends.

A pattern has `{name}` for one segment and `*` for the rest: `GET /orders/{id}`, `/api/products/*`.
A template draws: `GET /api/products/{zipf:1000}` asks for product 1 more often than for product 1000.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from sim.spec import nearest
from sim.streams import Stream

T = TypeVar("T")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
CACHED = 50_000  # looked-up paths that are remembered
_DRAW = re.compile(r"\{(zipf|uniform|seq)(?::(\d+)(?::(\d+(?:\.\d+)?))?)?\}")
_LIKE_A_DRAW = re.compile(r"\{(?:zipf|uniform|seq)(?:\W[^{}]*)?\}")
_MOST_ITEMS, _LARGEST_EXPONENT = 10_000_000, 10.0


class Target(NamedTuple):
    """What a call names: a node (or "" for the one at hand), a method and a path."""

    node: str
    method: str
    path: str

    @property
    def operation(self) -> str:
        """`POST /charges`."""
        return f"{self.method} {self.path}"


def parse_target(text: str, node: str = "") -> Target:
    """Read `payments POST /charges`, `POST payments/charges`, `POST /charges` (with *node* given) or `payments`.

    Raise ValueError with a cure.
    """
    words = text.split()
    if len(words) == 3:
        name, method, path = words
    elif len(words) == 2 and words[0].upper() in METHODS:
        method, rest = words
        name, path = (node, rest) if rest.startswith("/") else (rest.partition("/")[0], "/" + rest.partition("/")[2])
    elif len(words) == 2:
        name, path, method = words[0], words[1], "GET"
    elif len(words) == 1:
        name, method, path = (node, "GET", text) if text.startswith("/") else (text.partition("/")[0], "GET", "/" + text.partition("/")[2])
    else:
        raise ValueError(f"{text!r} is no call: write 'payments POST /charges' or 'POST payments/charges'")
    if method.upper() not in METHODS:
        close = nearest(method.upper(), METHODS)
        raise ValueError(f"{method!r} is no method" + (f": did you mean {close}?" if close else f": one of {', '.join(METHODS)}"))
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is no path: it starts with '/'")
    check_draws(path)
    return Target(name, method.upper(), path)


def is_pattern(path: str) -> bool:
    """It stands for more than one path."""
    return "{" in path or "*" in path


def compile_pattern(path: str) -> re.Pattern[str]:
    """A regular expression for a pattern; `/api/orders/*` also means `/api/orders`."""
    pieces = re.split(r"(\{[^{}/]*\}|\*)", path)
    expression = "".join("[^/]+" if piece.startswith("{") else ".*" if piece == "*" else re.escape(piece) for piece in pieces)
    if path.endswith("/*"):
        expression = expression.removesuffix("/.*") + "(?:/.*)?"
    return re.compile(expression)


class Routes(Generic[T]):
    """What a node listens on; the first match in the order written wins, exact paths before patterns."""

    def __init__(self) -> None:
        self._exact: dict[str, T] = {}
        self._patterns: list[tuple[str, re.Pattern[str], T]] = []
        self._seen: dict[str, T | None] = {}

    def add(self, method: str, path: str, what: T) -> None:
        """Listen on *method* (`*` for any) and *path*."""
        self._seen.clear()
        if is_pattern(path) or method == "*":
            self._patterns.append((method, compile_pattern(path), what))
        else:
            self._exact[f"{method} {path}"] = what

    def find(self, method: str, path: str) -> T | None:
        """Who listens there, or None."""
        key = f"{method} {path}"
        try:
            return self._seen[key]
        except KeyError:
            bare = path.partition("?")[0]
            found = self._exact.get(f"{method} {bare}")
            if found is None:
                fitting = (what for wanted, pattern, what in self._patterns if wanted in ("*", method) and pattern.fullmatch(bare))
                found = next(fitting, None)
            if len(self._seen) >= CACHED:
                self._seen.clear()
            self._seen[key] = found
            return found

    def methods_of(self, path: str) -> bool:
        """Somebody listens on the path, with some method."""
        bare = path.partition("?")[0]
        return any(pattern.fullmatch(bare) for _, pattern, _ in self._patterns) or any(key.partition(" ")[2] == bare for key in self._exact)


_NUMBERED = re.compile(r"(?<=/)(?!v\d+(?:/|$))[^/]*\d[^/]*")


def plain_path(path: str) -> str:
    """*path* as a name for all its like: without the query, and with `{id}` for each segment that has a digit (but not `v1`)."""
    return _NUMBERED.sub("{id}", path.partition("?")[0])


def check_draws(text: str) -> None:
    """Raise ValueError with a cure if something in *text* looks like a draw and is none."""
    for like in _LIKE_A_DRAW.findall(text):
        draw = _DRAW.fullmatch(like)
        if draw is None:
            raise ValueError(f"{like!r} draws nothing: write '{{zipf:1000}}', '{{zipf:1000:1.1}}', '{{uniform:1000}}' or '{{seq}}'")
        if not 1 <= int(draw[2] or 1) <= _MOST_ITEMS:
            raise ValueError(f"{like!r} draws from {draw[2]} items: name 1 to {_MOST_ITEMS:,} of them")
        if float(draw[3] or 1) > _LARGEST_EXPONENT:
            raise ValueError(f"{like!r} is too steep: the exponent is at most {_LARGEST_EXPONENT:g}")


def draws_something(path: str) -> bool:
    """It is not the same for each request."""
    return _DRAW.search(path) is not None


def template(path: str, stream: Stream) -> Callable[[], str]:
    """A function that gives the path of the next request."""
    if not draws_something(path):
        return lambda: path
    pieces: list[str] = []
    draws: list[Callable[[], Any]] = []
    at = 0
    for match in _DRAW.finditer(path):
        pieces.append(path[at : match.start()])
        draws.append(_number(match[1], int(match[2] or 1000), float(match[3] or 1.1), stream))
        at = match.end()
    tail = path[at:]
    return lambda: "".join([part for piece, draw in zip(pieces, draws, strict=True) for part in (piece, str(draw()))]) + tail


def _number(kind: str, items: int, exponent: float, stream: Stream) -> Callable[[], int]:
    from sim.model.keys import UniformKeys, ZipfKeys

    if kind == "seq":
        state = iter(range(1, 2**62))
        return lambda: next(state)
    if kind == "zipf":
        return ZipfKeys.model_construct(items=items, s=exponent).drawer(stream)
    return UniformKeys.model_construct(items=items).drawer(stream)
