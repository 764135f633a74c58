"""Whatever is done to a valid file, it is read or refused with places: never a traceback."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.scenario.checks import check_files
from sim.scenario.load import load_scenario
from sim.scenario.problems import InvalidFile

SHOP = (Path(__file__).parent / "shop.yaml").read_text()
LINES = SHOP.splitlines(keepends=True)
SCRAPS = st.sampled_from([
    "", " ", "\n", "\t", ":", "- ", "{", "}", "[", "]", ",", "'", '"', "#", "&a ", "*a", "<<: *a\n", "!!str ", "? ", "|\n", "---\n", "%",
    "null", "true", "-1", "0", "1e400", ".nan", ".inf", "5%", "5ms", "1/s", "orders", "kind: cache",
    "\0", "\ufeff", "é", "\u2028", "\x85", "🙂",
    "{zipf:1000}", "POST /orders", "99999999999999999999999999999999", "0x1f", "2024-01-01", "on", "~", "->", ">", "..", "{work: 5ms}",
])
VALUES = st.one_of(
    SCRAPS, st.text(max_size=20), st.integers().map(str), st.floats().map(str), st.just("[]"), st.just("{}"),
    st.lists(st.sampled_from(["5ms", "{}", "orders", "-1"]), max_size=3).map(lambda items: f"[{', '.join(items)}]"),
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def examine(content: bytes) -> None:
    """Check the file as the command line does; every problem has a file, a place and a text."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fuzz.yaml"
        path.write_bytes(content)
        report = check_files([str(path)])
        assert list(report.lines())
        for problem in report.problems:
            assert problem.path == str(path)
            assert problem.line >= 1
            assert problem.col >= 1
            assert problem.what
            assert problem.render().encode()


def override(file: Path, option: str) -> None:
    """Read the file with an override: it works, or is refused with a text that every terminal can show."""
    try:
        load_scenario(file, overrides=[option])
    except InvalidFile as invalid:
        assert str(invalid).encode()  # noqa: PT017


@quick
@given(st.data())
def test_a_file_with_pieces_cut_out_and_scraps_put_in(data):
    """As a slip of an editor would leave it."""
    text = SHOP
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 30))
        text = text[:at] + data.draw(SCRAPS) + text[at + cut :]
    examine(text.encode())


@quick
@given(st.data())
def test_a_file_with_other_values(data):
    """Keys keep their places, values become anything."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(lines) - 1))
        key, colon, _ = lines[number].partition(": ")
        lines[number] = f"{key}{colon}{data.draw(VALUES)}\n"
    examine("".join(lines).encode())


@quick
@given(st.data())
def test_a_file_with_lines_moved_and_doubled(data):
    """Blocks end up where they do not belong."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        source, target = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(lines) - 1))
        indent = data.draw(st.sampled_from(["", " ", "  ", "    "]))
        lines.insert(target, indent + lines[source])
    examine("".join(lines).encode())


@quick
@given(st.binary(max_size=200))
def test_bytes_that_are_no_scenario(content):
    """Noise is refused."""
    examine(content)


@quick
@given(st.text(max_size=40), VALUES)
def test_options_that_are_no_overrides(path, value):
    """Any PATH and VALUE."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "shop.yaml"
        file.write_text(SHOP)
        override(file, f"{path}={value}")


PLACES = [
    "seed", "services", "services.orders", "services.orders.uses.payments.policies.retry", "services.orders.endpoints.POST /orders.0",
    "network.links.orders->payments", "workloads.shoppers.mix.0", "faults.0.target", "faults.slow.schedule", "checks.0", "variants.naive",
]


@quick
@given(st.sampled_from(PLACES), VALUES)
def test_options_that_put_anything_anywhere(place, value):
    """Any value in the place of a whole part."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "shop.yaml"
        file.write_text(SHOP)
        override(file, f"{place}={value}")
