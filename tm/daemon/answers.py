"""What a command comes back with, for whichever face asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from tm.core.lines import plain


class Outcome(IntEnum):
    """How it went; the numbers are exit codes of the client."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_SUCH_TASK = 6


class NoSuchTask(Exception):
    """A word that selects nothing; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`lines` for people, `data` (what JSON can hold) for programs; None where there is nothing but the lines. `note`:
    a word about the answer itself, for people; `marks`: where the logs ended that it shows, by path.
    """

    lines: Sequence[str] = ()
    data: object = None
    outcome: Outcome = Outcome.DONE
    note: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Note and lines as one text without a line end."""
        return "\n".join([*filter(None, [self.note]), *self.lines])


def failed(text: str, outcome: Outcome = Outcome.FAILED) -> Answer:
    """Something went wrong and the operator is told what; words of others that it quotes steer no terminal."""
    return Answer([plain(line) for line in text.split("\n")], {"error": text}, outcome)
