"""The base of everything that is written in YAML, and the two ways in which a list of kinds is chosen from.

    kind: network.delay          a thing with a name has a `kind`            -> ByKind
    - timeout: 300ms             an action in a list is written by its key   -> OneKey

Both choose from one plain table. A table's classes are only prepared for validation when a file names them, so
that a program which reads three faults does not pay for forty.
"""

# Without `from __future__ import annotations`, by which the class variables of Spec would be texts, compiled again for each of its classes.
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from sim.mistakes import Loc, Mistake, did_you_mean, invalid, mistakes, nearest, shown

__all__ = [
    "ByKind", "Kinds", "LateTable", "Mistake", "OneKey", "SharedSpec", "Spec",
    "did_you_mean", "invalid", "mistakes", "nearest", "shown", "word_in",
]

JsonSchema = dict[str, Any]


class Spec(BaseModel):
    """Frozen, complete and strict: unknown keys, numbers in quotes and NaN are mistakes.

    A class with a *shorthand* may be written as that field's value: `timeout: 300ms` for `timeout: {duration: 300ms}`, and
    `work: {exponential: 4ms}` for `work: {time: {exponential: 4ms}}`.
    The keys in *beside* may stand next to an action's own key: `{parallel: [...], quorum: 2}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False)
    shorthand: ClassVar[str | None] = None
    beside: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _expand_shorthand(cls, value: Any) -> Any:
        if cls.shorthand is None or isinstance(value, cls):
            key = cls.meant_for(value) if isinstance(value, str) else None
            if key is not None:
                raise invalid(Mistake((), f"should be a mapping, not {shown(value)}", f"write `{{{key}: {value}}}`"))
            return value
        return {cls.shorthand: value} if not isinstance(value, Mapping) or cls._is_choice(value) else value

    @classmethod
    def meant_for(cls, text: str) -> str | None:
        """The key that a *text* was meant for which stands in place of the mapping. It is a mistake all the same, and this its cure."""
        return None

    @classmethod
    def _is_choice(cls, value: Mapping[Any, Any]) -> bool:
        """True if this mapping is a value of the shorthand's field, and not the fields of the class."""
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        chosen = any(isinstance(data, Kinds) for data in fields[cls.shorthand or ""].metadata)
        return chosen and bool(value) and fields.keys().isdisjoint(value)

    def written(self) -> set[str]:
        """The fields that were given another value than their default. A resolved scenario, which spells all out, says no more by it."""
        fields = type(self).model_fields
        return {name for name in self.model_fields_set
                if getattr(self, name) != fields[name].get_default(call_default_factory=True)}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        schema = handler(core)
        if cls.shorthand is not None:
            body = handler.resolve_ref_schema(schema)
            mapping = dict(body)
            body.clear()
            body["anyOf"] = [mapping["properties"][cls.shorthand], mapping]
        return schema


class SharedSpec(Spec):
    """A part of many others, such as every kind of node. It is prepared at once, and those others take it as it is.

    The rest waits until a file names it, and prepares with it all that it is made of.
    """

    model_config = ConfigDict(defer_build=False)


S = TypeVar("S", bound=Spec)


class LateTable(Mapping[str, type[S]]):
    """A table of kinds whose classes are imported when they are asked for: `{"timeout": ("sim.resilience.timeout", "TimeoutSpec")}`.

    A program that reads a file with three faults then does not load forty.
    """

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        self._places = places

    def __getitem__(self, word: str) -> type[S]:
        module, name = self._places[word]
        cls: type[S] = getattr(import_module(module), name)
        return cls

    def __contains__(self, word: object) -> bool:
        return word in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def word_of(self, cls: type[Spec]) -> str | None:
        """The word by which a class is written, found without importing the others."""
        return next((word for word, place in self._places.items() if place == (cls.__module__, cls.__name__)), None)


def word_in(table: Mapping[str, type[Spec]], cls: type[Spec]) -> str:
    """The word by which a class of *table* is written; nothing for other classes."""
    if isinstance(table, LateTable):
        return table.word_of(cls) or ""
    return next((word for word, other in table.items() if other is cls), "")


Table = Callable[[], Mapping[str, type[Spec]]]  # a function, so that a class may stand in the table that one of its fields chooses from


class Kinds:
    """A choice among the classes of one plain table. Used as `Annotated[Base, ByKind("fault", lambda: FAULTS)]`."""

    def __init__(self, what: str, table: Table, group: str | None = None) -> None:
        self.what = what
        self.table = table
        self.group = group or f"{what}s"  # as `mesocosm kinds GROUP` calls it

    def validate(self, value: Any, context: Any = None) -> Spec:
        """*value* as its class; *context* is handed on to the validators inside, as pydantic does."""
        raise NotImplementedError

    def dump(self, value: Spec) -> Any:
        raise NotImplementedError

    def json_branches(self, ref: Callable[[type[Spec]], JsonSchema]) -> list[JsonSchema]:
        """JSON Schema alternatives; *ref* gives the schema of one class."""
        raise NotImplementedError

    def _inner(self, cls: type[Spec], body: Any, at: Loc = (), beside: Mapping[str, Any] | None = None, context: Any = None) -> Spec:
        """*body* as a *cls*; it is written under *at*, except for the keys *beside* it."""
        try:
            return cls.model_validate(body, context=context)
        except ValidationError as error:
            keys = set(beside or ())
            found = mistakes(error, cls=cls)
            raise invalid(*(wrong if keys.intersection(wrong.loc[:1]) else replace(wrong, loc=at + wrong.loc) for wrong in found)) from None

    def _unknown(self, word: object, at: Loc = (), at_key: bool = False) -> PydanticCustomError:
        cure = f"{did_you_mean(str(word), self.table())}\n`mesocosm kinds {self.group}` describes them all"
        return invalid(Mistake(at, f"unknown {self.what} kind {shown(word)}", cure, at_key))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            lambda value, info: self.validate(value, info.context),
            serialization=core_schema.plain_serializer_function_ser_schema(self.dump),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return {"kinds": self.group}  # a class may contain its own table, so `scenario.schema` puts the alternatives in afterwards


class ByKind(Kinds):
    """A mapping whose `kind` (or other *key*) names its class; *default* is taken where there is none."""

    def __init__(self, what: str, table: Table, default: str | None = None, group: str | None = None, key: str = "kind") -> None:
        super().__init__(what, table, group)
        self.default = default
        self.key = key

    def validate(self, value: Any, context: Any = None) -> Spec:
        if isinstance(value, Spec):
            return value
        if not isinstance(value, Mapping):
            cure = "write {} if all its defaults are meant" if value is None and self.default else "write `key: value` lines"
            wanted = "a mapping" if self.default else f"a mapping with a `{self.key}`"
            raise invalid(Mistake((), f"a {self.what} is {wanted}, not {shown(value)}", cure))
        kind = value.get(self.key, self.default)
        if kind is None:
            raise invalid(Mistake((), f"a {self.what} needs a `{self.key}`", f"one of: {', '.join(sorted(self.table()))}"))
        cls = self.table().get(kind) if isinstance(kind, str) else None
        if cls is None:
            raise self._unknown(kind, (self.key,))
        return self._inner(cls, {self.key: kind, **value}, context=context)

    def dump(self, value: Spec) -> Any:
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)

    def json_branches(self, ref: Callable[[type[Spec]], JsonSchema]) -> list[JsonSchema]:
        return [
            {**ref(cls), "required": [self.key]} if kind != self.default else ref(cls)
            for kind, cls in self.table().items()
        ]


class OneKey(Kinds):
    """A mapping of exactly one key, which names the class; the key's value is what the class is made from.

    Keys that the class lists in `beside` may stand next to its own. The key alone, as a text, means all defaults.
    """

    def validate(self, value: Any, context: Any = None) -> Spec:
        if isinstance(value, Spec):
            return value
        table = self.table()
        if isinstance(value, str):
            if value not in table:
                word, _, rest = value.partition(" ")
                if rest and word in table:
                    raise invalid(Mistake((), f"{shown(value)} lacks the ':' of a key", f"write `{word}: {rest.strip()}`"))
                raise self._unknown(value)
            if needed := _required(table[value]):
                body = "..." if needed == [table[value].shorthand] else f"{{{', '.join(f'{key}: ...' for key in needed)}}}"
                raise invalid(Mistake((), f"{value!r} needs a value", f"write `{value}: {body}`"))
            value = {value: {}}
        if not isinstance(value, Mapping) or not value:
            wrong = f"a {self.what} is written by its one key, not {shown(value)}"
            raise invalid(Mistake((), wrong, f"for example `{next(iter(table))}: ...`; one of: {', '.join(sorted(table))}"))
        key = next((k for k in value if k in table), next(iter(value)))
        cls = table.get(key)
        if cls is None:
            if isinstance(meant := value.get("kind"), str) and meant in table:
                raise invalid(Mistake(("kind",), f"a {self.what} is written by its one key", f"write `{meant}: ...`", at_key=True))
            raise self._unknown(key, (key,), at_key=True)
        extra = [k for k in value if k != key and k not in cls.beside]
        if extra:
            cure = f"put {extra[0]!r} inside the value of {key!r}, or write it as an item of its own"
            raise invalid(Mistake((extra[0],), f"a {self.what} has one key; this one has {', '.join(value)}", cure, at_key=True))
        beside = {k: v for k, v in value.items() if k != key}
        return self._inner(cls, _body(cls, value[key], beside), (key,), beside, context)

    def dump(self, value: Spec) -> Any:
        return {word_in(self.table(), type(value)): value.model_dump(mode="json", by_alias=True, exclude_none=True)}

    def json_branches(self, ref: Callable[[type[Spec]], JsonSchema]) -> list[JsonSchema]:
        table = self.table()
        alone = [key for key, cls in table.items() if not _required(cls)]
        branches: list[JsonSchema] = [{"enum": alone}] if alone else []
        for key, cls in table.items():
            beside: JsonSchema = {name: {} for name in cls.beside}
            branches.append({"type": "object", "properties": {key: ref(cls), **beside}, "required": [key], "additionalProperties": False})
        return branches


def _required(cls: type[Spec]) -> list[str]:
    """The keys that *cls* cannot do without."""
    return [field.alias or name for name, field in cls.model_fields.items() if field.is_required()]


def _body(cls: type[Spec], written: Any, beside: Mapping[str, Any]) -> Any:
    """What *cls* is made from: the value under its key, with what stands beside the key; nothing written means all defaults."""
    if cls.shorthand is None and written is None:
        return {**beside}
    if not beside:
        return written
    return {**(written if isinstance(written, Mapping) else {cls.shorthand: written}), **beside}
