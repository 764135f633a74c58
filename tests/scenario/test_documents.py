"""Reading YAML: the core schema of YAML 1.2, places, and what is refused."""

import math
import os

import pytest

from sim.scenario.composer import DEEPEST
from sim.scenario.documents import LARGEST_FILE, Document, load_document
from sim.scenario.problems import InvalidFile, Problem


@pytest.fixture
def load(tmp_path):
    """Write text or bytes to a file and load it."""

    def write_and_load(content: str | bytes) -> Document:
        path = tmp_path / "scenario.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_document(path)

    return write_and_load


def problems(load, content) -> list[Problem]:
    with pytest.raises(InvalidFile) as caught:
        load(content)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("no", "no"), ("y", "y"), ("12:30", "12:30"), ("2024-01-31", "2024-01-31"), ("1_000", "1_000"), ("0b1", "0b1"),
        ("", None), ("true", True), ("FALSE", False), ("~", None), ("null", None), ("010", 10), ("0o10", 8), ("0x1F", 31), ("-7", -7),
        ("+7", 7), ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-1.5E-3", -0.0015), (".inf", math.inf), ("-.INF", -math.inf),
        ("'1'", "1"), ('"true"', "true"), ("!!str 5", "5"), ("!!float 5", 5), ("-", None), (".", "."), ("1.2.3", "1.2.3"),
        ("POST /orders/{id}", "POST /orders/{id}"), ("orders->payments", "orders->payments"),
    ],
)
def test_plain_scalars_follow_the_core_schema(load, text, value):
    """`on` is text, `010` is ten, `1e3` is a number: YAML 1.2, not 1.1."""
    if text == "-":
        text = "[]"
        value = []
    assert load(f"key: {text}\n").data["key"] == value
    assert type(load(f"key: {text}\n").data["key"]) is type(value)


def test_not_a_number_is_read_so_that_a_spec_can_refuse_it(load):
    """`.nan` is a float of the core schema."""
    assert math.isnan(load("key: .nan").data["key"])


def test_keys_are_the_text_as_it_is_written(load):
    """`on:`, `404:` and `true:` are names like any other."""
    assert list(load("on: 1\n404: 2\ntrue: 3\n'': 4\n").data) == ["on", "404", "true", ""]


@pytest.mark.parametrize(("text", "value"), [
    ("[{weight: 70, send: GET /api/products/{zipf:1000}}, {send: GET /b}]", [{"weight": 70, "send": "GET /api/products/{zipf:1000}"}, {"send": "GET /b"}]),
    ("[GET /orders/{id}/items/{n}, '/a/{b}', {GET /c/{d}: 1}]", ["GET /orders/{id}/items/{n}", "/a/{b}", {"GET /c/{d}": 1}]),
    ("{send: GET /orders/{id}}  # not /{this}", {"send": "GET /orders/{id}"}),
])
def test_a_path_with_a_parameter_needs_no_quotes_inside_brackets(load, text, value):
    """YAML itself would end the path before the bracket."""
    assert load(f"key: {text}\n").data["key"] == value


def test_places_and_mistakes_beside_such_a_path_are_true(load):
    """Columns count what is written; another mistake of the same file is told as ever."""
    text = "a: {send: GET /orders/{id}, weight: 3}\n"
    assert load(text).place(("a", "weight")).col == text.index("3") + 1
    (problem,) = problems(load, text + "b: [1, 2\n")
    assert (problem.line, problem.what) == (2, "this '[' is not closed")


def test_every_value_and_key_knows_its_place(load):
    """Lines and columns count from 1; a key and its value have places of their own."""
    document = load("name: a\nservices:\n  orders:\n    workers: 16\n    steps: [{work: 5ms}]\n")
    assert document.place(("services", "orders", "workers"))[1:] == (4, 14)
    assert document.place(("services", "orders", "workers"), at_key=True)[1:] == (4, 5)
    assert document.place(("services", "orders", "steps", 0, "work"))[1:] == (5, 20)


def test_a_place_stops_where_the_file_stops_spelling_things_out(load):
    """The field of a shorthand is not in the file; the value that stands for it is."""
    document = load("steps:\n- work: 5ms\n")
    assert document.place(("steps", 0, "work", "time", "value"))[1:] == (2, 9)
    assert document.place(("nowhere",))[1:] == (1, 1)


def test_columns_count_characters(load):
    """Letters of several bytes count once, and a byte order mark not at all."""
    document = load("\ufefftítulo: {日本: x}\n")
    assert document.place(("título", "日本"))[1:] == (1, 14)


def test_merge_keys_take_over_what_is_not_there(load):
    """What stands in the mapping itself wins, then the first source; places lead to where a value was written."""
    document = load("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n")
    assert document.data["c"] == {"x": 3, "y": 1, "z": 2}
    assert document.place(("c", "z"))[1:] == (2, 17)


def test_an_alias_may_be_changed_without_changing_the_others(load):
    """Every use of an anchor gives data of its own."""
    data = load("a: &a {x: [1]}\nb: *a\n").data
    data["a"]["x"].append(2)
    assert data["b"] == {"x": [1]}


REFUSED = [  # content, line, column, what is said
    ("", 1, 1, "empty"), ("# nothing\n", 1, 1, "empty"), ("---\n...\n", 1, 1, "empty"), ("null\n", 1, 1, "empty"),
    ("- a\n", 1, 1, "this is a list"), ("\n hello\n", 2, 2, "this is text"), ("5", 1, 1, "this is a number"),
    ("a: 1\nb: 2\na: 3\n", 3, 1, "'a' stands here a second time"), ("a: {b: 1, b: 2}\n", 1, 11, "second time"),
    ("a: 1\n---\nb: 2\n", 2, 1, "second document"), ("a:\n\tb: 1\n", 2, 1, "tab"), ("a: \t- b\n", 1, 5, "a list cannot begin here"),
    ("a: [1, 2\nb: 3\n", 1, 4, "'[' is not closed"), ("a: {b: 1\n", 1, 4, "'{' is not closed"),
    ("a: 'x\n", 1, 4, "quote is not closed"), ("a: b: c\n", 1, 5, "':' that cannot be here"),
    ("a\nb: 1\n", 2, 2, "':' that cannot be here"), ("a: 1\n b: 2\n", 2, 3, "cannot be here"),
    ("a:\n  b: 1\n c: 2\n", 3, 2, "neither a key"), ("- a\nb: 1\n", 2, 1, "not an item"), ("x:\n- a\n-b\n", 3, 1, "without ':'"),
    ("a: - b\n", 1, 4, "list cannot begin here"), ("a: @x\n", 1, 4, "'@' needs quotes"), ("a: `x`\n", 1, 4, "needs quotes"),
    ("a: ]\n", 1, 4, "no value"), ("a: 1\n}\n", 2, 1, "neither a key"), ('a: "\\q"\n', 1, 5, "unknown escape"),
    ('a: "\\ud800"\n', 1, 7, "an escape of no character"),
    ("%X\na: 1\n", 1, 3, "begins with '%'"), ("a: *x\n", 1, 4, "*x names nothing"),
    ("a: &x [*x]\n", 1, 8, "stands inside what it names"), ("a: {<<: 5}\n", 1, 5, "'<<' takes a mapping"),
    ("? [a]\n: b\n", 1, 3, "a key must be text"), ("{{a: 1}: 2}\n", 1, 2, "a key must be text"), ("?\n: b\n", 1, 2, "without a key"),
    ("a: !foo 1\n", 1, 4, "unknown tag '!foo'"), ("a: !!set {b}\n", 1, 4, "unknown tag '!!set'"),
    ("a: !!int x\n", 1, 4, "not what !!int means"), ("a: " + "9" * 5000, 1, 4, "number of 5000 digits"),
    ("a: b\x07\n", 1, 5, "U+0007"), ("a: \x00\n", 1, 4, "binary"), (b"a: 1\nb: \xff\xfe\n", 2, 4, "not UTF-8"),
    ("a: 1\n".encode("utf-16"), 1, 1, "not UTF-8"), (b"\x7fELF\x02\x01\xff\x00", 1, 7, "binary"),
    ("a: " + "[" * 100, 1, 3 + DEEPEST, "deeper than 64"), (b"#" * (LARGEST_FILE + 1), 1, 1, "larger than 4 MiB"),
]


@pytest.mark.parametrize(("content", "line", "col", "what"), REFUSED, ids=[what for *_, what in REFUSED])
def test_what_is_no_scenario_is_refused_with_its_place_and_a_cure(load, content, line, col, what):
    """Whatever is wrong with the text, the first problem says where, what, and how to mend it."""
    first = problems(load, content)[0]
    assert (first.line, first.col) == (line, col)
    assert what in first.what
    assert first.cure


def test_a_bomb_of_aliases_is_refused_before_it_unfolds(load):
    """Nine levels of ten aliases would be a billion values."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
    (problem,) = problems(load, bomb)
    assert "200,000 values" in problem.what
    assert problem.line == 6


def test_aliases_cannot_go_deeper_than_brackets(load):
    """A chain of aliases is as deep as what it unfolds to."""
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 80))
    assert "deeper than 64" in problems(load, chain)[0].what


def test_all_mistakes_are_told_in_the_order_of_the_file(load):
    """Reading goes on after a duplicate key, an unknown tag and an alias to nothing."""
    found = problems(load, "a: *x\nb: !y 1\nb: 2\nc: !!int z\n")
    assert [problem.line for problem in found] == [1, 2, 3, 4]


def test_a_missing_file_is_told_with_its_likely_name(tmp_path):
    """`checkout.yml` for `checkout.yaml`."""
    (tmp_path / "checkout.yaml").write_text("name: x")
    with pytest.raises(InvalidFile, match=r"did you mean '.*checkout\.yaml'"):
        load_document(tmp_path / "checkout.yml")


def test_a_folder_is_told_with_the_files_in_it(tmp_path):
    """A folder is not a file, but the file is probably in it."""
    (tmp_path / "checkout.yaml").write_text("name: x")
    with pytest.raises(InvalidFile, match=r"1:1: a folder, not a file\n    name a file in it: .*checkout.yaml"):
        load_document(tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "/dev/null/x", "/dev/null", "/dev/zero"])
def test_paths_that_lead_to_no_text_are_refused(path):
    """Devices, impossible names, endless files."""
    with pytest.raises(InvalidFile) as caught:
        load_document(path)
    assert caught.value.problems[0].cure


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    """The system's own word says why."""
    path = tmp_path / "secret.yaml"
    path.write_text("name: x")
    path.chmod(0)
    if os.access(path, os.R_OK):
        path = "/proc/self/mem"  # root may read everything, but not that
    with pytest.raises(InvalidFile, match=r"no permission|cannot be read"):
        load_document(path)
