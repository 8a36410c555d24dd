"""Which lines of a log somebody wants: so many of the last, of a span of time, with something in them.

Guarantees: what an operator typed becomes a Query or a sentence for him; whether a line holds what is looked for does
not depend on how the log was cut into blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tm.core.commands import Command, UsageError
from tm.core.lines import decoded
from tm.core.log_times import TIME_FORMS, moment
from tm.core.verbs import DEFAULT_LINES

_SPECIAL: Final = re.compile(r"[\\^$.|?*+(){}\[\]]")
_SEES_BEYOND: Final = re.compile(r"\(\?|\\[AZ]")
"""What can tell the end of a line from the end of a text, so that a block cannot be judged as a whole."""


class Sieve:
    """A regular expression that lines are held against."""

    def __init__(self, pattern: str) -> None:
        """Raises UsageError."""
        try:
            self._line = re.compile(pattern)
            self._block = None if _SEES_BEYOND.search(pattern) else re.compile(pattern, re.MULTILINE)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"{pattern[:80]!r} is not a regular expression: {error}.") from None
        self._literal = None if _SPECIAL.search(pattern) else pattern.encode("utf-8", "surrogateescape")

    @property
    def takes_long(self) -> bool:
        """Whether it may take for ever on a line that is made for it."""
        return self._literal is None

    def passes(self, line: bytes) -> bool:
        """Whether it is found in the line."""
        if self._literal is not None:
            return self._literal in line
        return self._line.search(decoded(line)) is not None

    def may_pass(self, block: bytes) -> bool:
        """False when no line of a block can pass; much quicker than to ask for each."""
        if self._literal is not None:
            return self._literal in block
        return self._block is None or self._block.search(decoded(block)) is not None


@dataclass(frozen=True, slots=True)
class Query:
    """`count`: how many lines of each log at most, the last of them; None: all. `since`, `until`: instants."""

    count: int | None = DEFAULT_LINES
    since: float | None = None
    until: float | None = None
    sieve: Sieve | None = None

    @property
    def needs_times(self) -> bool:
        """Whether only a log whose lines have times can answer it."""
        return self.since is not None or self.until is not None


def query(command: Command, now: float) -> Query:
    """What a `logs` command asks for. Raises UsageError."""
    since, until = (_moment(command, option, now) for option in ("--since", "--until"))
    if since is not None and until is not None and since > until:
        raise UsageError("--since is later than --until: no line can be both.")
    default = DEFAULT_LINES if since is None else None
    pattern = command.values.get("--grep")
    return Query(command.lines or default, since, until, None if pattern is None else Sieve(pattern))


def _moment(command: Command, option: str, now: float) -> float | None:
    word = command.values.get(option)
    if word is None:
        return None
    found = moment(word, now)
    if found is None:
        raise UsageError(f"{option} takes a time, such as {TIME_FORMS}; not '{word[:80]}'.")
    return found
