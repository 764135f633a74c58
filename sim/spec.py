"""The base of everything that is written in YAML, and the two ways in which a list of kinds is chosen from.

    kind: network.delay          a thing with a name has a `kind`            -> ByKind
    - timeout: 300ms             an action in a list is written by its key   -> OneKey

Both choose from one plain table. A table's classes are only prepared for validation when a file names them, so
that a program which reads three faults does not pay for forty.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Spec(BaseModel):
    """Frozen, complete and strict: unknown keys, numbers in quotes and NaN are mistakes.

    A class with a *shorthand* may be written as a single value: `timeout: 300ms` for `timeout: {duration: 300ms}`.
    The keys in *beside* may stand next to an action's own key: `{parallel: [...], quorum: 2}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False)
    shorthand: ClassVar[str | None] = None
    beside: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthand(cls, value: Any) -> Any:
        if cls.shorthand is not None and not isinstance(value, Mapping):
            return {cls.shorthand: value}
        return value


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in a file: where (keys and indices from the root), what, and how to mend it."""

    loc: tuple[str | int, ...]
    what: str
    cure: str = ""
    at_key: bool = False  # the key itself is wrong, not its value


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that *word* was probably meant to be."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A cure for an unknown *word*: the nearest known one, or all of them."""
    known = sorted(known)
    close = nearest(word, known)
    if close is not None:
        return f"did you mean {close!r}?"
    return f"known: {', '.join(known)}" if known else ""


class _Kinds:
    """A choice among the classes of one plain table. Used as `Annotated[Base, ByKind("fault", lambda: FAULTS)]`."""

    def __init__(self, what: str, table: Callable[[], Mapping[str, type[Spec]]], group: str | None = None) -> None:
        self.what = what
        self.table = table
        self.group = group or f"{what}s"  # as `mesocosm kinds GROUP` calls it

    def validate(self, value: Any) -> Spec:
        raise NotImplementedError

    def dump(self, value: Spec) -> Any:
        raise NotImplementedError

    def json_branches(self, ref: Callable[[type[Spec]], dict[str, Any]]) -> list[dict[str, Any]]:
        """JSON Schema alternatives; *ref* gives the schema of one class."""
        raise NotImplementedError

    def _inner(self, cls: type[Spec], body: Any, at: tuple[str | int, ...]) -> Spec:
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise PydanticCustomError("nested", "mistakes inside", {"mistakes": mistakes(error, at, cls)}) from None

    def _unknown(self, word: object) -> PydanticCustomError:
        cure = did_you_mean(str(word), self.table()) + f"\n`mesocosm kinds {self.group}` lists them all"
        return PydanticCustomError("unknown_kind", f"unknown {self.what} kind {str(word)!r}".replace("{", "{{"), {"cure": cure})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(self.dump),
            metadata={"kinds": self},
        )


class ByKind(_Kinds):
    """A mapping whose `kind` names its class; *default* is taken where there is no `kind`."""

    def __init__(self, what: str, table: Callable[[], Mapping[str, type[Spec]]], default: str | None = None, group: str | None = None) -> None:
        super().__init__(what, table, group)
        self.default = default

    def validate(self, value: Any) -> Spec:
        if isinstance(value, Spec):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("not_a_mapping", f"a {self.what} is a mapping with a `kind`")
        kind = value.get("kind", self.default)
        if kind is None:
            raise PydanticCustomError("kind_missing", f"a {self.what} needs a `kind`", {"cure": f"one of: {', '.join(sorted(self.table()))}"})
        cls = self.table().get(kind) if isinstance(kind, str) else None
        if cls is None:
            unknown = self._unknown(kind)
            wrong = Mistake(("kind",), unknown.message_template, (unknown.context or {}).get("cure", ""))
            raise PydanticCustomError("nested", "mistakes inside", {"mistakes": [wrong]})
        return self._inner(cls, {"kind": kind, **value}, ())

    def dump(self, value: Spec) -> Any:
        return value.model_dump(mode="json", exclude_none=True)

    def json_branches(self, ref: Callable[[type[Spec]], dict[str, Any]]) -> list[dict[str, Any]]:
        return [ref(cls) for cls in self.table().values()]


class OneKey(_Kinds):
    """A mapping of exactly one key, which names the class; the key's value is what the class is made from.

    Keys that the class lists in `beside` may stand next to its own.
    """

    def validate(self, value: Any) -> Spec:
        if isinstance(value, Spec):
            return value
        table = self.table()
        if isinstance(value, str) and value in table:
            value = {value: {}}
        if not isinstance(value, Mapping) or not value:
            raise PydanticCustomError("not_an_action", f"a {self.what} is written by its one key, for example `{next(iter(table))}: ...`")
        key = next((k for k in value if k in table), next(iter(value)))
        cls = table.get(key) if isinstance(key, str) else None
        if cls is None:
            unknown = self._unknown(key)
            wrong = Mistake((key,), unknown.message_template, (unknown.context or {}).get("cure", ""), at_key=True)
            raise PydanticCustomError("nested", "mistakes inside", {"mistakes": [wrong]})
        extra = [k for k in value if k != key and k not in cls.beside]
        if extra:
            wrong = Mistake((str(extra[0]),), f"a {self.what} has one key; this one has {', '.join(map(str, value))}",
                            f"put {extra[0]!r} inside the value of {key!r}, or write a second list item", at_key=True)
            raise PydanticCustomError("nested", "mistakes inside", {"mistakes": [wrong]})
        if len(value) > 1:
            body = value[key] if isinstance(value[key], Mapping) else {cls.shorthand: value[key]}
            return self._inner(cls, {**body, **{k: v for k, v in value.items() if k != key}}, ())
        return self._inner(cls, value[key], (key,))

    def dump(self, value: Spec) -> Any:
        key = next(k for k, cls in self.table().items() if cls is type(value))
        return {key: value.model_dump(mode="json", exclude_none=True)}

    def json_branches(self, ref: Callable[[type[Spec]], dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {"type": "object", "properties": {key: ref(cls)}, "required": [key], "additionalProperties": False}
            for key, cls in self.table().items()
        ]


def mistakes(error: ValidationError, at: tuple[str | int, ...] = (), cls: type[BaseModel] | None = None) -> list[Mistake]:
    """Every mistake of *error*, flat, with places counted from the root; *cls* is the class that was validated."""
    found: list[Mistake] = []
    for one in error.errors(include_url=False):
        ctx = one.get("ctx") or {}
        loc = at + tuple(part for part in one["loc"] if not (isinstance(part, str) and part.startswith("function-")))
        if one["type"] == "nested":
            found += [Mistake(loc + inner.loc, inner.what, inner.cure, inner.at_key) for inner in ctx["mistakes"]]
        elif one["type"] == "extra_forbidden":
            known = _fields_at(cls, one["loc"][:-1])
            found.append(Mistake(loc, f"unknown key {str(loc[-1])!r}", did_you_mean(str(loc[-1]), known), at_key=True))
        elif one["type"] == "missing":
            found.append(Mistake(loc[:-1], f"{str(loc[-1])!r} is missing", f"add `{loc[-1]}: ...` here"))
        else:
            what = one["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            if one["msg"].startswith("Input should be "):
                what = f"should be {what}, not {_short(one.get('input'))}"
            found.append(Mistake(loc, what, str(ctx.get("cure", ""))))
    return found


def _fields_at(cls: type[BaseModel] | None, loc: tuple[str | int, ...]) -> list[str]:
    """Names of the fields of the model that *loc* leads to, as far as annotations tell."""
    from typing import get_args

    def models(annotation: Any) -> Iterable[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        for inner in get_args(annotation):
            yield from models(inner)

    here = [cls] if cls is not None else []
    for part in loc:
        following: list[type[BaseModel]] = []
        for model in here:
            field = model.model_fields.get(part) if isinstance(part, str) else None
            following += list(models(field.annotation)) if field is not None else []
        here = following or here
    return sorted({name for model in here for name in model.model_fields})


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
