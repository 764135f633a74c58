"""Names and paths as a scenario gives them: what they may look like, said in words and mended where they do not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sim.mistakes import Mistake, invalid, shown
from sim.units import Noun

LONGEST = 100  # characters of a name


@dataclass(frozen=True, eq=False)
class Shape(Noun):
    """What a text must look like as a whole: goes into the metadata of an Annotated type. *mended* makes a proposal out of a wrong one."""

    pattern: str
    mended: Callable[[str], str]

    def read(self, value: str) -> str:
        """*value* as a field was given it."""
        if re.fullmatch(self.pattern, value) is None:
            raise invalid(Mistake((), f"should be {self.text}, not {shown(value)}", f"for example {shown(self.mended(value))}"))
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "pattern": f"^{self.pattern}$"}


def _joined(text: str, outside: str, default: str) -> str:
    """*text* with dashes instead of the characters *outside* a name."""
    return re.sub(f"{outside}+", "-", text).strip("-._")[:LONGEST] or default


if TYPE_CHECKING:
    NodeName: TypeAlias = str
    ScenarioName: TypeAlias = str
    UrlPath: TypeAlias = str
    UrlPattern: TypeAlias = str
else:
    NodeName = Annotated[str, Shape(
        f"a name without blanks, '/' and '>', of at most {LONGEST} characters", rf"[^\s>/]{{1,{LONGEST}}}",
        lambda text: _joined(text, r"[\s>/]", "orders"))]
    ScenarioName = Annotated[str, Shape(
        f"a name of at most {LONGEST} letters, digits, '-', '_' and '.'",
        rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}", lambda text: _joined(text, "[^A-Za-z0-9_.-]", "my-shop"))]
    UrlPath = Annotated[str, Shape("a path that begins with '/'", "/.*", lambda text: f"/{text}")]
    UrlPattern = Annotated[str, Shape("a path that begins with '/', or with '*'", "[/*].*", lambda text: f"/{text}")]
