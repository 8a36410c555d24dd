"""A log on disk, as one: the file and those that were rotated, read from the end.

Guarantees: nothing is created, changed, locked or waited for, and no link is followed; what was rotated is only looked
at when somebody reads so far back; a file that is renamed meanwhile is found under its new number, or, where it is
gone or truncated, ends the log.
"""

from __future__ import annotations

import errno
import os
import stat
from itertools import count
from typing import NamedTuple

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


class Piece(NamedTuple):
    """One file of a log. `near`: how far from the end of the log its own end is."""

    number: int
    identity: tuple[int, int]
    size: int
    near: int


class Log:
    """A log as it is now; what is written later is not seen. Owns a descriptor, until `close`."""

    def __init__(self, path: str) -> None:
        """Raises OSError, ELOOP for a link."""
        self._path = path
        self._pieces: list[Piece] = []
        self._fd, self._open = -1, -1
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self._add(0, found)
        if stat.S_ISREG(found.st_mode):
            self._reach(0)

    @property
    def mark(self) -> str:
        """Where it ends, in words that `behind` understands."""
        last = self._pieces[0]
        return f"{last.identity[0]}:{last.identity[1]}:{last.size}"

    def behind(self, mark: str) -> int | None:
        """How many bytes stand behind a mark; None where the place is gone, or there was none. Raises OSError."""
        for index in count():
            if not self._has(index):
                return None
            piece = self._pieces[index]
            name, _, size = mark.rpartition(":")
            if name == f"{piece.identity[0]}:{piece.identity[1]}" and _is_size(size) and int(size) <= piece.size:
                return piece.near + piece.size - int(size)
        return None

    def read(self, far: int, near: int) -> bytes:
        """The bytes between two distances from the end; fewer, at the front, where it is shorter. Raises OSError."""
        parts: list[bytes] = []
        index = 0
        while near < far and self._has(index):
            piece = self._pieces[index]
            begin = max(0, piece.size - (far - piece.near))
            end = piece.size - (near - piece.near)
            if end > begin:
                part = self._pread(index, begin, end)
                if len(part) < end - begin:  # truncated since: what is left does not adjoin what is behind it
                    break
                parts.append(part)
                near += end - begin
            index += 1
        return b"".join(reversed(parts))

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _has(self, index: int) -> bool:
        """Whether there is a piece of this number, as far as is known by now."""
        if index < len(self._pieces):
            return True
        for number in count(self._pieces[-1].number + 1):
            try:
                found = os.lstat(_numbered(self._path, number))
            except FileNotFoundError:
                return False
            if self._identity(found) != self._pieces[-1].identity:  # else it was rotated since we looked at it
                self._add(number, found)
                return True
        return False

    def _add(self, number: int, found: os.stat_result) -> None:
        size = found.st_size if stat.S_ISREG(found.st_mode) else 0
        near = self._pieces[-1].near + self._pieces[-1].size if self._pieces else 0
        self._pieces.append(Piece(number, self._identity(found), size, near))

    @staticmethod
    def _identity(found: os.stat_result) -> tuple[int, int]:
        return found.st_dev, found.st_ino

    def _pread(self, index: int, begin: int, end: int) -> bytes:
        """Bytes of one piece; none where it is gone. Raises OSError."""
        if not self._reach(index):
            return b""
        return os.pread(self._fd, end - begin, begin)

    def _reach(self, index: int) -> bool:
        """Have this piece open; whether it is still there. Raises OSError."""
        if self._open == index and self._fd >= 0:
            return True
        piece = self._pieces[index]
        for number in count(piece.number):
            try:
                fd = os.open(_numbered(self._path, number), _FLAGS)
            except FileNotFoundError:
                return False
            if self._identity(os.fstat(fd)) == piece.identity:
                self.close()
                self._fd, self._open = fd, index
                return True
            os.close(fd)
        return False


def rotated(path: str) -> list[str]:
    """The files that were complete before it, the newest first."""
    found: list[str] = []
    for number in count(1):
        if not os.path.lexists(each := _numbered(path, number)):
            return found
        found.append(each)
    return found


def _is_size(word: str) -> bool:
    """Whether it can be one at all: a stranger may have made the mark."""
    return word.isdecimal() and len(word) < 20


def _numbered(path: str, number: int) -> str:
    return f"{path}.{number}" if number else path
