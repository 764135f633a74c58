"""What is done to a broker and what is seen, in one form for the real server and for ours.

A message of a stream is written as what its consumer does at each delivery: `ack`, `nak`, `term`, `hush` (nothing, so that the time to
acknowledge runs out), `say` (that it is in progress, and then nothing), or `long` (it says so twice, and then `ack`); after the last word
it is `ack`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ACK_WAIT = 0.8  # seconds
NAK_DELAY = 0.4
PART = 0.5  # seconds between two words of who is at work for long


@dataclass(frozen=True)
class Core:
    """Subscribers (name, pattern, queue or "") and publications, in order."""

    subscribers: tuple[tuple[str, str, str], ...]
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class Stream:
    """Messages, limits, and how long to look. `hush` keeps no member busy."""

    messages: tuple[str, ...]
    max_deliver: int = 5
    max_ack_pending: int = 1000
    members: int = 1
    for_seconds: float = 2.6

    def does(self, message: int, number: int) -> str:
        """What is done with the *number*-th delivery of a message."""
        words = self.messages[message].split()
        return words[number - 1] if number <= len(words) else "ack"


@dataclass
class Seen:
    """When each message was delivered (seconds after the first of all), in which order they came first, and which were given up."""

    times: dict[int, list[float]] = field(default_factory=dict)
    first: list[int] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)

    def note(self, message: int, at: float) -> int:
        """A delivery; returns which it is."""
        if message not in self.times:
            self.first.append(message)
        self.times.setdefault(message, []).append(at)
        return len(self.times[message])


CORE = {
    "wildcards": Core(
        (("all", ">", ""), ("orders", "order.>", ""), ("one", "order.*", ""), ("middle", "*.created", ""), ("deep", "order.*.paid", ""),
         ("exact", "order.created", ""), ("end", "order.created.>", ""), ("two", "*.*", "")),
        ("order", "order.created", "order.cancelled", "order.eu.paid", "order.created.late", "user.created", "user.created.x", "created",
         "a.b.c.d")),
    "queues": Core(
        (*((f"mailer-{number}", "order.created", "mailer") for number in range(3)),
         ("audit-1", "order.*", "audit"), ("audit-2", "order.*", "audit"), ("alone", "order.>", "")),
        ("order.created",) * 60 + ("order.cancelled",) * 20),
    "one queue over several patterns": Core(
        (("a", "order.created", "q"), ("b", "order.*", "q"), ("c", "order.>", "q"), ("d", "order.>", "r")), ("order.created",) * 40),
    "nobody": Core((("other", "user.*", ""),), ("order.created", "order.created")),
}
STREAMS = {
    "acknowledged": Stream(("ack",) * 5, for_seconds=1.0),
    "negative acknowledgements come again after their delay": Stream(("nak", "ack", "nak nak", "ack")),
    "silence comes again after the wait": Stream(("hush", "ack", "hush hush")),
    "too many deliveries": Stream(("nak nak nak nak", "hush hush hush", "ack"), max_deliver=3, for_seconds=3.2),
    "no use": Stream(("ack", "term", "nak term", "ack")),
    "few may be pending": Stream(("hush", "hush", "ack", "ack"), max_ack_pending=2),
    "shared": Stream(("ack",) * 20, members=3, for_seconds=1.0),
    "work in progress is waited for": Stream(("long",), for_seconds=3.0),
    "a word begins the wait anew and is no acknowledgement": Stream(("say",), for_seconds=2.5),
}
