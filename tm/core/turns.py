"""Whose turn it is to write, where several write to one log that does not take everything. Pure.

Guarantees: a writer that was cut short goes on before anybody else; then those whose process has ended finish, in the
order of their ends; then those that were told to wait, in the order of their refusals; then everybody.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

_NOT_YET: Final = OSError(errno.EAGAIN, "another writer goes first")


class Turns:
    """The writers of one log that have a claim to be first. `cut_short`: the one that has to finish a line;
    `in_line_of`: whose line the log ends in, None: it ends with a line; `last`: who has written last; `refusal`: why
    the log took nothing, the last time. `on_turn` hears who is about to write; `slot`: where that is noted, if it is.
    """

    __slots__ = ("_last_words", "_waiting", "cut_short", "in_line_of", "last", "on_turn", "refusal", "slot")

    def __init__(self) -> None:
        self.cut_short: object | None = None
        self.in_line_of: object | None = None
        self.last: object | None = None
        self.on_turn: Callable[[Turns, object], None] = _nobody_hears
        self.slot: int | None = None
        self.refusal = _NOT_YET
        self._last_words: list[object] = []
        self._waiting: dict[object, None] = {}

    @property
    def claimed(self) -> bool:
        """Whether somebody has a claim."""
        return bool(self.cut_short or self._last_words or self._waiting)

    def await_turn(self, writer: object) -> None:
        """Raises OSError, the reason of the latest refusal, while it is another writer's turn."""
        first = self.cut_short or next(iter(self._last_words or self._waiting), None)
        if first not in (None, writer):
            raise OSError(self.refusal.errno or errno.EAGAIN, self.refusal.strerror)

    def begin(self, writer: object) -> None:
        """It is about to write."""
        self.last = writer
        self.on_turn(self, writer)

    def place(self, writer: object) -> int:
        """When it is its turn, among those that wait: the least is first, equals in the order of their refusals."""
        if writer is self.cut_short:
            return -1
        return self._last_words.index(writer) if writer in self._last_words else len(self._last_words)

    def wait(self, writer: object, refusal: OSError) -> None:
        """It was refused: it keeps its place in the row until it has had its turn."""
        self.refusal = refusal
        self._waiting.setdefault(writer)

    def waits(self, writer: object) -> bool:
        """Whether it has been refused, and has not had its turn yet."""
        return writer in self._waiting

    def had(self, writer: object) -> None:
        """It has had its turn."""
        self._waiting.pop(writer, None)

    def let_finish(self, writer: object) -> None:
        """Its process has ended and something of its last words was refused: it goes before others."""
        self._last_words.append(writer)

    def has_finished(self, writer: object) -> None:
        """Its last words are written."""
        if writer in self._last_words:
            self._last_words.remove(writer)

    def leave(self, writer: object) -> None:
        """It will not come back."""
        self.has_finished(writer)
        self.had(writer)
        if self.cut_short is writer:
            self.cut_short = None


def _nobody_hears(_turns: Turns, _writer: object) -> None:
    """Nobody wants to know."""
