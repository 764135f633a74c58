"""Headers of requests and answers: a mapping by lower-case names. Where a name comes twice, as `set-cookie` does, each line is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


class RepeatedHeaders(dict[str, str]):
    """Headers of which some come more than once: *lines* has all, in their order; by its name a header is its values joined by commas."""

    def __init__(self, lines: Sequence[tuple[str, str]]) -> None:
        for name, text in lines:
            self[name] = f"{self[name]}, {text}" if name in self else text
        self.lines = list(lines)


def headers_of(lines: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """The headers that *lines* of a real message say."""
    decoded = [(name.decode("latin-1").lower(), text.decode("latin-1")) for name, text in lines]
    headers = dict(decoded)
    return headers if len(headers) == len(decoded) else RepeatedHeaders(decoded)


def lines_of(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each line of *headers* as (name, text)."""
    return headers.lines if type(headers) is RepeatedHeaders else list(headers.items())
