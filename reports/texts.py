"""The words of reports in English and Spanish, and how each language writes numbers and times."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

LANGUAGES = ("en", "es")
LONGEST_SEED = 24  # digits
LONG = 600.0  # seconds; from here on minutes and hours read better
EARLY = 20.0  # seconds of a run

TEXTS: dict[str, tuple[str, str]] = {  # key: English, Spanish
    # outcomes
    "ok": ("ok", "correctas"),
    "degraded": ("degraded", "degradadas"),
    "failed": ("failed", "fallidas"),
    "rejected": ("rejected", "rechazadas"),
    "unfinished": ("unfinished", "sin terminar"),
    "dropped": ("{name}: {count} more were due but not sent: max_in_flight was reached",
                "{name}: {count} más debían enviarse y no se enviaron: se alcanzó max_in_flight"),
    "offered": ("offered", "ofrecidas"),
    # axes
    "time": ("time (s)", "tiempo (s)"),
    "time in minutes": ("time (min)", "tiempo (min)"),
    "time in hours": ("time (h)", "tiempo (h)"),
    "requests per second": ("requests per second", "peticiones por segundo"),
    "attempts per second": ("attempts per second", "intentos por segundo"),
    "messages per second": ("messages/s", "mensajes/s"),
    "latency": ("latency", "latencia"),
    "latency from start": ("latency from the intended start", "latencia desde el inicio previsto"),
    "requests": ("requests", "peticiones"),
    "percentile": ("percentile", "percentil"),
    "utilisation": ("utilisation", "utilización"),
    "workers": ("workers", "trabajadores"),
    # terminal
    "checks": ("CHECKS", "COMPROBACIONES"),
    "no checks": ("none: the scenario states no steady_state and no checks", "ninguna: el escenario no define steady_state ni checks"),
    "held": ("{passed} of {total} held", "{passed} de {total} cumplidas"),
    "verdict": ("verdict", "veredicto"),
    "verdict pass": ("PASS", "CORRECTO"),
    "verdict fail": ("FAIL: a check fell short under faults", "FALLO: una comprobación no se cumplió bajo fallos"),
    "verdict baseline": ("BASELINE: the steady state did not hold before the first fault",
                         "LÍNEA BASE: el estado estable no se cumplía antes del primer fallo"),
    "verdict aborted": ("ABORTED: abort_if stopped the run", "ABORTADO: abort_if detuvo la ejecución"),
    "verdict interrupted": ("INTERRUPTED: what was measured so far", "INTERRUMPIDO: lo medido hasta ahora"),
    "phase before": ("{name} before the faults", "{name} antes de los fallos"),
    "phase during": ("{name} during the faults", "{name} durante los fallos"),
    "phase after": ("{name} after the faults", "{name} después de los fallos"),
    "at_least": ("at least {bound}", "al menos {bound}"),
    "at_most": ("at most {bound}", "como mucho {bound}"),
    "to the end": ("to the end", "hasta el final"),
    "faults": ("FAULTS", "FALLOS"),
    "no effect": ("{name} changed nothing: {why}", "{name} no cambió nada: {why}"),
    "handler.error": ("{node}: its code raised {count} errors; the first at {at} in {instance}: {error}",
                      "{node}: su código lanzó {count} errores; el primero a los {at} en {instance}: {error}"),
    "background.error": ("{node}: its work in the background failed {count} times; first at {at} in {instance}: {error}",
                         "{node}: su trabajo en segundo plano falló {count} veces; primero a los {at} en {instance}: {error}"),
    "REQUESTS": ("REQUESTS", "PETICIONES"),
    "started": ("started", "iniciadas"),
    "refused here": ("rejected", "rechaz."),
    "served": ("requests", "servidas"),
    "whole run": ("whole run, warm-up included", "toda la ejecución, calentamiento incluido"),
    "after warm-up": (
        "what follows covers what arrived after the warm-up of {warmup}",
        "lo que sigue abarca lo llegado tras el calentamiento de {warmup}"),
    "workloads": ("WORKLOADS", "CARGAS"),
    "offered/s": ("offered/s", "ofrecidas/s"),
    "goodput/s": ("goodput/s", "útiles/s"),
    "good": ("ok", "bien"),
    "services": ("SERVICES", "SERVICIOS"),
    "queue (max)": ("queue (max)", "cola (máx)"),
    "busy": ("busy", "carga"),
    "wasted": ("wasted", "inútil"),
    "calls": ("CALLS", "LLAMADAS"),
    "count": ("count", "número"),
    "per call": ("att/call", "int/llam."),
    "retries": ("retries", "reint."),
    "timeouts": ("timeouts", "plazos"),
    "refused": ("refused", "rechaz."),
    "breaker": ("breaker open", "cortac. ab."),
    "brokers": ("BROKERS", "BROKERS"),
    "caches": ("CACHES", "CACHÉS"),
    "databases": ("DATABASES", "BASES DE DATOS"),
    "sagas": ("SAGAS", "SAGAS"),
    "and more": ("and {count} more in summary.json", "y {count} más en summary.json"),
    "simulated": (
        "{simulated} simulated in {wall} ({speed} times real time)",
        "{simulated} simulados en {wall} ({speed} veces el tiempo real)"),
    "folder": ("results", "resultados"),
    "page": ("report", "informe"),
    "draw some": ("{command} --all draws them all; {command} {some} draws these",
                  "{command} --all las dibuja todas; {command} {some}, esas dos"),
    # progress
    "progress": ("{at} of {duration} simulated", "{at} de {duration} simulados"),
    "elapsed": ("{wall} elapsed", "{wall} transcurridos"),
    "eta": ("{eta} left", "quedan {eta}"),
    "in flight": ("in flight", "en curso"),
    "current faults": ("faults now", "fallos ahora"),
    "none now": ("none", "ninguno"),
    "breakers": ("breakers", "cortacircuitos"),
    "half_open": ("half-open", "semiabierto"),
    "open": ("open", "abierto"),
    "forced_open": ("forced open", "abierto a mano"),
    "disabled": ("disabled", "desactivado"),
    "metrics_only": ("only measuring", "solo mide"),
    "none open": ("all closed", "todos cerrados"),
    # frame
    "warm-up": ("warm-up", "calentamiento"),
    "seed": ("seed {seed}", "semilla {seed}"),
    "more faults": ("and {count} more", "y {count} más"),
}


KINDS: dict[str, tuple[str, str]] = {  # of nodes, as a run records them
    "workload": ("workload", "carga"),
    "service": ("service", "servicio"),
    "gateway": ("gateway", "pasarela"),
    "database": ("database", "base de datos"),
    "cache": ("cache", "caché"),
    "broker": ("broker", "broker"),
    "external": ("external", "externo"),
    "registry": ("registry", "registro"),
}


def shortened(name: str, most: int) -> str:
    """*name* in at most *most* characters: its middle goes, since long names differ at their ends."""
    if len(name) <= most:
        return name
    tail = max(most - 1, 0) // 2
    return name[: max(most - 1 - tail, 1)] + "…" + name[len(name) - tail :]


def unparted(text: str) -> str:
    """*text* in which a number is not parted from its unit at the end of a line."""
    return re.sub(r"(?<=\d) (?=(?:%|[nµm]?s|min|h)(?!\w))", "\u00a0", text)


def told_apart(names: Sequence[str], most: int) -> list[str]:
    """Different *names* in at most *most* characters each, and still different. Where one is longer, of all that are paths (with or without
    a value, or of files) as many of the last words are kept as it takes; then middles go; of what is alike after that the place is shown
    where it begins to differ, and where even that is not enough all get numbers.
    """
    kept = list(names)
    if any(len(name) > most for name in names):
        words = [_words(name) for name in names]
        tails = (["".join(some[-many:]) for some in words] for many in range(1, max(map(len, words)) + 1))
        kept = next((tail for tail in tails if len(set(tail)) == len(set(names))), kept)
    short = [shortened(name, most) for name in kept]
    for text in {text: None for text in short if short.count(text) > 1}:
        alike = {place: kept[place] for place, other in enumerate(short) if other == text}
        same = next((place for place, signs in enumerate(zip(*alike.values(), strict=False)) if len(set(signs)) > 1), 0)
        begin = max(0, same - most // 2)
        for place, name in alike.items():
            end = "…" * (begin > 0) + name[begin:]
            short[place] = end if len(end) <= most else end[: most - 1] + "…"
    if len(set(short)) == len(set(names)):
        return short
    numbers = {name: f" ({index})" for index, name in enumerate(dict.fromkeys(names), 1)}
    return [shortened(end, most - len(numbers[name])) + numbers[name] for name, end in zip(names, kept, strict=True)]


def _words(name: str) -> list[str]:
    """The words of a path, each with the sign that ends it; a value stays with the last, and a list or mapping alone is one word."""
    path, equals, value = name.partition("=") if name[:1] not in ("[", "{") else ("", "", name)
    sign = "/" if path.endswith((".yaml", ".yml")) else "."
    words = [word + sign for word in path.split(sign)]
    return [*words[:-1], words[-1].removesuffix(sign) + equals + value]


@dataclass(frozen=True)
class Words:
    """Texts, numbers and times in one language: `words("seed", seed=42)`."""

    lang: str = "en"

    def __post_init__(self) -> None:
        if self.lang not in LANGUAGES:
            raise ValueError(f"reports speak {' and '.join(LANGUAGES)}, not {self.lang!r}")

    def __call__(self, key: str, **values: object) -> str:
        return self.pick(TEXTS[key]).format(**values)

    def pick(self, pair: tuple[T, T]) -> T:
        """What is this language's out of (English, Spanish)."""
        return pair[LANGUAGES.index(self.lang)]

    @property
    def decimal_mark(self) -> str:
        """What stands before the decimals."""
        return "." if self.lang == "en" else ","

    def seed(self, number: int) -> str:
        """`seed 42`; of a very long one the middle is left out: all of it is in the manifest."""
        return self("seed", seed=shortened(str(number), LONGEST_SEED))

    def kind(self, name: str) -> str:
        """What a node is."""
        return self.pick(KINDS[name]) if name in KINDS else name

    def number(self, value: float, digits: int = 0) -> str:
        """`12,345.6`; in Spanish `12 345,6` with a thin space, and four digits stand together."""
        text = f"{value:,.{digits}f}"
        if self.lang == "en":
            return text
        thin = "\u2009" if abs(value) >= 10_000 else ""
        return text.replace(",", thin).replace(".", self.decimal_mark)

    def short(self, value: float) -> str:
        """Three significant digits without an exponent where that is short: `0.042`, `1.5`, `12,300`."""
        if value == 0 or not math.isfinite(value):
            return self.number(0) if value == 0 else "–"
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = self.number(value, digits)
        mark = self.decimal_mark
        return text.rstrip("0").rstrip(mark) if mark in text and digits else text

    def percent(self, share: float, digits: int = 1) -> str:
        """`97.5 %`; never rounded up to 100 or down to 0."""
        if not math.isfinite(share):
            return "–"
        value = 100 * share
        step = 10.0**-digits
        if share < 1:
            value = min(value, 100 - step)
        if share > 0:
            value = max(value, step)
        return f"{self.number(value, digits if 0 < share < 1 else 0)} %"

    def measure(self, name: str, value: float | None) -> str:
        """*value* in the unit of the measure *name* of a scenario's checks: `98.5 %`, `236 ms`, `198/s`."""
        from sim.scenario.measures import RATE, SHARE, TIME, find_measure

        found = find_measure(name)
        unit = None if found is None else found.unit
        return self._in(value, share=unit is SHARE, time=unit is TIME, rate=unit is RATE)

    def title_of(self, check: Mapping[str, Any]) -> str:
        """A check's title; of a steady state's, the phase is told in this language."""
        title, phase = str(check["title"]), check.get("phase")
        mark = f" {phase} the faults"
        return self(f"phase {phase}", name=title.replace(mark, "", 1)) if mark in title else title

    def missed(self, name: str, value: float | None, bound: float) -> str:
        """A *value* that has not kept its *bound*, as a measure; `< 99 %` where it is so near that both would read the same."""
        text = self.measure(name, value)
        return text if value is None or text != self.measure(name, bound) else f"{'<' if value < bound else '>'} {text}"

    def figure(self, path: str, value: float | None) -> str:
        """*value* in the unit of the figure of summary.json at *path*: `workloads.shoppers.latency_s.p99`, `….goodput_rps`."""
        last = path.rpartition(".")[2]
        time = "latency_s." in path or last.endswith(("_s", "_time"))
        return self._in(value, share=self.is_share(path), time=time, rate=last.endswith("rps"))

    @staticmethod
    def is_share(path: str) -> bool:
        """Whether the figure at *path* lies between 0 and 1, and is shown in per cent."""
        return path.endswith(("ratio", "share", "utilisation"))

    def _in(self, value: float | None, *, share: bool, time: bool, rate: bool) -> str:
        if value is None or not math.isfinite(value):
            return "–"
        if time:
            return self.seconds(value)
        if share:
            mark = self.decimal_mark
            text = self.percent(value, 2).removesuffix(" %")
            return (text.rstrip("0").rstrip(mark) if mark in text else text) + " %"
        if rate:
            return f"{self.short(value)}/s"
        return self.number(value) if value == int(value) else self.short(value)

    def seconds(self, value: float | None) -> str:
        """A time with the units that suit it: `430 µs`, `12.5 ms`, `1.2 s`, `12 min 30 s`, `10 h`."""
        if value is None or not math.isfinite(value) or abs(value) < LONG:
            return self.in_seconds(value)
        minutes, seconds = divmod(round(abs(value)), 60)
        hours, minutes = divmod(minutes, 60)
        parts = [f"{self.number(number)} {unit}" for number, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if number]
        return f"{'-' if value < 0 else ''}{' '.join(parts)}"

    def moment(self, at: float) -> str:
        """When something was in a run: `61.3 s`, `8.25 s`, to a tenth of a second and early to a hundredth; `3 h 5 min` in long ones."""
        if at >= LONG:
            return self.seconds(at)
        text = self.number(at, 1 if at >= EARLY else 2)
        return f"{text.rstrip('0').rstrip(self.decimal_mark)} s"

    def in_seconds(self, value: float | None) -> str:
        """The same, but long times are in seconds too: for scales of tens and hundreds."""
        if value is None or not math.isfinite(value):
            return "–"
        for limit, unit, factor in ((1e-6, "ns", 1e9), (1e-3, "µs", 1e6), (1.0, "ms", 1e3)):
            if 0 < abs(value) < limit * 0.9995:
                return f"{self.short(value * factor)} {unit}"
        return f"{self.short(value)} s"


@dataclass(frozen=True)
class Texts:
    """The texts that a part of the reports has for itself, in one language: `texts("began", at="61 s")`; those of all are its `words`."""

    words: Words
    table: Mapping[str, tuple[str, str]]  # key: English, Spanish

    def __call__(self, key: str, **values: object) -> str:
        text = self.words.pick(self.table[key])
        return text.format(**values) if values else text
