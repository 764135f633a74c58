"""The words of `on:` lists: which errors a retry, a breaker or a fallback means.

    timeout       TimeoutError: an attempt timeout, a deadline
    connect       ConnectionError before anything was sent: refused, no route
    reset         the connection broke under the call: reset, aborted, broken pipe
    unavailable   status 503, or no healthy instance
    429, 5xx, 404 the `status` that an error carries
    rejected      a refusal of our own policies
    any           every Exception

Errors are told apart by Python's own classes and by an integer attribute `status`, so that an HTTP client's own errors
work as they are. A cancellation is no Exception and matches no word. A 404 is an answer, and no error, to whoever does not name it:
a status that comes as the `status` of a result is a failure to the policies alone that list it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from sim.spec import did_you_mean

from .errors import Rejected

Predicate = Callable[[BaseException], bool]
Errors = type[BaseException] | tuple[type[BaseException], ...] | Predicate  # what policies take for "these errors"

_BROKEN = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


def status_of(ending: object) -> int | None:
    """The status that *ending*, an error or a result, carries, if it carries one."""
    status = getattr(ending, "status", None)
    return status if isinstance(status, int) else None


def retry_after_of(error: BaseException) -> float | None:
    """After how many seconds the one who failed asks to be called again; negative: never."""
    value = getattr(error, "retry_after", None)
    return float(value) if isinstance(value, int | float) else None


WORDS: dict[str, Predicate] = {
    "timeout": lambda error: isinstance(error, TimeoutError),
    "connect": lambda error: isinstance(error, ConnectionError) and not isinstance(error, _BROKEN),
    "reset": lambda error: isinstance(error, _BROKEN),
    "unavailable": lambda error: status_of(error) == 503,
    "5xx": lambda error: (status_of(error) or 0) // 100 == 5,
    "rejected": lambda error: isinstance(error, Rejected),
    "any": lambda error: isinstance(error, Exception),
}


def predicate(words: Iterable[str | int]) -> Predicate:
    """True for an error that any of *words* means; raise ValueError for a word that is none."""
    tests = [_test_of(str(word)) for word in words]
    return lambda error: any(test(error) for test in tests)


def answers(words: Iterable[str]) -> Callable[[Any], bool] | None:
    """True for a result whose status *words* list; None where they list none that is an answer: 429 and 5xx come as errors."""
    statuses = {int(word) for word in words if word.isdecimal() and word != "429" and int(word) < 500}
    return (lambda result: status_of(result) in statuses) if statuses else None


def matcher(errors: Errors) -> Predicate:
    """*errors* (a class, a tuple of classes, or already a predicate) as a predicate."""
    if isinstance(errors, type | tuple):
        return lambda error: isinstance(error, errors)
    return errors


def _test_of(word: str) -> Predicate:
    if word in WORDS:
        return WORDS[word]
    if word.isdecimal() and 100 <= int(word) <= 599:
        status = int(word)
        return lambda error: status_of(error) == status
    raise ValueError(f"{word!r} names no kind of failure: {did_you_mean(word, [*WORDS, '429'])}")


def _read(value: Any) -> Any:
    """A list of words (statuses may be numbers), or one of them by itself, as a tuple of texts."""
    words = (value,) if isinstance(value, str | int) else value
    if not isinstance(words, list | tuple):
        cure = f"for example [timeout, 5xx]; known: {', '.join(WORDS)}, and single statuses"
        raise PydanticCustomError("failures", "should be a list of failures", {"cure": cure})
    for word in words:
        try:
            _test_of(str(word))
        except ValueError:
            cure = did_you_mean(str(word), [*WORDS, "429"])
            raise PydanticCustomError("failures", "{word} names no kind of failure", {"word": repr(word), "cure": cure}) from None
    return tuple(map(str, words))


FailureWords = Annotated[
    tuple[str, ...],
    BeforeValidator(_read),
    WithJsonSchema({"type": "array", "items": {"anyOf": [{"enum": list(WORDS)}, {"type": "integer", "minimum": 100, "maximum": 599}]}}),
]
