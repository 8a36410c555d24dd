"""Where output goes: a log file, or a tail in memory.

Guarantees: a log is appended to and never truncated, created with mode 0644 less the umask, and not followed through a
link in a directory that others can write; `write` takes what the target takes now and says how much, or raises OSError;
it never blocks on a FIFO or a terminal; a write that was cut short is finished by the same writer before another gets
its turn, so that a full disk tears no line; what a process that has ended still has to say goes first; once a file has
had two writers at a time only whole lines go into it, and a line that the first had begun by then is ended before
another's.
Leaves to others: what to do when it takes nothing (`edge.streams`), and who shares what (`daemon.outputs`).
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from tm.core.tail import Tail
from tm.core.trust import others_can_write


class MemorySink:
    """A tail in memory; takes everything."""

    shared = False

    def __init__(self, tail: Tail) -> None:
        self.tail = tail

    def write(self, data: bytes, _writer: object) -> int:
        """Remember the end of it."""
        self.tail.append(data)
        return len(data)


class LogFile:
    """One log file, however many streams write to it. Owns its descriptor.

    `shared`: only whole lines may be written, because it has, or had, more than one writer at a time.
    """

    def __init__(self, path: str) -> None:
        """Open or create it; raises OSError (ENXIO for a FIFO that nobody reads)."""
        self.path = path
        self.shared = False
        self._users = 0
        self._unfinished: object | None = None
        self._last_words: list[object] = []
        self._refusal: OSError | None = None
        self._in_line_of: object | None = None
        self.fd = _open(path)

    @property
    def unused(self) -> bool:
        """Whether nobody writes to it."""
        return self._users == 0

    @property
    def identity(self) -> tuple[int, int]:
        """The same for every spelling of its path."""
        found = os.fstat(self.fd)
        return found.st_dev, found.st_ino

    def join(self) -> None:
        """One more writer."""
        self._users += 1
        self.shared = self.shared or self._users > 1

    def write(self, data: bytes, writer: object) -> int:
        """Append; refused, for the same reason, while it is another writer's turn."""
        first = self._unfinished or next(iter(self._last_words), None)
        if first not in (None, writer):
            number = errno.EAGAIN if self._refusal is None else self._refusal.errno or errno.EAGAIN
            raise OSError(number, os.strerror(number))
        try:
            if self._in_line_of not in (None, writer):
                os.write(self.fd, b"\n")
                self._in_line_of = None
            size = os.write(self.fd, data)
        except OSError as error:
            self._refusal = error
            raise
        self._unfinished = writer if size < len(data) else None
        self._in_line_of = None if data[:size].endswith(b"\n") else writer
        return size

    def let_finish(self, writer: object) -> None:
        """The process of `writer` has ended and something of its last words was refused: it goes before others."""
        self._last_words.append(writer)

    def has_finished(self, writer: object) -> None:
        """Its last words are written."""
        if writer in self._last_words:
            self._last_words.remove(writer)

    def place(self, writer: object) -> int:
        """When it is the turn of `writer`, among those that wait."""
        if writer is self._unfinished:
            return -1
        return self._last_words.index(writer) if writer in self._last_words else len(self._last_words)

    def leave(self, writer: object) -> None:
        """`writer` will not come back."""
        self._users -= 1
        self.has_finished(writer)
        if self._unfinished is writer:
            self._unfinished = None

    def reopen(self) -> None:
        """Open the path anew (it was renamed or removed) and go on there; raises OSError and keeps the old file."""
        fd = _open(self.path)
        os.close(self.fd)
        self.fd = fd
        self._in_line_of = None

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)


def _open(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    with suppress(OSError):
        if others_can_write(os.stat(os.path.dirname(path) or "."), os.geteuid(), os.getegid()):
            flags |= os.O_NOFOLLOW
    return os.open(path, flags, 0o644)
