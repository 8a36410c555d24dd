"""A log whose lines are given a form on their way: a time, or JSON.

Guarantees: whole lines only; they leave the pipe when all of them are in the file, so that every line arrives at least
once: a daemon that is killed in between writes them again.
Leaves to others: the form (`core.log_policy`) and the file (`edge.sinks`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tm.core.flow import Found, Pipe, Taken, nothing
from tm.core.lines import whole


class Log(Protocol):
    """What is needed of a log file."""

    def append(self, data: bytes, writer: object, /) -> int:
        """Write whole lines, or as much of them as it takes; raises OSError when it takes nothing."""

    def give_up(self, pipe: Pipe, writer: object, /) -> int:
        """As a sink's."""


class Formatted:
    """A sink before a log. `form`: lines as they come into lines as they are kept; may be replaced."""

    shared = True

    def __init__(self, log: Log, form: Callable[[bytes], bytes]) -> None:
        self.log = log
        self.form = form
        self._owed = b""
        self._size = 0

    def take(self, pipe: Pipe, writer: object, wanted: bool, ending: bool) -> Taken:
        """One transfer."""
        said = self._owed
        if not said:
            pipe.widen()
            data = pipe.peek()
            if not data:
                return nothing(data)
            self._size = len(data) if ending else whole(data, pipe.line_bytes)
            if not self._size:
                return Taken(Found.UNFINISHED)
            said = self._owed = self.form(data[: self._size])
        while self._owed:
            self._owed = self._owed[self.log.append(self._owed, writer) :]
        raw = (pipe.peek() or b"")[: self._size] if wanted else b""
        pipe.drop(self._size)
        return Taken(Found.SOME, self._size, said, raw=raw)

    def end_line(self, _writer: object) -> None:
        """Every line has its end."""

    def give_up(self, pipe: Pipe, writer: object) -> int:
        """Lose the lines that are still owed; those before them are in the log, though still in the pipe."""
        owed, self._owed = self._owed.count(b"\n"), b""
        data = (pipe.peek() or b"")[: self._size]
        if not owed or not data:
            return self.log.give_up(pipe, writer)
        count = data.count(b"\n") + (not data.endswith(b"\n"))
        lost = data.split(b"\n", count - owed)[-1]
        pipe.drop(len(data) - len(lost))
        return self.log.give_up(pipe, writer)
