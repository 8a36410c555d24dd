"""Text as the language of manual pages, mdoc(7).

Guarantees: no text can become a request of the formatter, whatever it holds; each sentence begins a line, as mdoc
wants it; words in `backquotes` come out literal.
"""

from __future__ import annotations

import re
import textwrap
from typing import Final

_WIDTH: Final = 76
_ESCAPES: Final = {"\\": r"\e", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}

_CALLED: Final = re.compile(r"%?[A-Z][a-z0-9]{1,2}$|[][(|.,:;)?!]$")
"""Words that are macros or marks to mdoc when they stand alone among the arguments of a macro."""


def sentence(text: str) -> str:
    """`text` with a capital at its beginning, unless that is quoted, and a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def prose(text: str) -> list[str]:
    """Lines of mdoc for plain text."""
    lines: list[str] = []
    pieces = text.split("`")
    for index, piece in enumerate(pieces):
        if index % 2:
            lines.append(f".Ql {arguments(piece)}")
            continue
        closing = re.match(r"[.,;:)]+", piece) if index else None
        if closing:
            lines[-1] += "".join(f" {mark}" for mark in closing.group())
        lines += _wrapped(piece[closing.end() :] if closing else piece)
    return lines


def item(head: str, *texts: str) -> list[str]:
    """An entry of a tagged list: `head` is mdoc, each of `texts` becomes a sentence."""
    return [f".It {head}", *(line for text in texts for line in prose(sentence(text)))]


def arguments(text: str) -> str:
    """The words of `text` as arguments of a macro: none of them calls another macro or closes this one."""
    return " ".join(rf"\&{escaped(word)}" if _CALLED.match(word) else escaped(word) for word in text.split())


def escaped(text: str) -> str:
    """`text` in which every character means itself."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def _wrapped(text: str) -> list[str]:
    sentences = re.split(r"(?<=[.?!]) +", text.strip())
    return [
        _line(line)
        for each in sentences
        for line in textwrap.wrap(each, _WIDTH, break_long_words=False, break_on_hyphens=False)
    ]


def _line(line: str) -> str:
    return rf"\&{escaped(line)}" if line.startswith(".") else escaped(line)
