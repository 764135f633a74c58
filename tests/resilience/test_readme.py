"""The page for users: every block on it runs, and prints what it says."""

import re
from pathlib import Path

import pytest

import sim.resilience

PAGE = Path(sim.resilience.__file__).with_name("README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)


def test_every_block_prints_what_the_page_says(capsys):
    """All blocks in turn in one program."""
    program = {"__name__": "readme"}
    for code, expected in BLOCKS:
        exec(compile(code, "README.md", "exec"), program)
        assert capsys.readouterr().out == expected


@pytest.mark.parametrize("word", re.findall(r"`([A-Z]\w+)`", PAGE))
def test_every_name_on_the_page_exists(word):
    """What is written `LikeThis` is a public name, or one of Python's."""
    assert hasattr(sim.resilience, word) or word in __builtins__


def test_no_block_is_forgotten():
    """Each block of code has its output."""
    assert len(BLOCKS) == PAGE.count("```python") > 5
