"""From a file to a validated spec, or to everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

from pydantic import ValidationError

from sim.spec import Spec, mistakes

from .documents import Document, load_document
from .overrides import patched, set_option, variant_patches
from .problems import InvalidFile, Problem

S = TypeVar("S", bound=Spec)


def validated(document: Document, cls: type[S]) -> S:
    """The document as a *cls*; raise InvalidFile with all mistakes."""
    try:
        return cls.model_validate(document.data)
    except ValidationError as error:
        raise InvalidFile(document.problem(mistake) for mistake in mistakes(error, cls=cls)) from None


def read(path: str | os.PathLike[str], *, variant: str | None = None, overrides: Iterable[str] = ()) -> Document:
    """The file at *path* with the patches of its *variant*, then the *overrides* (PATH=VALUE), applied; raise InvalidFile."""
    document = load_document(path)
    problems: list[Problem] = []
    patches = []
    for option in overrides:
        try:
            patches.append(set_option(option))
        except InvalidFile as refused:
            problems += refused.problems
    try:
        if variant is not None:
            patches[:0] = variant_patches(document, variant)
        document = patched(document, patches)
    except InvalidFile as refused:
        problems += refused.problems
    if problems:
        raise InvalidFile(problems)
    return document
