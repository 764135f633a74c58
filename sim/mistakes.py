"""What is wrong with a value, in the words of the person who wrote it: where, what, and how to mend it.

pydantic finds the mistakes; `mistakes` puts them into plain words. A validator that knows more raises `invalid(Mistake(...))`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

Loc = tuple[str | int, ...]
MOST_KNOWN = 25  # names that one message lists


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in a file: where (keys and indices from the root), what, and how to mend it."""

    loc: Loc
    what: str
    cure: str = ""
    at_key: bool = False  # the key itself is wrong, not its value


def invalid(*wrong: Mistake) -> PydanticCustomError:
    """What a validator raises; the places count from the value that it validates."""
    return PydanticCustomError("mistakes", "{text}", {"mistakes": list(wrong), "text": "; ".join(mistake.what for mistake in wrong)})


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that *word* was probably meant to be: in other letters, by its last part (`lag`: `replica_lag`), or misspelt."""
    known = list(known)
    cased = [one for one in known if one.lower() == word.lower()]
    ends = [one for one in known if len(word) > 1 and one.endswith((f"_{word}", f"-{word}"))]
    if cased or len(ends) == 1:
        return (cased or ends)[0]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6) or [one for one in known if len(one) > 2 and word.startswith(one)]
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A cure for an unknown *word*: the nearest known one, or those that there are."""
    known = sorted(known)
    close = nearest(word, known)
    if close is not None:
        return f"did you mean {close!r}?"
    more = f" and {len(known) - MOST_KNOWN} more" if len(known) > MOST_KNOWN else ""
    return f"known: {', '.join(known[:MOST_KNOWN])}{more}" if known else ""


def shown(value: object) -> str:
    """*value* as a message names it: short, and in the words of YAML."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def mistakes(error: ValidationError, at: Loc = (), cls: type[BaseModel] | None = None) -> list[Mistake]:
    """Every mistake of *error*, flat, with places counted from the root; *cls* is the class that was validated."""
    found: list[Mistake] = []
    for outside, tried in groupby(error.errors(include_url=False), _outside_union):
        errors = list(tried)
        branches = [errors] if outside is None else _branches(errors, outside)
        told = [[mistake for one in branch for mistake in _told(one, cls)] for branch in branches]
        found += told[0] if len(told) == 1 else [reduce(_either, (branch[0] for branch in told))]
    return [replace(mistake, loc=at + tuple(part for part in mistake.loc if part != _KEY),
                    at_key=mistake.at_key or mistake.loc[-1:] == (_KEY,)) for mistake in found]


def _outside_union(one: ErrorDetails) -> Loc | None:
    """The place of the value that *one* was found in while it was tried as one branch of a union: pydantic puts the branch behind it."""
    loc = one["loc"]
    for index, part in enumerate(loc):
        if isinstance(part, str) and part.startswith(_TAGS) and part.endswith("]"):
            return loc[:index]
    last = str(loc[-1]).removeprefix("constrained-") if loc else ""
    return loc[:-1] if one["type"].startswith(_SCALAR_TAGS.get(last, ())) else None


def _branches(errors: list[ErrorDetails], outside: Loc) -> list[list[ErrorDetails]]:
    """The errors of each branch of a union, without its tag; if one is right but for what is in it, of that one alone."""
    depth = len(outside)
    branches: dict[str | int, list[ErrorDetails]] = {}
    for one in errors:
        branches.setdefault(one["loc"][depth], []).append({**one, "loc": outside + one["loc"][depth + 1 :]})
    if len(branches) == 1:  # no union: what looks like a tag is a key
        return [errors]
    meant = [branch for branch in branches.values() if len(branch[0]["loc"]) > depth or branch[0]["type"].startswith(_BOUNDS)]
    return meant[:1] or list(branches.values())


def _told(one: ErrorDetails, cls: type[BaseModel] | None) -> list[Mistake]:
    loc, context = one["loc"], one.get("ctx") or {}
    if one["type"] == "mistakes":
        return [replace(inner, loc=loc + inner.loc) for inner in context["mistakes"]]
    if one["type"] == "extra_forbidden":
        return [Mistake(loc, f"unknown key {str(loc[-1])!r}", did_you_mean(str(loc[-1]), _fields_at(cls, loc[:-1])), at_key=True)]
    if one["type"] == "missing":
        return [Mistake(loc[:-1], f"{str(loc[-1])!r} is missing", f"add `{loc[-1]}: ...` here")]
    told = _WORDS.get(one["type"])
    if told is None:
        return [Mistake(loc, one["msg"].removeprefix("Value error, "), str(context.get("cure", "")))]
    wanted, cure = told(context, one["input"])
    return [Mistake(loc, f"should be {wanted}, not {shown(one['input'])}", cure)]


def _either(first: Mistake, second: Mistake) -> Mistake:
    """A value that could have been one of two things, and is neither."""
    (wanted, _, value), (other, _, _) = first.what.partition(", not "), second.what.partition(", not ")
    if first.what.startswith(_SHOULD) and second.what.startswith(_SHOULD):
        return replace(first, what=f"{wanted} or {other.removeprefix(_SHOULD)}, not {value}", cure=_lines(first.cure, second.cure))
    if first.what.startswith(_SHOULD):
        first, second, other = second, first, wanted
    return replace(first, cure=_lines(first.cure, second.cure or f"or write {other.removeprefix(_SHOULD)}"))


def _lines(*cures: str) -> str:
    return "\n".join(filter(None, cures))


_SHOULD = "should be "
_BOUNDS = ("greater_", "less_")
_KEY = "[key]"  # what comes before it is the key of a mapping, and not the value that stands there
_TAGS = ("function-", "literal[", "list[", "dict[", "union[", "nullable[", "lax-or-strict[")
_SCALAR_TAGS = {  # and the types of error that there can be
    "int": ("int_", "greater_", "less_"), "float": ("float_", "finite_", "greater_", "less_"), "str": ("string_",), "bool": ("bool_",),
}


def _whole(context: Mapping[str, Any], value: object) -> tuple[str, str]:
    unquoted = isinstance(value, str) and value.strip().lstrip("+-").isdecimal()
    share = isinstance(value, str) and value.strip().removesuffix("%").isdecimal()
    return "a whole number", "remove the quotes" if unquoted else "remove the '%'" if share else ""


def _text(context: Mapping[str, Any], value: object) -> tuple[str, str]:
    return "text", f"put it in quotes: '{shown(value)}'" if isinstance(value, bool | int | float) else ""


def _boolean(context: Mapping[str, Any], value: object) -> tuple[str, str]:
    return "true or false", "yes, no, on and off are text in YAML 1.2" if str(value).lower() in ("yes", "no", "on", "off") else ""


def _one_of(context: Mapping[str, Any], value: object) -> tuple[str, str]:
    expected = str(context["expected"])
    known = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    close = nearest(value, known) if isinstance(value, str) else None
    return expected, f"did you mean {close!r}?" if close else ""


def _length(context: Mapping[str, Any], value: object) -> tuple[str, str]:
    at_least = "min_length" in context
    number = context["min_length" if at_least else "max_length"]
    unit = "a text of {} character" if isinstance(value, str) else "a list of {} item"
    return unit.format(number) + ("" if number == 1 else "s") + (" or more" if at_least else " or less"), ""


def _plain(words: str, cure: str = "") -> Callable[[Mapping[str, Any], object], tuple[str, str]]:
    return lambda context, value: (words, cure)


# pydantic's type of error: what the value should be, and a cure
_WORDS: dict[str, Callable[[Mapping[str, Any], object], tuple[str, str]]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _whole),
    **dict.fromkeys(("float_type", "float_parsing"), _plain("a number")),
    "finite_number": _plain("a finite number"),
    **dict.fromkeys(("string_type", "string_unicode"), _text),
    **dict.fromkeys(("bool_type", "bool_parsing"), _boolean),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), _plain("a mapping", "write `key: value` lines")),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), _plain("a list", "write `- item` lines, or [a, b]")),
    **dict.fromkeys(("literal_error", "enum"), _one_of),
    **dict.fromkeys(("too_short", "too_long", "string_too_short", "string_too_long"), _length),
    "none_required": _plain("nothing"),
    "greater_than": lambda context, value: (f"more than {_number(context['gt'])}", ""),
    "greater_than_equal": lambda context, value: (f"at least {_number(context['ge'])}", ""),
    "less_than": lambda context, value: (f"less than {_number(context['lt'])}", ""),
    "less_than_equal": lambda context, value: (f"at most {_number(context['le'])}", ""),
}


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _fields_at(cls: type[BaseModel] | None, loc: Loc) -> list[str]:
    """Keys of the model that *loc* leads to, as far as annotations tell."""
    here = [cls] if cls is not None else []
    for part in loc:
        following: list[type[BaseModel]] = []
        for model in here:
            field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
            following += list(_models(field.annotation)) if field is not None else []
        here = following or here
    return sorted({field.alias or name for model in here for name, field in model.model_fields.items()})


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
