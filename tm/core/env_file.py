"""Files of `NAME=value` lines: what a line means.

Guarantees: a line is understood as a POSIX shell would where it can be: `export`, comments, single and double quotes;
nothing is expanded; what is wrong is told by line and column, and without any value.
Leaves to others: reading the file, and which task it is for (`core.settle`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tm.core.source import LINE_BREAK

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)=(?P<rest>.*)", re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_AFTER = re.compile(r"\s*(?:#.*)?", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "$": "$", "`": "`"}


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that means nothing. Line and column count from 1; `why` is a sentence."""

    line: int
    column: int
    why: str


@dataclass(frozen=True, slots=True)
class Variables:
    """What a file says: the last of equal names holds."""

    pairs: tuple[tuple[str, str], ...] = ()
    bad: tuple[BadLine, ...] = ()


def parse(text: str) -> Variables:
    """The variables of a file, and what is wrong with it."""
    pairs: list[tuple[str, str]] = []
    bad: list[BadLine] = []
    for number, line in enumerate(LINE_BREAK.split(text.removeprefix("\ufeff")), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        outcome = _line(number, line)
        if isinstance(outcome, BadLine):
            bad.append(outcome)
        else:
            pairs.append(outcome)
    return Variables(tuple(pairs), tuple(bad))


def _line(number: int, line: str) -> tuple[str, str] | BadLine:
    found = _LINE.fullmatch(line)
    if not found:
        return BadLine(number, len(line) - len(line.lstrip()) + 1, "this line is not 'NAME=value'")
    start = found.start("rest")
    if "\0" in line:
        return BadLine(number, start + 1, f"the value of '{found['name']}' holds a NUL")
    value, end = _value(line, start)
    if end < 0:
        return BadLine(number, start + 1, f"the quote around the value of '{found['name']}' is not closed on its line")
    if not _AFTER.fullmatch(line, end):
        return BadLine(number, end + 1, f"something follows the quoted value of '{found['name']}'")
    return found["name"], value


def _value(line: str, start: int) -> tuple[str, int]:
    """The value that begins at `start`, and where it ends; -1 when its quote is not closed."""
    if line.startswith("'", start):
        quoted = _SINGLE.match(line, start)
        return (quoted[1], quoted.end()) if quoted else ("", -1)
    if line.startswith('"', start):
        quoted = _DOUBLE.match(line, start)
        return (_ESCAPE.sub(_unescape, quoted[1]), quoted.end()) if quoted else ("", -1)
    return line[start:].split(" #")[0].split("\t#")[0].strip(), len(line)


def _unescape(escape: re.Match[str]) -> str:
    return _ESCAPES.get(escape[1], escape[0])
