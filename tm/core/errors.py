"""What is wrong with a configuration: each problem as a value, and as the text that people read.

Guarantees: a rendered problem names file, line and column, quotes the line with a caret under the token, says what was
expected and the nearest known word, and holds a stable id; it is plain text that cannot move the cursor of a terminal.
Leaves to others: finding the problems, and masking what is secret in the quoted line (`core.source`).
"""

from __future__ import annotations

import heapq
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

_QUOTED_MOST = 60
_LINE_MOST = 110
_BEFORE_CARET = 70
_CUT = "..."
_ALIKE = 0.6
_FINALISTS = 40


def inert(text: str) -> str:
    """`text` with whatever a terminal might obey replaced; a tab stays, and so does the length."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


def quoted(text: str) -> str:
    """`text` in quotes for a sentence: printable, and cut when it is long."""
    shown = text if len(text) <= _QUOTED_MOST else text[:_QUOTED_MOST] + _CUT
    return f"'{inert(shown.replace(chr(9), ' '))}'"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None when none is much like it. Case counts for nothing.

    Of equals the first wins. The cheap bound picks finalists, so that ten thousand names take tens of milliseconds.
    """
    from difflib import SequenceMatcher  # only who mistypes waits for it

    words = list(known)
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(word[:_LINE_MOST].lower())

    def bound(index: int) -> float:
        matcher.set_seq1(words[index][:_LINE_MOST].lower())
        return matcher.quick_ratio() if matcher.real_quick_ratio() >= _ALIKE else 0.0

    def ratio(index: int) -> float:
        matcher.set_seq1(words[index][:_LINE_MOST].lower())
        return matcher.ratio()

    finalists = heapq.nlargest(_FINALISTS, range(len(words)), key=bound)
    best = max(sorted(finalists), key=ratio, default=None)
    return None if best is None or ratio(best) < _ALIKE else words[best]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or '' when nothing known is near."""
    near = nearest(word, known)
    return "" if near is None else f"did you mean {quoted(near)}?"


class Place(NamedTuple):
    """Where something stands in a file. Line and column count from 1, in characters."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{inert(self.path)}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `width`: length of the caret; `source`: the line, masked, or '' when there is none."""

    id: str
    place: Place
    width: int
    source: str
    message: str
    expected: str = ""
    suggestion: str = ""

    def render(self) -> str:
        """The lines that people read, without a final newline."""
        lines = [f"{self.place}: {self.message} [{self.id}]"]
        if self.source:
            lines += self._quotation()
        advice = [f"expected {self.expected}"] if self.expected else []
        advice += [self.suggestion] if self.suggestion else []
        if advice:
            lines.append("  " + "; ".join(advice))
        return "\n".join(lines)

    def _quotation(self) -> tuple[str, str]:
        """The source line and the caret line. A masked line may be shorter than the column: the mask is marked then."""
        before = min(self.place.column, len(self.source)) - 1
        start = max(0, before - _BEFORE_CARET) if len(self.source) > _LINE_MOST else 0
        shown = inert(self.source[start : start + _LINE_MOST])
        width = max(1, min(self.width, len(shown) - (before - start)))
        lead = _CUT if start else ""
        tail = _CUT if start + _LINE_MOST < len(self.source) else ""
        pad = " " * len(lead) + "".join(_blank(c) for c in shown[: before - start])
        carets = "^" + "~" * (sum(len(_blank(c)) for c in shown[before - start :][:width]) - 1)
        return f"{self.place.line:5} | {lead}{shown}{tail}".rstrip(), f"      | {pad}{carets}"


def _blank(character: str) -> str:
    """Blanks as wide as the character, so that the caret stands under its token."""
    if character == "\t" or unicodedata.combining(character):
        return character if character == "\t" else ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


class ConfigError(Exception):
    """A configuration that cannot be used. `problems`: all of them, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        closing = "1 problem" if count == 1 else f"{count} problems"
        return "\n".join([*(problem.render() for problem in self.problems), f"{closing} in the configuration"])


class Unreadable(Exception):
    """A file that cannot be read. `reason` completes "FILE ..."; `hint`: what to do; the place is of a bad byte."""

    def __init__(self, reason: str, hint: str = "", line: int = 1, column: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.line = line
        self.column = column


class Missing(Unreadable):
    """A file that is not there."""

    def __init__(self) -> None:
        super().__init__("does not exist")
