"""The daemon's event log: one line a record, to a file or a descriptor, and the latest kept in memory.

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
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeAlias

from tm.core.records import Level, Record
from tm.core.trust import others_can_write

KEPT = 2000

OpenNext: TypeAlias = Callable[[str, int], int]
"""From a path and its open file to the file that takes its place, as `tm.edge.files.open_next` does. Raises OSError."""


def stamp() -> str:
    """The time as every log has it: ISO 8601 with milliseconds and the local offset."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


class EventLog:
    """Where records go. `path` None: to stderr, through `put` as soon as there is something that never waits."""

    def __init__(
        self, path: str | None, level: Level, as_json: bool, limit_bytes: int = 0, open_next: OpenNext | None = None
    ) -> None:
        """Open it; raises OSError. `limit_bytes`: the size at which a file is complete, 0 for never; `open_next`:
        how it is replaced then.
        """
        self.path = path
        self.level = level
        self.as_json = as_json
        self.records: deque[Record] = deque(maxlen=KEPT)
        self._listeners: list[Callable[[Record], None]] = []
        self.trouble: OSError | None = None
        self.put: Callable[[bytes], None] | None = None
        self._torn = False
        self._fd = 2 if path is None else _open(path)
        self._open_next = open_next
        self._limit = self._next_limit = limit_bytes if stat.S_ISREG(os.fstat(self._fd).st_mode) and path else 0

    def write(self, level: Level, who: str, event: str, text: str) -> None:
        """Note that `event` happened to `who`."""
        if level < self.level:
            return
        record = Record(stamp(), level, who, event, text)
        self.records.append(record)
        self._append(record.as_json() if self.as_json else record.as_text())
        for listener in list(self._listeners):
            listener(record)

    def _append(self, text: str) -> None:
        if self.put is not None:
            self.put(text.encode("utf-8", "backslashreplace") + b"\n")
            return
        line = b"\n" * self._torn + text.encode("utf-8", "backslashreplace") + b"\n"
        try:
            size = os.write(self._fd, line)
            self.trouble = None if size == len(line) else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._torn = size < len(line)
            if self._limit and os.fstat(self._fd).st_size >= self._next_limit:
                self._rotate()
        except OSError as error:
            self.trouble = error

    def _rotate(self) -> None:
        """Begin the next file; where that fails go on in this one as long again. Raises OSError."""
        self._next_limit += self._limit
        if self.path is not None and self._open_next is not None:
            fd = self._open_next(self.path, self._fd)
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
            self._go_on_in(fd)

    def listen(self, listener: Callable[[Record], None]) -> Callable[[], None]:
        """Let `listener` hear of each record from now on; call what is returned to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def reopen(self) -> None:
        """Open the path anew; raises OSError and goes on with the old file."""
        if self.path is not None:
            self._go_on_in(_open(self.path))

    def _go_on_in(self, fd: int) -> None:
        os.close(self._fd)
        self._fd = fd
        self._torn = False
        self._next_limit = self._limit

    def fileno(self) -> int:
        """The descriptor it writes to, still its own."""
        return self._fd

    def close(self) -> None:
        """Give the descriptor back; stderr is not ours."""
        if self.path is not None:
            os.close(self._fd)


def _open(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    with suppress(OSError):
        if others_can_write(os.stat(os.path.dirname(path) or "."), os.geteuid(), os.getegid()):
            flags |= os.O_NOFOLLOW
    return os.open(path, flags, 0o640)
