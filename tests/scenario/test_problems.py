"""How a mistake is shown: place, cause, caret, cure."""

from sim.scenario.problems import InvalidFile, Problem


def test_a_problem_shows_place_cause_line_caret_and_cure():
    """In the style of a compiler, so that editors can jump to it."""
    what, cure = "unknown fault kind 'network.latancy'", "did you mean 'network.delay'?"
    problem = Problem("slow-db.yaml", 14, 11, what, cure, "    kind: network.latancy")
    assert problem.render().splitlines() == [
        "slow-db.yaml:14:11: unknown fault kind 'network.latancy'",
        "        kind: network.latancy",
        "              ^",
        "    did you mean 'network.delay'?",
    ]


def test_the_caret_stands_under_its_character():
    """Tabs stay tabs, and wide characters take two columns."""
    assert Problem("f", 1, 3, "x", source_line="\t日b").render().splitlines()[-1] == "    \t  ^"


def test_a_long_line_is_cut_around_the_caret():
    """The place is in what is shown."""
    shown, caret = Problem("f", 1, 5000, "x", source_line="a" * 4999 + "b" + "a" * 5000).render().splitlines()[1:]
    assert len(shown) < 150
    assert shown[caret.index("^")] == "b"


def test_nothing_in_a_file_can_move_the_cursor():
    """Control characters and halves of characters are spelt out."""
    text = Problem("a\x1b[2J.yaml", 1, 1, "\udcff", source_line="\x1b[31mred").render()
    assert "\x1b" not in text
    assert text.encode()


def test_problems_are_sorted_by_place_and_told_once():
    """Files stay in the order in which they were named."""
    second, first, other = Problem("b.yaml", 9, 1, "x"), Problem("b.yaml", 2, 1, "y"), Problem("a.yaml", 1, 1, "z")
    assert InvalidFile([second, first, second, other]).problems == [first, second, other]


def test_an_option_has_no_line():
    """What is wrong with `--set x=1` is named by the option."""
    shown = Problem("--set x=1", 0, 3, "unknown key 'x'", source_line="x=1").render()
    assert shown.splitlines() == ["--set x=1: unknown key 'x'", "    x=1", "      ^"]
