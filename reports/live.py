"""While a run goes on: a progress line on stderr, or with `--live` a view of rates, percentiles, breakers and faults.

Both are fed by the lab at each sample and show nothing where the stream is no terminal. Only this file asks what time it
is in the real world, to reckon when the run will be done.

    with watching(scenario.name, live=True) as watch:
        run(scenario, on_sample=watch)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from reports.terminal import columns, encodable, plain, wants_colour
from reports.texts import Words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from sim.lab.vitals import Progress

REFRESH = 0.1  # seconds of real time between two pictures
BAR = 28  # signs


class Watcher(AbstractContextManager["Watcher"]):
    """Called with each snapshot; this one shows nothing."""

    def __call__(self, snapshot: Progress) -> None:
        """Take notice of *snapshot*."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The run is over."""


def watching(name: str, *, live: bool = False, lang: str = "en", stream: TextIO | None = None,
             clock: Callable[[], float] = time.monotonic) -> Watcher:
    """A watcher of the run *name* that suits *stream* (default stderr).

    It shows nothing where that is no terminal, or NO_COLOR or CI is set; else a line, or with *live* the view.
    """
    stream = stream or sys.stderr
    if not wants_colour(stream):
        return Watcher()
    pace = Pace(plain(name), Words(lang), clock)
    return LiveView(stream, pace) if live else ProgressLine(stream, pace)


class Pace:
    """How far a run is and when it will be done, if it goes on at the speed it had so far."""

    def __init__(self, name: str, words: Words, clock: Callable[[], float]) -> None:
        self.name, self.words, self.clock = name, words, clock
        self.began = clock()
        self._shown_at = -REFRESH

    def due(self) -> bool:
        """Whether it is time for the next picture."""
        now = self.clock() - self.began
        if now - self._shown_at < REFRESH:
            return False
        self._shown_at = now
        return True

    def line(self, snapshot: Progress) -> str:
        """`[####----] checkout · 42 s of 180 s simulated · 1.2 s elapsed · 4 s left`."""
        words, elapsed = self.words, self.clock() - self.began
        share = snapshot.at / snapshot.duration if snapshot.duration else 1.0
        parts = [self.name, words("progress", at=words.seconds(round(snapshot.at, 1)), duration=words.seconds(snapshot.duration)),
                 words("elapsed", wall=words.seconds(round(elapsed, 1)))]
        if share > 0:
            parts.append(words("eta", eta=words.seconds(round(elapsed * (1 - share) / share, 1))))
        return f"{bar(share)} {' · '.join(parts)}"


class ProgressLine(Watcher):
    """One line, rewritten in place, and wiped at the end."""

    def __init__(self, stream: TextIO, pace: Pace) -> None:
        self.stream, self.pace = stream, pace

    def __call__(self, snapshot: Progress) -> None:
        """Rewrite the line, at most ten times a second."""
        if self.pace.due():
            line = encodable(self.pace.line(snapshot)[: columns(self.stream) - 1], self.stream.encoding or "ascii")
            self.stream.write(f"\r\x1b[2K{line}")
            self.stream.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stream.write("\r\x1b[2K")
        self.stream.flush()


class LiveView(Watcher):
    """A small dashboard in the terminal, for as long as the run lasts."""

    def __init__(self, stream: TextIO, pace: Pace) -> None:
        self.stream, self.pace, self.words = stream, pace, pace.words
        self.rates: list[float] = []  # of requests answered, for the sparkline
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self.stream, markup=False, highlight=False, emoji=False)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()
        return self

    def __call__(self, snapshot: Progress) -> None:
        """Show *snapshot*, at most ten times a second; every one of them is in the sparkline."""
        self.rates.append(_rate(snapshot, "ok") + _rate(snapshot, "degraded"))
        if self._live is not None and self.pace.due():
            self._live.update(self.picture(snapshot), refresh=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def picture(self, snapshot: Progress) -> RenderableType:
        """Progress, rates by outcome, latency, breakers that are not closed, faults that are on."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        words = self.words
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_row(words("requests"), self._outcomes(snapshot))
        table.add_row("", Text(sparkline(self.rates, 60), style="green"))
        quantiles = "   ".join(f"{name} {words.seconds(value)}" for name, value in snapshot.latency.items())
        table.add_row(words("latency"), quantiles)
        table.add_row(words("in flight"), words.number(snapshot.in_flight))
        troubled = [f"{plain(edge)} {words(state)}" for edge, state in snapshot.breakers.items() if state != "closed"]
        table.add_row(words("breakers"), Text(", ".join(troubled) or words("none open"), style="bold red" if troubled else "green"))
        faults = [plain(name) for name in snapshot.faults]
        table.add_row(words("current faults"), Text(", ".join(faults) or words("none now"), style="bold magenta" if faults else ""))
        return Group(Text(self.pace.line(snapshot), no_wrap=True, overflow="crop"), table)

    def _outcomes(self, snapshot: Progress) -> Text:
        from rich.text import Text

        styles = {"ok": "green", "degraded": "cyan", "rejected": "yellow", "failed": "red"}
        text = Text()
        for name, style in styles.items():
            text.append(f"{self.words.short(_rate(snapshot, name))}/s {self.words(name)}   ", style=style)
        return text


def _rate(snapshot: Progress, outcome: str) -> float:
    """Requests per second that ended so in the snapshot's window."""
    return snapshot.outcomes[outcome] / snapshot.window if snapshot.window > 0 else 0.0


def bar(share: float, width: int = BAR) -> str:
    """`[#########-----]`."""
    full = round(width * min(max(share, 0.0), 1.0))
    return f"[{'#' * full}{'-' * (width - full)}]"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last *width* values as blocks, the highest of them as a full one."""
    blocks = " ▁▂▃▄▅▆▇█"
    shown = list(values)[-width:]
    most = max(shown, default=0.0)
    return "".join(blocks[round(8 * value / most)] if most > 0 else blocks[0] for value in shown)
