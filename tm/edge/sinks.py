"""Where output goes: a log file, or a tail in memory.

Guarantees: a log is appended to and never truncated, created with mode 0644 less the umask, and not followed through a
link in a directory that others can write; `write` takes what the target takes now and says how much, or raises OSError;
it never blocks on a FIFO or a terminal; a write that was cut short is finished by the same writer before another gets
its turn, so that a full disk tears no line; once a file has had two writers at a time only whole lines go into it, and
a line that the first had begun by then is ended before another's.
Leaves to others: what to do when it takes nothing (`edge.streams`), and who shares what (`daemon.outputs`).
"""

from __future__ import annotations

import errno
import os
import stat

from tm.core.tail import Tail


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
        self._refusal: OSError | None = None
        self._in_line_of: object | None = None
        self._fd = _open(path)

    @property
    def unused(self) -> bool:
        """Whether nobody writes to it."""
        return self._users == 0

    def join(self) -> None:
        """One more writer."""
        self._users += 1
        self.shared = self.shared or self._users > 1

    def write(self, data: bytes, writer: object) -> int:
        """Append; refused, for the same reason, while another writer's line is half written."""
        if self._unfinished is not None and self._unfinished is not writer:
            number = errno.EAGAIN if self._refusal is None else self._refusal.errno or errno.EAGAIN
            raise OSError(number, os.strerror(number))
        try:
            if self._in_line_of not in (None, writer):
                os.write(self._fd, b"\n")
                self._in_line_of = None
            size = os.write(self._fd, data)
        except OSError as error:
            self._refusal = error
            raise
        self._unfinished = writer if size < len(data) else None
        self._in_line_of = None if data[:size].endswith(b"\n") else writer
        return size

    def leave(self, writer: object) -> None:
        """`writer` will not come back."""
        self._users -= 1
        if self._unfinished is writer:
            self._unfinished = None

    def reopen(self) -> None:
        """Open the path anew (it was renamed or removed) and go on there; raises OSError and keeps the old file."""
        fd = _open(self.path)
        os.close(self._fd)
        self._fd = fd
        self._in_line_of = None

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)


def _open(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    if _others_can_write(os.path.dirname(path)):
        flags |= os.O_NOFOLLOW
    return os.open(path, flags, 0o644)


def _others_can_write(directory: str) -> bool:
    try:
        return bool(os.stat(directory).st_mode & stat.S_IWOTH)
    except OSError:
        return False
