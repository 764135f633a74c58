"""The summary of a run for a terminal, from summary.json alone: checks first, then requests, services and call edges.

Where the output is no terminal, or `NO_COLOR` or `CI` is set, it is plain text of 100 columns, the same on every machine.
"""

from __future__ import annotations

import io
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from reports import stores
from reports.faults import kind_of, reason
from reports.texts import Words, shortened

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    Row = list[Text | str]

PLAIN_WIDTH = 100
MARGIN, GAP = 2, 2
LONGEST_NAME = 30  # columns of a store's name
MOST_ROWS = 30  # of a table; a mesh of hundreds of services is for the page
ASCII = str.maketrans({"✓": "+", "✗": "x", "·": "-", "–": "-", "×": "x", "µ": "u", "…": "~", "\u2009": " "})
LATENCIES = ("p50", "p95", "p99", "p999", "max")


def summary_text(summary: Mapping[str, Any], *, folder: Path | None = None, lang: str = "en", colour: bool = False,
                 width: int = PLAIN_WIDTH) -> str:
    """What `run` and `report` print; *folder* is where the files lie."""
    from rich.console import Console

    sink = io.StringIO()
    system: Literal["standard"] | None = "standard" if colour else None
    console = Console(file=sink, width=width, force_terminal=colour, color_system=system, highlight=False, markup=False, emoji=False)
    _Report(console, summary, Words(lang)).write(folder)
    return "\n".join(line.rstrip() for line in sink.getvalue().split("\n"))


def print_summary(summary: Mapping[str, Any], stream: TextIO, *, folder: Path | None = None, lang: str = "en") -> None:
    """Write the summary to *stream* as it can take it: coloured or plain, its own width or 100, Unicode or ASCII."""
    colour = wants_colour(stream)
    width = max(PLAIN_WIDTH, min(columns(stream), 140)) if colour else PLAIN_WIDTH
    text = summary_text(summary, folder=folder, lang=lang, colour=colour, width=width)
    stream.write(encodable(text, stream.encoding or "ascii"))


def wants_colour(stream: TextIO) -> bool:
    """Whether *stream* is a terminal and neither NO_COLOR nor CI is set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def encodable(text: str, encoding: str) -> str:
    """*text* without what *encoding* cannot write: signs have their ASCII likeness, the rest becomes `?`."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(ASCII).encode(encoding, "replace").decode(encoding)
    return text


def joined(pieces: Iterable[str], width: int) -> list[str]:
    """*pieces* with dots between them, on lines of at most *width*; a piece is never cut."""
    lines: list[str] = []
    for piece in pieces:
        longer = f"{lines[-1]} · {piece}" if lines else piece
        lines[-1:] = [longer] if len(longer) <= width or not lines else [lines[-1], piece]
    return lines


def plain(name: object) -> str:
    """A name from a file without control characters, which could move a terminal's cursor or hide text."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(sign).startswith("C") else sign for sign in str(name))


def columns(stream: TextIO) -> int:
    """How wide the terminal is, or 100."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return PLAIN_WIDTH


class _Report:
    """Writes one summary, section by section."""

    def __init__(self, console: Console, summary: Mapping[str, Any], words: Words) -> None:
        self.console, self.summary, self.words = console, summary, words

    def write(self, folder: Path | None) -> None:
        self.opening()
        self.checks()
        self.faults()
        self.requests()
        self.workloads()
        self.services()
        self.calls()
        self.stores()
        self.ending(folder)

    # sections

    def opening(self) -> None:
        """Which run this is, and how fast it went."""
        summary, words = self.summary, self.words
        name = " · ".join(plain(part) for part in (summary["scenario"], summary.get("variant"), words.seed(summary["seed"])) if part)
        simulated, wall = summary["simulated_s"], summary.get("wall_s") or 0.0
        speed = words.short(simulated / wall) if wall else "–"
        pace = words("simulated", simulated=words.seconds(simulated), wall=words.seconds(wall), speed=speed)
        self.console.print()
        apart = "   " if len(name) + len(pace) + MARGIN + 3 <= self.console.width else "\n  "
        self.console.print(_text("  ", (name, "bold"), apart, (pace, "dim")))
        self.console.print(_text("  ", (plain(summary.get("digest", "")), "dim")))

    def checks(self) -> None:
        """Every check with what was measured, the bound and the window; then the verdict."""
        checks, words = self.summary.get("checks") or [], self.words
        passed = sum(bool(check["passed"]) for check in checks)
        self.title("checks", words("held", passed=passed, total=len(checks)) if checks else words("no checks"))
        rows: list[Row] = []
        for check in checks:
            good = bool(check["passed"])
            measure = str(check.get("measure", ""))
            bound = words(check["op"], bound=words.measure(measure, check["bound"]))
            measured = words.measure(measure, check["measured"]) if good else words.missed(measure, check["measured"], check["bound"])
            rows.append([_text(("✓" if good else "✗", "bold green" if good else "bold red")), plain(words.title_of(check)),
                         _text((measured, "green" if good else "bold red")), bound, self.window(check)])
        if checks:
            self.table(["", "", "", "", ""], rows, left=(0, 1, 3, 4), elastic=1)
        verdict = str(self.summary["verdict"])
        style = "bold green" if verdict == "pass" else "bold yellow" if verdict == "interrupted" else "bold red"
        self.console.print(_text(f"  {words('verdict')}: ", (words(f"verdict {verdict}"), style)))

    def faults(self) -> None:
        """When which fault was on, and where."""
        faults, warnings = self.summary.get("faults") or [], self.summary.get("warnings") or []
        if not faults and not warnings:
            return
        self.title("faults")
        rows: list[Row] = [
            [plain(fault["name"]), plain(kind_of(fault["kind"], self.words)), plain(", ".join(fault["targets"])), self.window(fault)]
            for fault in faults
        ]
        if rows:
            self.table(["", "", "", ""], rows, left=(0, 1, 2, 3), elastic=2)
        for warning in warnings:
            text = self.words("no effect", name=plain(warning["name"]), why=plain(reason(warning, self.words)))
            self.console.print(_text("  ", (f"! {text}", "yellow")))

    def requests(self) -> None:
        """All user requests by outcome, as counts and shares."""
        counts, words = self.summary["requests"], self.words
        self.title("REQUESTS", words("whole run"))
        total = counts["started"]
        outcomes = [outcome for outcome in ("ok", "degraded", "failed", "rejected", "unfinished") if counts.get(outcome)]
        rows: list[Row] = [[words.number(total), *(words.number(counts[outcome]) for outcome in outcomes)],
                           ["", *(words.percent(counts[outcome] / total) for outcome in outcomes)]]
        self.table([words("started"), *(words(outcome) for outcome in outcomes)], rows[: 2 if outcomes else 1], left=())
        if self.summary.get("warmup_s"):
            self.console.print(_text("  ", (words("after warm-up", warmup=words.seconds(self.summary["warmup_s"])), "dim")))

    def workloads(self) -> None:
        """Rates and latency percentiles of each workload and, where it sends several, of each kind of request."""
        words = self.words
        self.title("workloads")
        rows: list[Row] = []
        for name, workload in (self.summary.get("workloads") or {}).items():
            rows.append([_text((plain(name), "bold")), *self.load(workload)])
            kinds = workload.get("by_request") or {}
            for request, part in kinds.items() if len(kinds) > 1 else ():
                rows.append([f"  {plain(request)}", *self.load(part)])
        percentiles = [f"p{words.number(99.9, 1)}" if name == "p999" else name for name in LATENCIES]
        self.table(["", words("offered/s"), words("goodput/s"), words("good"), *percentiles], rows)
        for name, workload in (self.summary.get("workloads") or {}).items():
            if workload.get("dropped"):
                text = words("dropped", name=plain(name), count=words.number(workload["dropped"]))
                self.console.print(_text("  ", (f"! {text}", "yellow")))

    def load(self, load: Mapping[str, Any]) -> list[Text | str]:
        """The figures of one row of workloads."""
        latency = load.get("latency_s") or {}
        rates = [self.rate(load.get("offered_rps")), self.rate(load.get("goodput_rps"))]
        return [*rates, self.success(load.get("success_ratio")), *(self.words.seconds(latency.get(name)) for name in LATENCIES)]

    def services(self) -> None:
        """Load, errors, queue and wasted work of every node that served."""
        services, words = self.summary.get("services") or {}, self.words
        if not services:
            return
        self.title("services")
        rows: list[Row] = []
        for name, service in services.items():
            latency, busy = service.get("latency_s") or {}, service.get("utilisation")
            queue = f"{words.short(round(service.get('queue_mean') or 0, 3))} ({words.number(service.get('queue_max') or 0)})"
            rows.append([plain(name), words.number(service["requests"]), self.success(service.get("success_ratio")),
                         words.seconds(latency.get("p50")), words.seconds(latency.get("p99")), self.load_of(busy), queue,
                         self.count(service.get("rejected"), "yellow"), self.share(service.get("wasted_work_ratio"))])
        load = (words(key) for key in ("queue (max)", "refused here", "wasted"))
        self.table(["", words("served"), words("good"), "p50", "p99", words("busy"), *load], rows, names=True)
        for error in self.summary.get("code_errors") or []:
            text = words(error["kind"], node=plain(error["node"]), count=words.number(error["count"]), at=words.seconds(error["from_s"]),
                         instance=plain(error["instance"]), error=plain(error["error"]))
            self.console.print(_text("  ", (f"! {text}", "yellow")))

    def calls(self) -> None:
        """Attempts, timeouts and refusals of every call edge, and how often and how long its breakers were open."""
        calls, words = self.summary.get("calls") or {}, self.words
        if not calls:
            return
        self.title("calls")
        rows: list[Row] = []
        for edge, call in calls.items():
            if not call["calls"]:  # a client that was made and never used
                continue
            breaker = call.get("breaker")
            opened = f"{words.number(breaker['opened'])}× {words.seconds(breaker['open_s'])}" if breaker and breaker.get("opened") else ""
            amplification = call.get("amplification")
            rows.append([plain(edge), words.number(call["calls"]), self.success(call.get("success_ratio")),
                         "–" if amplification is None else _text((words.number(amplification, 2), "yellow" if amplification > 1.1 else "")),
                         self.count(call.get("retries"), ""), self.count(call.get("timeouts"), "yellow"),
                         self.count(sum((call.get("rejected") or {}).values()), "yellow"),
                         words.seconds((call.get("latency_s") or {}).get("p99")), _text((opened, "red"))])
        counts = (words(key) for key in ("count", "good", "per call", "retries", "timeouts", "refused"))
        self.table(["", *counts, "p99", words("breaker")], rows, names=True)

    def stores(self) -> None:
        """What databases, caches, brokers and sagas count of themselves, on as many lines as it takes."""
        for section in stores.SECTIONS:
            found = [(plain(name), figures) for name, figures in stores.rows(self.summary.get(section) or {}, self.words) if figures]
            if not found:
                continue
            self.title(section)
            width = min(max(len(name) for name, _ in found), LONGEST_NAME)
            for name, figures in found[:MOST_ROWS]:
                for number, line in enumerate(joined(figures, self.console.width - MARGIN - width - GAP)):
                    head = _text(name if number == 0 else "")
                    head.truncate(width, overflow="ellipsis", pad=True)
                    self.console.print(_text(" " * MARGIN, head, " " * GAP, line))
            self.more(found)

    def ending(self, folder: Path | None) -> None:
        """Where the report lies."""
        if folder is None:
            return
        page = folder / "report.html"
        self.console.print()
        self.console.print(_text("  ", (f"{self.words('folder')}: {plain(folder)}", "")), soft_wrap=True)
        if page.exists():
            self.console.print(_text("  ", (f"{self.words('page')}: {plain(page)}", "bold")), soft_wrap=True)
        self.console.print()

    # parts

    def title(self, key: str, note: str = "") -> None:
        self.console.print()
        self.console.print(_text("  ", (self.words(key), "bold"), "  " if note else "", (note, "dim")))

    def table(self, headers: Sequence[str], rows: Sequence[Row], left: Iterable[int] = (0,), elastic: int = 0,
              names: bool = False) -> None:
        """Rows without lines between them; the columns in *left* hold words. Only column *elastic* is cut where it is too wide,
        *names* in their middle.
        """
        from rich.cells import cell_len
        from rich.padding import Padding
        from rich.table import Table

        shown = rows[:MOST_ROWS]
        widths = [max(cell_len(str(cell)) for cell in column) for column in zip(headers, *shown, strict=True)]
        room = self.console.width - MARGIN - sum(widths) + widths[elastic] - GAP * (len(widths) - 1)
        widths[elastic] = max(8, min(widths[elastic], room))
        table = Table(box=None, padding=(0, GAP, 0, 0), show_header=any(headers), header_style="dim", pad_edge=False)
        for index, (header, width) in enumerate(zip(headers, widths, strict=True)):
            table.add_column(header, justify="left" if index in left else "right", no_wrap=True, overflow="ellipsis", width=width)
        for row in shown:
            cell = shortened(str(row[elastic]), widths[elastic]) if names else row[elastic]
            table.add_row(*row[:elastic], cell, *row[elastic + 1 :])
        self.console.print(Padding(table, (0, 0, 0, MARGIN)))
        self.more(rows)

    def more(self, rows: Sequence[Any]) -> None:
        """How many *rows* are too many to show, if there are such."""
        if len(rows) > MOST_ROWS:
            self.console.print(_text("  ", (self.words("and more", count=self.words.number(len(rows) - MOST_ROWS)), "dim")))

    def window(self, part: Mapping[str, Any]) -> str:
        """`60 s – 90 s`."""
        until = part.get("until_s")
        return f"{self.words.moment(part['from_s'])} – {self.words('to the end') if until is None else self.words.moment(until)}"

    def rate(self, value: float | None) -> str:
        return "–" if value is None else self.words.short(value)

    def share(self, value: float | None) -> str:
        return "–" if value is None else self.words.percent(value)

    def success(self, value: float | None) -> Text:
        """Green where nearly all went well, red where a twentieth or more did not."""
        style = "" if value is None else "green" if value >= 0.999 else "red" if value < 0.95 else "yellow"
        return _text((self.share(value), style))

    def load_of(self, share: float | None) -> Text:
        """A utilisation, in red where a queue grows without end."""
        return _text((self.share(share), "red" if share is not None and share >= 0.9 else ""))

    def count(self, value: int | None, style: str) -> Text:
        """A count that speaks up only where there is something to count."""
        return _text((self.words.number(value), style) if value else ("0", "dim"))


def _text(*parts: str | Text | tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts)
