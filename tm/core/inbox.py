"""Bytes as they come from a stranger, cut into lines that are bounded.

Guarantees: every line comes out whole and in order; one of more than LINE_BYTES is told as such, once, as soon as that
is known, and skipped to its end; no more than that and what was put in at once is kept; a line costs time in proportion
to its length, however it arrives.
"""

from __future__ import annotations

from tm.core.ports import LINE_BYTES


class Inbox:
    """Bytes become lines of at most `LINE_BYTES`."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._looked = 0
        self._skipping = False
        self._end: int | None = None
        self._too_long = False

    @property
    def ready(self) -> bool:
        """Whether there is something to take."""
        return self._too_long or self._end is not None

    def put(self, data: bytes) -> None:
        """More has come. Only while nothing is ready."""
        self._data += data
        self._look()

    def take(self) -> bytes | None:
        """The next line; None in the place of one that is too long."""
        if self._too_long:
            self._too_long = False
            self._look()
            return None
        assert self._end is not None
        line = bytes(self._data[: self._end])
        del self._data[: self._end + 1]
        self._look()
        return line

    def _look(self) -> None:
        """Find the end of the next line; drop what belongs to one that is too long."""
        self._end = None
        if self._skipping and not self._skip():
            return
        end = self._data.find(b"\n", self._looked)
        self._looked = 0 if end >= 0 else len(self._data)
        if (end if end >= 0 else len(self._data)) > LINE_BYTES:
            self._too_long = self._skipping = True
        elif end >= 0:
            self._end = end

    def _skip(self) -> bool:
        """Whether the line's end has been reached."""
        end = self._data.find(b"\n")
        del self._data[: end + 1 if end >= 0 else len(self._data)]
        self._looked = 0
        self._skipping = end < 0
        return end >= 0
