"""Finding and loading the user's own code: `package.module:name`.

What is run is a copy of its own: a breaker or a cache that a module keeps is then neither shared by services nor carried over
from one run to the next. What belongs to the user is the top package that the module lies in; libraries are shared.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from sim.mistakes import Mistake, did_you_mean, invalid

HOW = "write 'package.module:name', for example 'scenarios.ecommerce.orders:Orders'"
OURS = frozenset({"sim", "reports", "cli"})


def find(reference: str) -> Any:
    """What *reference* names; raise the error of a validator, with its cure, if there is no such thing."""
    module_name, colon, name = reference.partition(":")
    if not colon or not module_name or not name or not all(part.isidentifier() for part in [*module_name.split("."), *name.split(".")]):
        raise invalid(Mistake((), f"{reference!r} names no code", HOW))
    return _attribute(_module(module_name), name, reference)


def load(reference: str) -> Any:
    """What *reference* names, in a copy of its modules that nobody else has."""
    module_name, _, name = reference.partition(":")
    with _own_copy(module_name):
        return _attribute(_module(module_name), name, reference)


def _module(name: str) -> ModuleType:
    with _working_directory_importable():
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
                what = f"{name} needs the module {error.name!r}, which is not there"
                raise invalid(Mistake((), what, f"install it beside mesocosm ({_where(error)})")) from None
            raise invalid(Mistake((), f"there is no module {error.name!r}", _module_cure(error.name))) from None
        except Exception as error:
            what = f"{name} cannot be imported: {type(error).__name__}: {error}"
            raise invalid(Mistake((), what, f"mend it at {_where(error)}")) from None


def _attribute(module: ModuleType, name: str, reference: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [word for word in vars(found) if not word.startswith("_")]
            raise invalid(Mistake((), f"{module.__name__} has no {part!r} ({reference!r})", did_you_mean(part, public)))
        found = getattr(found, part)
    return found


def _module_cure(name: str) -> str:
    parent = name.rpartition(".")[0]
    if parent in sys.modules and hasattr(sys.modules[parent], "__path__"):
        entries = [entry for place in sys.modules[parent].__path__ if os.path.isdir(place) for entry in os.listdir(place)]
        return did_you_mean(name.rpartition(".")[2], [entry.removesuffix(".py") for entry in entries if not entry.startswith("_")])
    return "modules are looked for in the working directory and in what is installed"


def _where(error: BaseException) -> str:
    """The line of the user's own file that raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]  # type: ignore[assignment]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "its import"


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    """As `python -m` has it: what lies in the working directory can be imported."""
    here = os.getcwd()
    missing = here not in sys.path and "" not in sys.path
    if missing:
        sys.path.insert(0, here)
    try:
        yield
    finally:
        if missing and here in sys.path:
            sys.path.remove(here)


@contextmanager
def _own_copy(module_name: str) -> Iterator[None]:
    """Inside, the user's modules are loaded anew; afterwards those that were there before are back."""
    top = module_name.partition(".")[0]
    if top in OURS:
        yield
        return
    before = {name: module for name, module in sys.modules.items() if name == top or name.startswith(f"{top}.")}
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        if before:
            for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
                del sys.modules[name]
            sys.modules.update(before)
