"""Standard output for a program that must not wait: what the reader does not take is kept, within bounds.

Guarantees: `put` neither blocks nor raises. The order of bytes is kept. At most `limit_bytes` wait for a
reader that is slow or stopped (Ctrl-S); beyond that the oldest whole lines go, and their number is told in
their place. A reader that is gone (EPIPE, a hang-up) is no error: from then on output goes nowhere.

Who started us shares our stdout, often as one open file description: O_NONBLOCK would be set for the user's
shell too. So a terminal or pipe is opened a second time, which gives a description of our own; where that is
refused, stdout itself is polled and given `PIPE_BUF` bytes at most, which a pipe that polls as writable
takes at once. (A terminal promises less: it may poll as writable with room for a byte. That is why the
second opening comes first.) A regular file is always written directly: a second opening would begin at its
start.

A write is of whole lines, where they are no longer than `PIPE_BUF`: a pipe takes such a one as a whole or not at
all, so that no line is torn by what others write to the same pipe, as with `2>&1`.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from collections.abc import Callable
from contextlib import suppress

from tm.core.ports import Watcher

LIMIT_BYTES = 256 * 1024
LAST_CHANCE_S = 1.0
"""How long `close` waits for a reader that still has something to take."""

_GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ECONNRESET})


class Outlet:
    """Writes to `fd` (borrowed, never closed) what is `put`, as fast as its reader takes it."""

    def __init__(self, watcher: Watcher, fd: int = 1, limit_bytes: int = LIMIT_BYTES) -> None:
        self.on_drained: Callable[[], None] = _nothing
        self._watcher = watcher
        self._limit_bytes = limit_bytes
        self._reopened = _reopen(fd)
        self._fd = fd if self._reopened is None else self._reopened
        self._backlog = bytearray()
        self._dropped = 0
        self._in_line = False
        self._gone = False

    @property
    def backlog(self) -> int:
        """How many bytes the reader has not taken yet."""
        return len(self._backlog)

    def put(self, data: bytes) -> None:
        """Write `data` now as far as it goes; the rest follows when the loop says so."""
        if self._gone or not data:
            return
        waiting = bool(self._backlog)
        self._backlog += data
        if not waiting:
            self._push()
        if len(self._backlog) > self._limit_bytes:
            self._drop()
        if self._backlog and not waiting:
            self._await()

    def close(self) -> None:
        """Wait `LAST_CHANCE_S` at most for the rest to be taken; give the second description back."""
        self._watcher.unwatch(self._fd)
        until = time.monotonic() + LAST_CHANCE_S
        while self._backlog and (left_s := until - time.monotonic()) > 0:
            if self._writable(left_s):
                self._push()
        self._backlog.clear()
        self._gone = True
        if self._reopened is not None:
            os.close(self._reopened)
            self._reopened = None

    def _await(self) -> None:
        try:
            self._watcher.watch(self._fd, self._on_writable, write=True)
        except OSError:
            self._lose(gone=True)

    def _on_writable(self) -> None:
        self._push()
        if not self._backlog:
            self._watcher.unwatch(self._fd)
            self.on_drained()

    def _push(self) -> None:
        """Write until the reader is full, or everything has been taken, or lost."""
        if self._dropped:
            self._backlog[:0] = _notice(self._dropped, self._in_line)
            self._dropped = 0
        ours = self._reopened is not None
        while self._backlog and (ours or self._writable(0)):
            size = self._backlog.rfind(b"\n", 0, select.PIPE_BUF) + 1 or select.PIPE_BUF
            try:
                count = os.write(self._fd, self._backlog[:size])
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._lose(gone=error.errno in _GONE)
                return
            if count:
                self._in_line = self._backlog[count - 1] != ord("\n")
                del self._backlog[:count]

    def _drop(self) -> None:
        """Forget the oldest lines, until the rest is within bounds; a line beyond them loses its head."""
        excess = len(self._backlog) - self._limit_bytes
        end = self._backlog.find(b"\n", excess) + 1 or excess
        self._dropped += self._backlog.count(b"\n", 0, end) or 1
        del self._backlog[:end]

    def _lose(self, gone: bool) -> None:
        self._gone = self._gone or gone
        self._backlog.clear()

    def _writable(self, timeout_s: float) -> bool:
        """Whether a write would get somewhere; an error counts, since the write tells which."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(timeout_s * 1000))


def _reopen(fd: int) -> int | None:
    """A description of our own, not blocking, for the terminal or pipe behind `fd`; None: there is none."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        return None
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with suppress(OSError):
        return os.open(f"/proc/self/fd/{fd}", flags)
    with suppress(OSError):
        return os.open(os.ttyname(fd), flags)
    return None


def _notice(lines: int, in_line: bool) -> bytes:
    counted = "1 line" if lines == 1 else f"{lines:,} lines"
    return f"{chr(10) if in_line else ''}[{counted} of output dropped: nobody read on]\n".encode()


def _nothing() -> None:
    """Nobody wants to know."""
