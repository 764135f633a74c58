"""Subjects of messages, and the patterns that subscriptions name: NATS' grammar.

    order.created      tokens of letters, digits, - and _ between dots
    order.*            `*` stands for exactly one token
    order.>            `>` at the end stands for one token or more
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from sim.mistakes import Mistake, invalid, shown
from sim.model.paths import check_draws

_TOKEN = re.compile(r"[^\s.*>]+")


def matches(pattern: str, subject: str) -> bool:
    """Whether a subscription to *pattern* gets what is published as *subject*."""
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(wanted) == len(tokens) and all(want in ("*", token) for want, token in zip(wanted, tokens, strict=True))


def check_subject(subject: str) -> str:
    """*subject*, if something can be published as it; else raise ValueError with a cure after the last colon."""
    for token in subject.split("."):
        if token in ("*", ">"):
            raise ValueError(f"nothing is published as {shown(subject)}, which is a pattern: name one subject, for example 'order.created'")
        _check_token(token, subject)
    return subject


def check_pattern(pattern: str) -> str:
    """*pattern*, if it can be subscribed to; else raise ValueError with a cure after the last colon."""
    tokens = pattern.split(".")
    for number, token in enumerate(tokens):
        if token == ">" and number < len(tokens) - 1:
            raise ValueError(f"in {shown(pattern)} something follows the '>': it stands for the whole rest; one token is '*'")
        if token not in ("*", ">"):
            _check_token(token, pattern)
    return pattern


def _check_token(token: str, text: str) -> None:
    if not token:
        raise ValueError(f"{shown(text)} has an empty token: write tokens between dots, as in 'order.created'")
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"{shown(token)} is no token of a subject: '*' and '>' stand alone, and there are no blanks")


def _told(check: Any) -> Any:
    def validate(text: str) -> str:
        try:
            check(text)
        except ValueError as error:
            cause, _, cure = str(error).rpartition(": ")
            raise invalid(Mistake((), cause, cure)) from None
        return text

    return AfterValidator(validate)


def _without_draws(text: str) -> None:
    check_draws(text)
    check_subject(re.sub(r"\{[^{}.]*\}", "0", text))


Subject = Annotated[str, _told(_without_draws)]  # may draw, as a path may: `order.{uniform:100}`
Pattern = Annotated[str, _told(check_pattern)]
