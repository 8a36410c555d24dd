"""The daemon's event log: one line a record, to a file or another target, and the latest kept in memory.

Guarantees: a record is one write of one line; a log that cannot be written stops nothing and is remembered in
`trouble`, with the records kept in memory all the same; a record that a full disk cut short does not take the next one
into its line; the file is not followed through a link in a directory that others can write. A file that has reached
its limit becomes `name.1`, and a new one with the same owner and mode takes its place; where that cannot be done it
grows on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Protocol, TypeAlias

from tm.core.records import Level, Record
from tm.core.trust import others_can_write

KEPT = 2000
_DATE = len("2026-01-31T12:00:00")

OpenNext: TypeAlias = Callable[[str, int], int]
"""From a path and its open file to the file that takes its place, as `tm.edge.files.open_next` does. Raises OSError."""


def stamp() -> str:
    """The time as every log has it: ISO 8601 with milliseconds and the local offset."""
    ms = time.time_ns() // 1_000_000
    date, offset = _second(ms // 1000)
    return f"{date}.{ms % 1000:03}{offset}"


@lru_cache(maxsize=1)
def _second(second: int) -> tuple[str, str]:
    """What the stamps of this second have in common: made once for all of them."""
    text = datetime.fromtimestamp(second).astimezone().isoformat()
    return text[:_DATE], text[_DATE:]


class Target(Protocol):
    """Where records go. Owns its descriptor."""

    @property
    def path(self) -> str | None:
        """Where that is; None for stderr."""

    def write(self, record: Record, as_json: bool, /) -> None:
        """Note it; raises OSError where that cannot be done."""

    def reopen(self) -> None:
        """Open the path anew; raises OSError and goes on with what it has."""

    def fileno(self) -> int:
        """The descriptor, still its own."""

    def close(self) -> None:
        """Give the descriptor back."""


class EventLog:
    """The records. `put`: what takes the lines instead, as soon as there is something that never waits."""

    def __init__(self, target: Target, level: Level, as_json: bool) -> None:
        self._target = target
        self.path = target.path
        self.level = level
        self.as_json = as_json
        self.records: deque[Record] = deque(maxlen=KEPT)
        self._listeners: list[Callable[[Record], None]] = []
        self.trouble: OSError | None = None
        self.put: Callable[[bytes], None] | None = None

    def write(self, level: Level, who: str, event: str, text: str) -> None:
        """Note that `event` happened to `who`."""
        if level < self.level:
            return
        record = Record(stamp(), level, who, event, text)
        self.records.append(record)
        self._append(record)
        for listener in list(self._listeners):
            listener(record)

    def _append(self, record: Record) -> None:
        if self.put is not None:
            self.put(_line(record, self.as_json))
            return
        try:
            self._target.write(record, self.as_json)
            self.trouble = None
        except OSError as error:
            self.trouble = error

    def listen(self, listener: Callable[[Record], None]) -> Callable[[], None]:
        """Let `listener` hear of each record from now on; call what is returned to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def reopen(self) -> None:
        """As the target's; raises OSError."""
        self._target.reopen()

    def fileno(self) -> int:
        """The descriptor, still the target's."""
        return self._target.fileno()

    def close(self) -> None:
        """Give the descriptor back."""
        self._target.close()


class LogFile:
    """A file, or stderr."""

    def __init__(self, path: str | None, limit_bytes: int = 0, open_next: OpenNext | None = None) -> None:
        """Open it; raises OSError. `path` None: stderr; `limit_bytes`: the size at which a file is complete, 0 for
        never; `open_next`: how it is replaced then.
        """
        self.path = path
        self._torn = False
        self._fd = 2 if path is None else _open(path)
        self._open_next = open_next
        self._room_bytes = 0
        self._limit = self._next_limit = limit_bytes if stat.S_ISREG(os.fstat(self._fd).st_mode) and path else 0

    def write(self, record: Record, as_json: bool) -> None:
        """Append it as one line; raises OSError."""
        line = b"\n" * self._torn + _line(record, as_json)
        size = os.write(self._fd, line)
        cut_short = self._torn = size < len(line)
        self._room_bytes -= size
        if self._limit and self._room_bytes <= 0:
            self._look()
        if cut_short:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _look(self) -> None:
        """Whether it is complete; not before we have written what it had room for, the last time. Raises OSError."""
        if os.fstat(self._fd).st_size >= self._next_limit:
            self._rotate()
        self._room_bytes = self._next_limit - os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        """Begin the next file; where that fails go on in this one as long again. Raises OSError."""
        self._next_limit += self._limit
        if self.path is not None and self._open_next is not None:
            fd = self._open_next(self.path, self._fd)
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
            self._go_on_in(fd)

    def reopen(self) -> None:
        """Open the path anew; raises OSError and goes on with the old file."""
        if self.path is not None:
            self._go_on_in(_open(self.path))

    def _go_on_in(self, fd: int) -> None:
        os.close(self._fd)
        self._fd = fd
        self._torn = False
        self._next_limit = self._limit
        self._room_bytes = 0

    def fileno(self) -> int:
        """The descriptor it writes to, still its own."""
        return self._fd

    def close(self) -> None:
        """Give the descriptor back; stderr is not ours."""
        if self.path is not None:
            os.close(self._fd)


def _line(record: Record, as_json: bool) -> bytes:
    text = record.as_json() if as_json else record.as_text()
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _open(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    with suppress(OSError):
        if others_can_write(os.stat(os.path.dirname(path) or "."), os.geteuid(), os.getegid()):
            flags |= os.O_NOFOLLOW
    return os.open(path, flags, 0o640)
