"""What the YAML parsers complain of, in words that say what to do.

Guarantees: both parsers, libyaml and the one in Python, are understood; a complaint that is not in the table is passed
on without what it quotes of the file, which may be secret; the place is where the mistake is, not where it was noticed.
Leaves to others: the problem's file and quoted line (`core.document`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import yaml

_QUOTE: Final = ("yaml-quote", "the quote that opens here is not closed", "")
_BRACKET: Final = (
    "yaml-bracket",
    "the bracket that opens here is not closed, or a comma is missing",
    "a text that begins with '[' or '{' needs quotes",
)
_INDENTATION: Final = (
    "yaml-indentation",
    "this does not line up with what it belongs to",
    "the keys of one mapping begin in one column; a quoted text ends with its quote",
)
_COLON: Final = (
    "yaml-colon",
    "a ': ' cannot stand here",
    "a text with ': ' in it needs quotes, and a key begins on a line of its own",
)
_KEY: Final = ("yaml-key", "this is no 'key: value'", "write ': ' after the key")
_VALUE: Final = (
    "yaml-value",
    "a value is missing here",
    "a bracket may not be closed; a text that begins with ']', '}' or ',' needs quotes",
)
_DASH: Final = ("yaml-dash", "a list item cannot begin here", "'- ' begins on a line of its own")
_START: Final = ("yaml-start", "a text cannot begin with this character", "put it in quotes")
_TAB: Final = ("tab", "a tab cannot indent", "use spaces")
_ESCAPE: Final = (
    "yaml-escape",
    "this escape does not exist in a text with double quotes",
    "use single quotes, or '\\\\'",
)
TOO_DEEP: Final = ("too-deep", "values are nested deeper than anyone reads", "")

# (what the complaint and its context hold, what to say, whether the mistake is where the context began)
_TABLE: Final[tuple[tuple[str, tuple[str, str, str], bool], ...]] = (
    ("quoted scalar unexpected end", _QUOTE, True),
    ("quoted scalar unexpected document", _QUOTE, True),
    ("flow expected ',' or", _BRACKET, True),
    ("flow unexpected end", _BRACKET, True),
    ("expected node content", _VALUE, False),
    ("expected the node content", _VALUE, False),
    ("mapping values are not allowed", _COLON, False),
    ("could not find expected ':'", _KEY, True),
    ("expected ':'", _KEY, False),
    ("sequence entries are not allowed", _DASH, False),
    ("cannot start any token", _START, False),
    ("exceeded maximum nesting depth", TOO_DEEP, False),
    ("unknown escape", _ESCAPE, False),
    ("did not find expected hexdecimal", _ESCAPE, False),
    ("escape sequence of", _ESCAPE, False),
    ("invalid Unicode character escape", _ESCAPE, False),
    ("did not find expected key", _INDENTATION, False),
    ("did not find expected '-' indicator", _INDENTATION, False),
    ("expected <block end>", _INDENTATION, False),
    ("expected <document start>", _INDENTATION, False),
    ("expected '<document start>'", _INDENTATION, False),
)


def explain(error: yaml.MarkedYAMLError, line: Callable[[int], str]) -> tuple[yaml.Mark | None, str, str, str]:
    """Where the mistake is, its id, a sentence, and a suggestion or ''. `line` gives a line by its number."""
    mark = error.problem_mark or error.context_mark
    text = f"{_words(error.context)} {error.problem or ''}".replace("did not find expected ',' or", "expected ',' or")
    text = text.replace("found ", "")
    if mark and _is_tab(line(mark.line + 1), mark.column):
        return (mark, *_TAB)
    for sign, said, at_context in _TABLE:
        if sign in text:
            return (error.context_mark or mark if at_context else mark, *said)
    complaint = re.sub(r"'[^']*'", "...", error.problem or "it cannot be read")
    return mark, "yaml-syntax", f"this is not valid YAML: {complaint}", ""


def _words(context: str | None) -> str:
    """The construct that was being read, in one spelling for both parsers."""
    if not context:
        return ""
    return "flow" if " flow " in context else "quoted scalar" if "quoted scalar" in context else ""


def _is_tab(line: str, column: int) -> bool:
    before = line[: column + 1]
    return "\t" in before and not before.strip()
