"""A tail in memory as a target of output: for a stream that has no file.

Guarantees: it takes everything, at once, and keeps the end of it (`core.tail`).
"""

from __future__ import annotations

from tm.core.flow import Found, Pipe, Taken, nothing
from tm.core.tail import Tail


class MemorySink:
    """A tail in memory; takes everything."""

    shared = False

    def __init__(self, tail: Tail) -> None:
        self.tail = tail

    def take(self, pipe: Pipe, _writer: object, _wanted: bool, _ending: bool) -> Taken:
        """Remember the end of it."""
        data = pipe.read()
        if not data:
            return nothing(data)
        self.tail.append(data)
        return Taken(Found.SOME, len(data), data)

    def end_line(self, _writer: object) -> None:
        """A tail holds what was said, no more."""

    def give_up(self, _pipe: Pipe, _writer: object) -> int:
        """A tail takes everything."""
        return 0
