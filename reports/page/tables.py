"""Rows of the page's tables: kinds of request, services, call edges with their policies. A cell knows what it is sorted by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.charts.states import breakers, seconds_in
from reports.texts import Texts, Words

from .headers import headers

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

UNBOUNDED = 100_000  # workers or places from here on are as good as no limit
MAIN = {  # the setting of a policy that says most
    "timeout": "duration", "deadline": "duration", "retry": "max_attempts", "circuit_breaker": "failure_rate_threshold",
    "bulkhead": "max_concurrent_calls", "rate_limiter": "rate", "fallback": "status", "hedge": "delay", "stale_cache": "max_stale",
}


@dataclass(frozen=True)
class Cell:
    """A text, the number (or text) it is sorted by, and how loudly it speaks: "", "good", "warn" or "bad"."""

    text: str
    order: float | str
    tone: str = ""
    right: bool = True


@dataclass(frozen=True)
class Policy:
    """One policy of an edge: its kind, its main setting, and all settings as text."""

    kind: str
    main: str
    settings: str


@dataclass(frozen=True)
class Table:
    """A table with a name, headers (text, explanation) and rows. *policies* stand beside the rows of call edges."""

    name: str
    headers: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell]]
    policies: Sequence[Sequence[Policy]] = ()


def requests(result: RunResult, texts: Texts) -> Table:
    """Each workload, and each kind of request it sends."""
    words, rows = texts.words, []
    for name, load in (result.summary.get("workloads") or {}).items():
        kinds = load.get("by_request") or {}
        rows.append([_name(name), _name(texts("all kinds") if len(kinds) != 1 else next(iter(kinds))), *_load(load, words)])
        rows += [[_name(name), _name(kind), *_load(part, words)] for kind, part in kinds.items() if len(kinds) > 1]
    named = headers(words, "workload", "request", "offered", "goodput", "good", "p50", "p99", "slowest", "statuses")
    return Table("requests", named, rows)


def _load(load: Mapping[str, Any], words: Words) -> Iterator[Cell]:
    latency = load.get("latency_s") or {}
    yield _rate(load.get("offered_rps"), words)
    yield _rate(load.get("goodput_rps"), words)
    yield _success(load.get("success_ratio"), words)
    for key in ("p50", "p99", "max"):
        yield _seconds(latency.get(key), words)
    statuses = load.get("by_status") or {}
    yield Cell(" · ".join(f"{status} × {words.number(count)}" for status, count in statuses.items()), len(statuses), right=False)


def services(result: RunResult, texts: Texts) -> Table:
    """Each node that serves: what it is, how much it did, how full it was."""
    words, rows = texts.words, []
    for name, node in (result.summary.get("services") or {}).items():
        about, latency, busy = result.description.get(name, {}), node.get("latency_s") or {}, node.get("utilisation")
        rows.append([
            _name(name), _name(words.kind(str(about.get("kind", "")))), _count(len(_listed(about.get("instances"))), words),
            _limit(about.get("workers"), words),
            _count(node.get("requests"), words), _success(node.get("success_ratio"), words), _seconds(latency.get("p50"), words),
            _seconds(latency.get("p99"), words), _share(busy, words, warn=0.7, bad=0.9), _mean(node.get("queue_mean"), words),
            _count(node.get("queue_max"), words), _count(node.get("rejected"), words, "warn"),
            _share(node.get("wasted_work_ratio"), words, warn=0.01, bad=0.1),
        ])
    named = headers(words, "service", "kind", "instances", "workers each", "requests", "good", "p50", "p99", "busy",
                    "queue mean", "queue max", "refused", "wasted")
    return Table("services", named, rows)


def calls(result: RunResult, texts: Texts) -> Table:
    """Each call edge that was used: how often, how well, what its policies did, and what they are."""
    words, rows, policies, opened = texts.words, [], [], _opened(result)
    for name, edge in (result.summary.get("calls") or {}).items():
        if not edge.get("calls") and not edge.get("unfinished"):  # a client that was made and never used, or in the warm-up only
            continue
        latency, amplification = edge.get("latency_s") or {}, edge.get("amplification")
        times, seconds = opened.get(name, (0, 0.0))
        rows.append([
            _name(name.replace("->", "→")), _count(edge.get("calls"), words), _success(edge.get("success_ratio"), words),
            Cell("–" if amplification is None else words.number(amplification, 2), amplification or 0,
                 "warn" if (amplification or 0) > 1.1 else ""),
            _count(edge.get("retries"), words), _count(edge.get("timeouts"), words, "warn"),
            _count(_refused(edge), words, "warn"), _seconds(latency.get("p50"), words), _seconds(latency.get("p99"), words),
            Cell(f"{words.number(times)} × · {words.seconds(round(seconds, 1))}" if times else "–", seconds, "bad" if times else ""),
        ])
        policies.append(list(policies_of(result, name)))
    named = headers(words, "edge", "calls", "good", "amplification", "retries", "timeouts", "refused calls", "p50", "p99", "breaker open")
    return Table("calls", named, rows, policies)


def _opened(result: RunResult) -> dict[str, tuple[int, float]]:
    """By edge how often its callers' breakers opened, and for how many seconds, all callers together."""
    found: dict[str, tuple[int, float]] = {}
    for (edge, _), stays in breakers(result).items():
        times, seconds = found.get(edge, (0, 0.0))
        found[edge] = times + sum(stay.state == "open" for stay in stays), seconds + seconds_in(stays, "open")
    return found


def _refused(edge: Mapping[str, Any]) -> int:
    """What its policies refused, those calls included which a fallback or a retry then answered."""
    by_policy = [count for name, count in (edge.get("policies") or {}).items() if name.endswith(".rejected")]
    return sum(by_policy) or sum((edge.get("rejected") or {}).values())


def policies_of(result: RunResult, edge: str) -> Iterator[Policy]:
    """The policies of `caller->callee`, outermost first, as the resolved scenario has them."""
    caller, _, callee = edge.partition("->")
    uses = ((result.scenario.get("services") or {}).get(caller) or {}).get("uses") or {}
    for policy in (uses.get(callee) or {}).get("policies") or []:
        for kind, settings in policy.items() if isinstance(policy, Mapping) else [(str(policy), {})]:
            about = settings if isinstance(settings, Mapping) else {"": settings}
            main = about.get(MAIN.get(kind, ""), about.get("", ""))
            yield Policy(kind.replace("_", " "), "" if isinstance(main, Mapping | list) else str(main), _flow(about))


def _flow(settings: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(settings), default_flow_style=False, sort_keys=False, allow_unicode=True)).strip()


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else range(int(value or 1))


def _name(text: str) -> Cell:
    return Cell(text, text, right=False)


def _rate(value: float | None, words: Words) -> Cell:
    return Cell("–" if value is None else f"{words.short(value)}/s", value or 0.0)


def _seconds(value: float | None, words: Words) -> Cell:
    return Cell(words.seconds(value), -1.0 if value is None else value)


def _count(value: int | None, words: Words, tone: str = "") -> Cell:
    return Cell("–" if value is None else words.number(value), value or 0, tone if value else "")


def _mean(value: float | None, words: Words) -> Cell:
    return Cell("–" if value is None else words.short(round(value, 3)), value or 0.0)


def _limit(value: int | None, words: Words) -> Cell:
    return Cell("∞", float(UNBOUNDED)) if value is None or value >= UNBOUNDED else _count(value, words)


def _success(value: float | None, words: Words) -> Cell:
    tone = "" if value is None else "good" if value >= 0.999 else "bad" if value < 0.95 else "warn"
    return Cell("–" if value is None else words.percent(value), -1.0 if value is None else value, tone)


def _share(value: float | None, words: Words, warn: float, bad: float) -> Cell:
    tone = "" if value is None or value < warn else "bad" if value >= bad else "warn"
    return Cell("–" if value is None else words.percent(value), -1.0 if value is None else value, tone)
