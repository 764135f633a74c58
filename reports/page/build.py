"""Puts the page together: numbers and names go through the template, which escapes them; scripts and styles are ours."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.charts.tallies import time_edges
from reports.export.jsontext import dumps
from reports.texts import Texts, Words

from . import tables, verdict
from .calls import calls_over_time
from .graph import drawing
from .overtime import MOST_BINS, over_time
from .pictures import pictures
from .story import story
from .texts import IN_THE_BROWSER, TEXTS
from .waterfalls import waterfalls

if TYPE_CHECKING:
    from sim.telemetry.result import FaultInterval, RunResult

SCRIPTS = ("base", "time", "plots", "overtime", "graph", "traces", "tables", "page")  # in this order, in one scope
ICONS = {"pass": "✓", "fail": "✗", "baseline": "!", "aborted": "■", "interrupted": "…"}  # by verdict
STYLES = ("base", "verdict", "charts", "graph", "traces", "tables", "print")


def page(result: RunResult, charts: Path, lang: str) -> str:
    """The whole HTML text."""
    import jinja2

    words = Words(lang)
    texts = Texts(words, TEXTS)
    data = _data(result, texts)
    environment = jinja2.Environment(loader=jinja2.PackageLoader("reports.page", "templates"), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    library, script = asset("vendor/uplot/uPlot.iife.min.js"), _script()
    steady, checks = verdict.checks(result.summary, words)
    return environment.get_template("page.html.j2").render(
        result=result, summary=result.summary, lang=lang, t=texts, words=words,
        title=_in_language(result, "title", lang) or result.title or result.name,
        learn=_in_language(result, "learn", lang), watch=_in_language(result, "watch", lang),
        verdict=str(result.summary.get("verdict", "pass")), icons=ICONS, steady=steady, checks=checks,
        seen=verdict.seen_by_users(result, words), sentence=verdict.in_one_sentence(result, texts), story=story(result, words),
        drawing=drawing(result, data["calls"]), pictures=list(pictures(charts, words)),
        tables=[make(result, texts) for make in (tables.requests, tables.services, tables.calls)],
        scenario=_yaml({key: value for key, value in result.scenario.items() if key != "faults"}), faults=_faults(result),
        data=embedded(data), licence=asset("vendor/uplot/LICENSE"), library=library, script=script, style=_style(),
        hashes=[_hash(library), _hash(script)],
    )


def _data(result: RunResult, texts: Texts) -> dict[str, Any]:
    """What scripts draw from."""
    return {
        "lang": texts.words.lang, "duration": result.duration, "warmup": result.warmup,
        "texts": {key: texts(key) for key in IN_THE_BROWSER},  # with places for values left open
        "faults": [_interval(result, fault) for fault in sorted(result.faults, key=lambda fault: fault.start)],
        **over_time(result), "calls": calls_over_time(result, time_edges(result.duration, MOST_BINS)), "traces": waterfalls(result),
    }


def _interval(result: RunResult, fault: FaultInterval) -> dict[str, Any]:
    return {"name": fault.name, "start": fault.start, "until": result.duration if fault.until is None else fault.until}


def embedded(data: Any) -> str:
    """*data* as JSON that can stand inside a script element: nothing in it can end the element or begin a comment."""
    return dumps(data).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _in_language(result: RunResult, key: str, lang: str) -> str:
    """The scenario's own text, in the page's language where it has one."""
    own = result.scenario.get(f"{key}_{lang}") if lang != "en" else None
    return str(own or result.scenario.get(key) or "")


def _faults(result: RunResult) -> str:
    planned = result.scenario.get("faults") or []
    return _yaml({"name": f"{result.name}-faults", "faults": planned}) if planned else ""


def _yaml(value: Any) -> str:
    import yaml

    loader = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(value, Dumper=loader, sort_keys=False, allow_unicode=True, width=110))


def asset(name: str) -> str:
    """The text of one of our files."""
    return files("reports.page").joinpath(name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    parts = "\n".join(asset(f"assets/{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();'


@cache
def _style() -> str:
    ours = "\n".join(asset(f"assets/{name}.css") for name in STYLES)
    return asset("vendor/uplot/uPlot.min.css") + re.sub(r"/\*.*?\*/|(?<=\n)\s+", "", ours, flags=re.DOTALL)


def _hash(script: str) -> str:
    """For the content security policy: only these two scripts may run, whatever else somebody might slip in."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
