"""Where the parts of a validated scenario are written: its specs with their places, so that a check can point at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sim.mistakes import Loc
from sim.model.paths import Target
from sim.model.steps import STEPS
from sim.resilience.policies import POLICIES
from sim.spec import Spec, word_in

LARGE = (Target, Spec, Mapping, list)  # what can have parts; most values are numbers and texts


@cache
def _word(cls: type[Spec]) -> str:
    return word_in(STEPS, cls) or word_in(POLICIES, cls)


def word_of(spec: Spec) -> str:
    """The key by which an action is written, or nothing for a spec that is no action."""
    return _word(type(spec))


def written(value: Any, loc: Loc) -> Iterator[tuple[Loc, Spec | Target]]:
    """Every spec and every target of a call in *value*, which stands at *loc*, in the order of the file."""
    if isinstance(value, Target):
        yield loc, value
    elif isinstance(value, Spec):
        word = word_of(value)
        inside = (*loc, word) if word else loc
        yield inside, value
        for name, field in type(value).model_fields.items():
            part = getattr(value, name)
            if isinstance(part, LARGE):
                yield from written(part, (*inside, field.alias or name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from written(inner, (*loc, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from written(inner, (*loc, index))
