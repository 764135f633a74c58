"""The reference of kinds and the JSON Schema are written from the specs, and say what the loader does."""

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from sim.errors import InvalidInput
from sim.scenario.documents import load_document
from sim.scenario.fields import documented
from sim.scenario.kinds import GROUPS, as_markdown, as_text, selected
from sim.scenario.schema import json_schema, schema_of
from sim.spec import ByKind, OneKey, Spec
from sim.units import Duration, PositiveDuration, Share, Size

SHOP = Path(__file__).parent / "shop.yaml"


class Step(Spec):
    """Base."""


class Wait(Step):
    """Wait."""

    shorthand: ClassVar[str] = "time"
    time: PositiveDuration


class Fork(Step):
    """Several lists of steps."""

    shorthand: ClassVar[str] = "branches"
    beside: ClassVar[tuple[str, ...]] = ("quorum",)
    branches: list[list["AnyStep"]]
    quorum: int | None = Field(default=None, ge=1)


class Stop(Step):
    """No fields at all."""


AnyStep = Annotated[Step, OneKey("step", lambda: {"wait": Wait, "fork": Fork, "stop": Stop}, group="test-steps")]


class Limits(Spec):
    """A nested mapping."""

    size: Size = 4096
    share: Share | None = None


class Part(Spec):
    """Base."""


class Pump(Part):
    """A pump."""

    kind: Literal["pump"] = "pump"
    limits: Limits = Limits()
    order: Literal["fifo", "lifo"] = "fifo"
    pause: Duration | Literal["auto"] = "auto"
    from_: float = Field(default=0.5, alias="from", ge=0, le=1)
    steps: list[AnyStep] = Field(default=[])


class Tap(Part):
    """A tap."""

    kind: Literal["tap"] = "tap"


class Plant(Spec):
    """A root."""

    name: str
    parts: dict[str, Annotated[Part, ByKind("part", lambda: {"pump": Pump, "tap": Tap}, default="pump", group="test-parts")]]


def test_fields_are_told_in_words_with_defaults_as_yaml_writes_them():
    """Units, bounds, alternatives, nested fields by dotted names; the kind itself is left out."""
    assert [(field.name, field.type, field.default) for field in documented(Pump)] == [
        ("limits", "mapping", "{size: 4KiB}"),
        ("limits.size", "size", "4KiB"),
        ("limits.share", "share", ""),
        ("order", "fifo | lifo", "fifo"),
        ("pause", "duration or auto", "auto"),
        ("from", "number, >= 0 and <= 1", "0.5"),
        ("steps", "list of step (`mesocosm kinds test-steps`)", "[]"),
    ]
    assert [(field.name, field.type, field.default) for field in documented(Wait)] == [("time", "duration, > 0", None)]


@pytest.mark.parametrize("group", GROUPS)
def test_every_kind_of_every_group_is_described(group):
    """Each has a text of its own, and its fields appear in both forms."""
    chosen = selected(group)
    text, markdown = as_text(chosen), as_markdown(chosen)
    for kind in chosen[group]:
        assert kind.text, kind.name
        assert re.search(rf"^  {re.escape(kind.name)} ", text, re.MULTILINE)
        assert f"### {kind.name}\n" in markdown
        for field in kind.fields:
            assert f"| `{field.name}` |" in markdown


def test_a_kind_is_found_by_its_name_in_every_group_that_has_it():
    """`mesocosm kinds exponential` tells the distribution and the backoff."""
    assert set(selected("exponential")) == {"distributions", "backoffs"}
    assert list(selected("timeout")) == ["policies"]


@pytest.mark.parametrize(("word", "cure"), [
    ("polices", "did you mean 'policies'?"), ("circut", "did you mean 'circuit_breaker'?"),
    ("latency", "did you mean one of these? latency.p99, latency.max, latency.mean"), ("xyz", "there are the groups files, services, steps"),
    ("workloads", "it is a key of scenario: `mesocosm kinds scenario`"), ("deployment", "it is a key of service: `mesocosm kinds service`"),
])
def test_an_unknown_kind_is_told_with_what_it_may_mean(word, cure):
    """Whose key it is, the nearest name, those with a part like it, or the groups; never all kinds on one line."""
    with pytest.raises(InvalidInput) as caught:
        selected(word)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"no group and no kind is called {word!r}" and lines[1].strip().startswith(cure)
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_description_fits_the_terminal(width):
    """Nothing is wider than the terminal, whatever it says; parts of a field are set in below it."""
    text = as_text(selected(None), width)
    assert max(map(len, text.splitlines())) <= width
    assert re.search(r"^      target +mapping .*\n(        .*\n)+      latency ", text, re.MULTILINE)


PLANT = json_schema(Plant, "plant")
GOOD = [
    {"wait": "5ms"}, {"wait": {"time": "1m 30s"}}, {"fork": [[{"wait": "1s"}], []]}, {"fork": [], "quorum": 1}, {"stop": {}}, "stop",
    {"fork": {"branches": [[{"fork": [[{"stop": {}}]]}]]}},
]
BAD = [
    {}, 7, "wait", {"wait": 5}, {"wait": "5 sec"}, {"wat": "5ms"}, {"wait": "5ms", "stop": {}}, {"wait": {"tim": "5ms"}},
    {"fork": [[{"wait": 1}]]},
]


@pytest.mark.parametrize("step", GOOD)
def test_the_schema_takes_what_the_loader_takes(step):
    """Shorthands, keys beside, and steps inside steps."""
    full = {"limits": {"size": "4KiB", "share": "5%"}, "from": 1}
    data = {"name": "x", "parts": {"a": {"steps": [step]}, "b": {"kind": "tap"}, "c": full}}
    Plant.model_validate(data)
    assert list(Draft202012Validator(PLANT).iter_errors(data)) == []


@pytest.mark.parametrize("step", BAD)
def test_the_schema_refuses_what_the_loader_refuses(step):
    """Wrong units, unknown words, two keys, missing fields."""
    data = {"name": "x", "parts": {"a": {"steps": [step]}}}
    with pytest.raises(ValueError):
        Plant.model_validate(data)
    assert list(Draft202012Validator(PLANT).iter_errors(data))


@pytest.mark.parametrize("part", [{"kind": "pmp"}, {"kind": "tap", "order": "fifo"}, {"order": "lofi"}, {"pause": 5}, {"extra": 1}, None])
def test_the_schema_knows_kinds_apart(part):
    """A field of one kind is no field of another, and the default kind needs no name."""
    data = {"name": "x", "parts": {"a": part}}
    with pytest.raises(ValueError):
        Plant.model_validate(data)
    assert list(Draft202012Validator(PLANT).iter_errors(data))


@pytest.mark.parametrize("what", ["scenario", "faults"])
def test_the_schemas_of_files_are_sound(what):
    """They are schemas, nothing in them dangles, and descriptions come from the docstrings."""
    schema = schema_of(what)
    Draft202012Validator.check_schema(schema)
    text = str(schema)
    assert set(re.findall(r"#/\$defs/([^']+)'", text)) <= set(schema["$defs"])
    assert "{'kinds':" not in text
    assert schema["$defs"]["NetworkDelay"]["description"].startswith("Every message")


@pytest.mark.parametrize(("what", "key"), [("scenario", "services"), ("faults", "faults")])
def test_what_a_file_holds_stands_at_the_top_of_its_schema(what, key):
    """A reader who follows no references sees a mapping and its keys."""
    schema = schema_of(what)
    assert schema["type"] == "object" and key in schema["properties"] and schema["title"] == f"mesocosm {what}"


def test_the_shop_fits_the_schema():
    """And the same with a wrong unit does not."""
    validator = Draft202012Validator(schema_of("scenario"))
    data = load_document(SHOP).data
    assert list(validator.iter_errors(data)) == []
    data["services"]["orders"]["endpoints"]["POST /orders"][0] = {"work": {"exponential": 4}}
    assert list(validator.iter_errors(data))


def test_there_are_schemas_of_files_only():
    """Anything else is told with the nearest."""
    with pytest.raises(InvalidInput, match="did you mean 'scenario'"):
        schema_of("scenarios")
