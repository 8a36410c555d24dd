"""Looking for lines in a log of any size, from its end: in blocks, each a bounded piece of work.

Guarantees: memory is bounded by the room that is given and a block, whatever the size of the log and the length of its
lines; the lines of a span of time are found by bisection. Places in a log are distances in bytes from its end, which is
that of the moment when it was opened.
Leaves to others: the bytes (`edge.logfile`), and when the next block is read (`daemon.searching`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Final, Protocol

from tm.core.log_query import Sieve
from tm.core.log_times import time_of

BLOCK_BYTES: Final = 64 * 1024
_FIRST_BYTES: Final = 8 * 1024
"""The first block is small, since most want ten lines; each further one is twice as large, up to BLOCK_BYTES."""
FOUND_BYTES: Final = 1024 * 1024
"""What there is room for at most, and how long an unfinished line may become before it is taken for two."""
_LINE_BYTES: Final = 10
"""What a line takes at least: a megabyte of line ends is too much for an answer as well."""


class Readable(Protocol):
    """A log."""

    def read(self, far: int, near: int) -> bytes:
        """The bytes between two distances from the end; fewer, at the front, where it is shorter. Raises OSError."""


class Held:
    """A log in memory. `data`: what is held; `taken`: how many bytes it has taken, with those that are held no more."""

    def __init__(self, data: bytes, taken: int = 0) -> None:
        self.data = data
        self._taken = taken

    @property
    def mark(self) -> str:
        """Where it ends, in words that `behind` understands."""
        return str(self._taken)

    def behind(self, mark: str) -> int:
        """How many bytes stand behind a mark, as far as they are held."""
        return min(len(self.data), self._taken - int(mark or "0"))

    def close(self) -> None:
        """There is nothing to give back."""

    def read(self, far: int, near: int) -> bytes:
        """As a Readable's."""
        size = len(self.data)
        return self.data[max(0, size - far) : max(0, size - near)]


class Search:
    """The last lines of a log, `count` at most, that the sieve lets through; between two distances from its end, both
    of them beginnings of lines.

    `found`: the lines, oldest first, without their ends; `room`: how many bytes more may be found; `cut_short`: there
    may be more, but there was no room for them; `ends_open`: the last of them has no end yet.
    """

    def __init__(self, log: Readable, count: int | None, sieve: Sieve | None = None, room: int = FOUND_BYTES) -> None:
        self._log = log
        self._count = count
        self._sieve = sieve
        self._at = 0
        self._far: int | None = None
        self._head = b""
        self.room = room
        self._block = _FIRST_BYTES
        self._untouched = True
        self.found: deque[bytes] = deque()
        self.cut_short = self.ends_open = False

    def between(self, far: int | None, near: int) -> None:
        """Look only there; `far` None: as far back as it goes."""
        self._far, self._at = far, near

    def step(self) -> bool:
        """Look through one more block; False when that was the last. Raises OSError."""
        far = self._at + self._block
        self._block = min(2 * self._block, BLOCK_BYTES)
        if self._far is not None:
            far = min(far, self._far)
        block = self._log.read(far, self._at)
        more = bool(block) and len(block) == far - self._at and far != self._far
        self._at += len(block)
        text = block + self._head
        cut = text.find(b"\n") + 1 if more else 0
        if more and not cut and len(text) < FOUND_BYTES:
            self._head = text
            return True
        self._head = text[:cut]
        return self._take(text[cut:]) and more

    def _take(self, text: bytes) -> bool:
        """Take in what there is in whole lines; whether there is room for more."""
        if not text:
            return True
        unfinished = self._untouched and not text.endswith(b"\n")
        self._untouched = False
        if self._sieve is not None and not self._sieve.may_pass(text):
            return True
        lines = text.removesuffix(b"\n").split(b"\n")
        for line in reversed(lines):
            if self._sieve is None or self._sieve.passes(line):
                self.ends_open = self.ends_open or (unfinished and line is lines[-1])
                if not self._add(line):
                    return False
        return True

    def _add(self, line: bytes) -> bool:
        """Take in one line before the others; whether there is room for more."""
        if self.room <= len(line):
            self.cut_short = True
            if self.room and not self.found:
                self.found.append(line[len(line) - self.room :])
                self.room = 0
            return False
        self.room -= min(self.room, max(len(line) + 1, _LINE_BYTES))
        self.found.appendleft(line)
        return len(self.found) != self._count


def has_times(log: Readable) -> bool:
    """Whether one of its last lines has a time; an empty log counts. Raises OSError."""
    end = log.read(BLOCK_BYTES, 0)
    return not end or any(time_of(line) is not None for line in end.split(b"\n"))


def distance(log: Readable, when: float, beyond: bool = False, block: int = BLOCK_BYTES) -> Generator[None, None, int]:
    """How far from the end the first line begins whose time is not before `when`, or with `beyond`, is after it; 0:
    there is none. Where times go backwards one of several places. Yields between pieces of work, of `block` bytes.
    Raises OSError.
    """
    near, far = 0, block
    while _is_before(log, far, block, when, beyond) is False:
        near, far = far, far * 2
        yield
    while far - near > block:
        middle = (far + near) // 2
        if _is_before(log, middle, block, when, beyond) is False:
            near = middle
        else:
            far = middle
        yield
    return (yield from _scan(log, far, block, when, beyond))


def _is_before(log: Readable, far: int, block: int, when: float, beyond: bool) -> bool | None:
    """Whether the first line with a time behind this distance is before `when`, False also where none has one; None:
    the log is not so long.
    """
    text = log.read(far, far - block)
    if len(text) < block:
        return None
    times = (time_of(line) for line in text.split(b"\n")[1:])
    first = next((time for time in times if time is not None), None)
    return first is not None and not _counts(first, when, beyond)


def _scan(log: Readable, far: int, block: int, when: float, beyond: bool) -> Generator[None, None, int]:
    """The first line that counts at this distance or behind it."""
    in_line = log.read(far + 1, far) not in (b"", b"\n")
    head = b""
    while far > 0:
        size = min(block, far)
        text = head + log.read(far, far - size)
        far -= size
        end = text.rfind(b"\n") + 1 if far else len(text)
        at = 0
        for line in text[:end].split(b"\n"):
            time = None if in_line else time_of(line)
            if time is not None and _counts(time, when, beyond):
                return far + len(text) - at
            in_line = False
            at += len(line) + 1
        head = text[end:] if len(text) - end < FOUND_BYTES else b""
        yield
    return 0


def _counts(time: float, when: float, beyond: bool) -> bool:
    return time > when if beyond else time >= when
