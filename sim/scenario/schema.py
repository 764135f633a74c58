"""JSON Schema of a root spec, for editors: the same fields, units and kinds, generated from the specs.

A choice by kind becomes a definition of its own, since steps contain steps and a mixture contains distributions.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from sim.errors import InvalidInput
from sim.mistakes import did_you_mean
from sim.spec import Kinds, Spec

from .fields import kinds_in
from .scenario import FILES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(what: str) -> dict[str, Any]:
    """The schema of a `scenario` or of a plan of `faults`; raise InvalidInput for anything else."""
    if what not in FILES:
        raise InvalidInput(f"there is no schema of {what!r}\n    {did_you_mean(what, FILES)}")
    return json_schema(FILES[what], f"mesocosm {what}")


def json_schema(root: type[Spec], title: str) -> dict[str, Any]:
    """The schema of files that hold a *root*."""
    choices = _choices(root)
    classes = list(dict.fromkeys([root, *(cls for kinds in choices.values() for cls in kinds.table().values())]))
    references, generated = models_json_schema([(cls, "validation") for cls in classes], ref_template="#/$defs/{model}")

    def ref(cls: type[Spec]) -> dict[str, Any]:
        return dict(references[(cls, "validation")])

    definitions = generated.get("$defs", {})
    for group, kinds in choices.items():
        definitions[group] = {"description": f"One {kinds.what}.", "oneOf": kinds.json_branches(ref)}
    whole = definitions.pop(ref(root)["$ref"].rpartition("/")[2])
    linked: dict[str, Any] = _linked({"$schema": DIALECT, **whole, "title": title, "$defs": definitions})
    return linked


def _choices(root: type[Spec]) -> dict[str, Kinds]:
    """Every choice that can be made below *root*, by group."""
    found: dict[str, Kinds] = {}
    waiting: list[type[Spec]] = [root]
    while waiting:
        for kinds in kinds_in(waiting.pop()):
            if kinds.group not in found:
                found[kinds.group] = kinds
                waiting += kinds.table().values()
    return dict(sorted(found.items()))


def _linked(schema: Any) -> Any:
    """*schema* with what `Kinds` left in place of its alternatives made a reference to them."""
    if isinstance(schema, list):
        return [_linked(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("kinds"), str):
        rest = {key: value for key, value in schema.items() if key != "kinds"}
        return {**rest, "$ref": f"#/$defs/{schema['kinds']}"}
    return {key: _linked(value) for key, value in schema.items()}
