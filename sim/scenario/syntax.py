"""What libyaml means: its messages, put into words of the person who writes the file."""

from __future__ import annotations

from yaml.error import Mark, MarkedYAMLError

CLOSERS = {"flow sequence": ("[", "]"), "flow mapping": ("{", "}")}

# part of libyaml's message: (what is wrong, cure)
MEANINGS = {
    "mapping values are not allowed": (
        "a ':' that cannot be here",
        "quote a text with ': ' in it, as in title: 'one: two'\n"
        "if it ends a key, look at the indentation, and whether the line above lacks its ':'",
    ),
    "block sequence entries are not allowed": ("a list cannot begin here", "write '- ' on a line of its own, or the list as [a, b]"),
    "did not find expected key": (
        "neither a key nor the end of what stands above",
        "indent it exactly as its neighbours are; a key ends with ':'",
    ),
    "did not find expected '-'": ("not an item of the list above", "begin it with '- ', or indent it as the key that it belongs to"),
    "could not find expected ':'": ("a key without ':'", "write `key: value`; a list item needs a space after its '-'"),
    "did not find expected node content": ("no value where one should be", "a comma or a bracket too many?"),
    "unknown escape character": ("an unknown escape", "write the text in 'single quotes', which leave '\\' alone"),
    "invalid Unicode character escape code": (
        "an escape of no character",
        "write the character itself, or the whole of its number in one escape: '\\U0001F600', not the two halves that JSON has",
    ),
    "did not find expected hexdecimal number": ("half an escape", "write the text in 'single quotes', which leave '\\' alone"),
    "did not find expected <document start>": (
        "it belongs to nothing above",
        "is the first line indented, or is there a bracket too many?",
    ),
    "duplicate %YAML": ("a second %YAML line", "remove one of them"),
    "incompatible YAML document": ("a YAML version that this program cannot read", "remove the %YAML line"),
    "undefined tag handle": ("an unknown tag", "remove it, or quote the text that begins with '!'"),
    "expected tag": ("a tag that is not complete", "quote a text that begins with '!'"),
    "expected alphabetic or numeric character": ("an anchor or alias without a name", "quote a text that begins with '&' or '*'"),
    "directive": ("a line that begins with '%'", "remove it, or quote the text"),
    "indentation indicator": ("'|' or '>' with a wrong number", "write '|' or '>' alone and indent the text below it"),
    "did not find expected comment or line break": ("text after '|' or '>'", "begin the text on the next line, indented"),
    "invalid leading UTF-8": ("not UTF-8", "save the file as UTF-8"),
}


def explain(error: MarkedYAMLError, lines: tuple[str, ...]) -> tuple[int, int, str, str]:
    """Line and column (from 1) of *error*, what it means, and a cure."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return 1, 1, str(error.problem), ""
    begun = error.context_mark or mark
    for noun, (opener, closer) in CLOSERS.items():
        if noun in (error.context or "") and "expected ','" in (error.problem or ""):
            cure = f"a ',' or {closer!r} is missing before line {mark.line + 1}, column {mark.column + 1}"
            return *_place(begun), f"this {opener!r} is not closed", cure
    if "unexpected end of stream" in (error.problem or "") and "quoted" in (error.context or ""):
        return *_place(begun), "this quote is not closed", "the text runs to the end of the file"
    if "could not find expected ':'" in (error.problem or ""):
        mark = begun
    if "cannot start any token" in (error.problem or ""):
        return _bad_start(mark, lines)
    for part, (what, cure) in MEANINGS.items():
        if part in (error.problem or ""):
            return *_place(mark), what, cure
    return *_place(mark), f"not YAML: {error.problem}", str(error.context or "")


def _place(mark: Mark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _bad_start(mark: Mark, lines: tuple[str, ...]) -> tuple[int, int, str, str]:
    """The mark stands at the beginning of the blanks before the character, or at the character."""
    line = lines[mark.line] if mark.line < len(lines) else ""
    rest = line[mark.column :]
    if rest.startswith("\t") or "\t" in rest[: len(rest) - len(rest.lstrip())]:
        return *_place(mark), "a tab cannot indent", "YAML is indented with spaces"
    character = rest[:1]
    return *_place(mark), f"text that begins with {character!r} needs quotes", f"write '{rest.split(' #')[0].strip()[:40]}' in quotes"
