"""Which lines of a log somebody wants: so many of the last, of a span of time, with something in them.

Guarantees: what an operator typed becomes a Query or a sentence for him; whether a line holds what is looked for does
not depend on how the log was cut into blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tm.core.commands import Command, UsageError
from tm.core.lines import decoded, without_colours
from tm.core.log_times import TIME_FORMS, moment
from tm.core.verbs import DEFAULT_LINES

_SPECIAL: Final = re.compile(r"[\\^$.|?*+(){}\[\]]")
_SEES_BEYOND: Final = re.compile(r"\(\?|\[\^|\\(?![dwSb]|[^\w\s])|[\x00-\x1f]")
"""What can match a line end, or tell the end of a line from that of a text. A block cannot be judged as a whole then:
that would be another search, and one that takes long where each line takes none.
"""
PATTERN_MOST: Final = 1000
"""Characters of an expression: to compile one takes the longer the longer it is."""
PART_CHARACTERS: Final = 8192
"""A longer line is searched in parts. The engine looks out for a signal only at every 4,096th place it begins at, and
what it does at each can take as long as the text is.
"""


class Sieve:
    """A regular expression that lines are held against, of PART_CHARACTERS at a time; parts overlap by half."""

    def __init__(self, pattern: str) -> None:
        """Raises UsageError."""
        if len(pattern) > PATTERN_MOST:
            raise UsageError(f"A regular expression of {len(pattern):,} characters: {PATTERN_MOST:,} are the most.")
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
        if self._literal is not None and b"\x1b" not in line:
            return self._literal in line
        text = without_colours(decoded(line))
        half = PART_CHARACTERS // 2
        starts = range(0, max(1, len(text) - half), half)
        return any(self._line.search(text, start, start + PART_CHARACTERS) for start in starts)

    def may_pass(self, block: bytes) -> bool:
        """False when no line of a block can pass; much quicker than to ask for each."""
        if b"\x1b" in block:
            return True
        if self._literal is not None:
            return self._literal in block
        if self._block is None or max(map(len, block.split(b"\n"))) > PART_CHARACTERS:
            return True
        return self._block.search(decoded(block)) is not None


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
    count = default if command.lines is None else command.lines
    return Query(count, since, until, None if pattern is None else Sieve(pattern))


def _moment(command: Command, option: str, now: float) -> float | None:
    word = command.values.get(option)
    if word is None:
        return None
    found = moment(word, now)
    if found is None:
        raise UsageError(f"{option} takes a time, such as {TIME_FORMS}; not '{word[:80]}'.")
    return found
