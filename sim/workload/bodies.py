"""JSON bodies of a workload's requests, with draws in their texts: `json: {customer: "u-{uniform:1000}", quantity: "{uniform:3}"}`.

A text that is one draw and nothing else becomes a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from sim.mistakes import Mistake, invalid
from sim.model.paths import check_draws, template
from sim.streams import Stream

_ONE_DRAW = re.compile(r"\{(zipf|uniform|seq)(:[0-9.:]+)?\}")


def check_body(written: Any) -> Any:
    """*written*, if JSON can hold it and all draws in it can be made; a mistake otherwise."""
    if isinstance(written, dict | list):
        for inner in written.values() if isinstance(written, dict) else written:
            check_body(inner)
    elif isinstance(written, str):
        try:
            check_draws(written)
        except ValueError as error:
            what, _, cure = str(error).rpartition(": ")
            raise invalid(Mistake((), what, cure)) from None
    elif isinstance(written, float) and not math.isfinite(written):
        raise invalid(Mistake((), f"{written} is no number of JSON", "write a number, null, or a text in quotes"))
    return written


def body_maker(written: Any, stream: Stream) -> Callable[[], Any]:
    """A function that gives the body of the next request: a new object each time."""
    if isinstance(written, dict):
        makers = {key: body_maker(value, stream) for key, value in written.items()}
        return lambda: {key: make() for key, make in makers.items()}
    if isinstance(written, list):
        items = [body_maker(value, stream) for value in written]
        return lambda: [make() for make in items]
    if not isinstance(written, str):
        return lambda: written
    text = template(written, stream)
    return (lambda: int(text())) if _ONE_DRAW.fullmatch(written) else text
