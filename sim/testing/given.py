"""Classes and apps that a test hands over as they are.

A scenario names code by a text, `package.module:name`, and what is named so is loaded anew for each service, with all its modules. What a
test hands over itself is used as it is, so that the test can look at what it keeps; all instances then share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

OBJECTS = SimpleNamespace()


@contextmanager
def given(thing: object) -> Iterator[str]:
    """While the block lasts, the text that is yielded names *thing*."""
    kind = thing.__name__ if isinstance(thing, type) else type(thing).__name__
    number = next(number for number in range(len(vars(OBJECTS)) + 1) if not hasattr(OBJECTS, f"{kind}_{number}"))
    name = f"{kind}_{number}"
    setattr(OBJECTS, name, thing)
    try:
        yield f"{__name__}:OBJECTS.{name}"
    finally:
        delattr(OBJECTS, name)
