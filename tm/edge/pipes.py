"""A child's pipe, looked into without being emptied, and emptied only of what has arrived where it belongs.

Guarantees: what `peek` shows stays in the pipe until `drop` or `splice` takes it, so that a daemon that is killed in
between loses no byte; nothing here waits.
Leaves to others: where the bytes go (`edge.sinks`), and when (`edge.streams`).

The child's end is opened for reading too (through /proc/self/fd): with a reader left in the child itself, a writer
whose supervisor died waits in a full pipe instead of being killed by SIGPIPE. It still ends with its last writer.

Looking is tee(2), which shares pages with a second pipe, where they are read. Where a kernel has no tee, what was
looked at is held here: such a daemon may lose it when it is killed.

A pipe that was found full several times on end is widened, since its writer waits for us more than we for it, and a
transfer of four times as much costs little more. Only so many are, for they are memory of the kernel, which counts
them: a user with many gets narrow ones from then on.

Traps: a pipe is full when its slots are, a page each; writes of a little more than half a page fill it when it holds
little more than half of its capacity. Whoever waits for the end of a line would then wait for ever. Hence `line_bytes`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import sys
from contextlib import suppress
from functools import cache
from typing import ClassVar

PEEK_BYTES = 128 * 1024
_WIDE_BYTES = 128 * 1024
_CAPACITY = 64 * 1024
_FLOOD_BYTES = 256 * 1024
_FULL_TIMES = 4
_FLOOD_PIPES = 64
_NONBLOCK = 2


def pipe() -> tuple[int, int]:
    """A pipe: the daemon's end, which never blocks, and the child's. Both are the caller's. Raises OSError."""
    ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        both_ways = os.open(f"/proc/self/fd/{theirs}", os.O_RDWR | os.O_CLOEXEC)  # which blocks, being opened anew
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            os.set_blocking(theirs, True)
            return ours, theirs
        os.close(ours)
        os.close(theirs)
        raise
    os.close(theirs)
    return ours, both_ways


class Pipe:
    """The daemon's end. Owns its descriptor. `line_bytes`: an unfinished line of so many bytes counts as whole."""

    __slots__ = ("_capacity", "_full_times", "_held", "_wide", "fd", "line_bytes")

    _flooded: ClassVar[set[int]] = set()
    """The descriptors of the pipes that were widened because they were full."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.line_bytes = _CAPACITY // 2
        self._held = b""
        self._capacity = _CAPACITY
        self._full_times = 0
        self._wide = False

    def widen(self) -> None:
        """Have room for a line of 64 KiB, where the kernel allows it."""
        if self._wide:
            return
        self._wide = True
        self._grow(_WIDE_BYTES)
        self.line_bytes = min(self._capacity, _WIDE_BYTES) // 2

    def read(self) -> bytes | None:
        """Take what there is; b'' at the end, None when there is nothing now."""
        if self._held:
            data, self._held = self._held, b""
            return data
        try:
            return os.read(self.fd, PEEK_BYTES)
        except BlockingIOError:
            return None

    def peek(self) -> bytes | None:
        """Look at what there is; b'' at the end, None when there is nothing now."""
        glass = _glass()
        return self._hold() if glass is None else glass.look(self.fd)

    def drop(self, count: int) -> None:
        """Take `count` bytes that `peek` has shown. Raises BlockingIOError where the child has read them itself."""
        if self._held:
            self._held = self._held[count:]
            return
        while count > 0 and (data := os.read(self.fd, count)):
            count -= len(data)

    def splice(self, target: int, count: int) -> int | None:
        """Move up to `count` bytes into a file, at its position; 0 at the end, None when there is nothing now. Raises
        OSError where the file takes nothing, EINVAL where it takes nothing in this way.
        """
        try:
            done = os.splice(self.fd, target, count, flags=_NONBLOCK)
        except BlockingIOError:
            return None
        self._full_times = self._full_times + 1 if done > self._capacity * 7 // 8 else 0
        if self._full_times >= _FULL_TIMES and self.fd not in self._flooded and len(self._flooded) < _FLOOD_PIPES:
            self._flooded.add(self.fd)
            self._grow(_FLOOD_BYTES)
        return done

    def hung_up(self) -> bool:
        """Whether the last writer is gone, though there may be something to be read."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    def close(self) -> None:
        """Give the descriptor back."""
        self._flooded.discard(self.fd)
        os.close(self.fd)

    def _grow(self, size: int) -> None:
        """Have so much room at least, where the kernel allows it."""
        with suppress(OSError, AttributeError):
            if fcntl.fcntl(self.fd, fcntl.F_GETPIPE_SZ) < size:
                fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, size)
            self._capacity = fcntl.fcntl(self.fd, fcntl.F_GETPIPE_SZ)

    def _hold(self) -> bytes | None:
        """Without tee: what is shown is taken."""
        try:
            data = os.read(self.fd, max(0, PEEK_BYTES - len(self._held)))
        except BlockingIOError:
            return self._held or None
        self._held += data
        return self._held


class _Glass:
    """The second pipe, empty between two looks."""

    def __init__(self) -> None:
        self._tee = ctypes.CDLL(None, use_errno=True).tee
        self._tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
        self._tee.restype = ctypes.c_ssize_t
        self._out, self._in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        with suppress(OSError):
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, 2 * PEEK_BYTES)

    def look(self, fd: int) -> bytes | None:
        """What is in a pipe; b'' at its end, None when there is nothing now. Raises OSError."""
        while (count := self._tee(fd, self._in, PEEK_BYTES, _NONBLOCK)) < 0:
            number = ctypes.get_errno()
            if number == errno.EINTR:  # a signal, as of a child that has ended; nobody else tries again for ctypes
                continue
            if number == errno.EAGAIN:
                return None
            raise OSError(number, os.strerror(number))
        return os.read(self._out, count) if count else b""


def open_glass() -> None:
    """Open what pipes are looked through now, where descriptors may be short later. Raises OSError."""
    _glass()


def forget() -> None:
    """This process is to be another one: what it has open here is closed, by whoever closes everything."""
    _glass.cache_clear()
    Pipe._flooded.clear()


@cache
def _glass() -> _Glass | None:
    """Made when it is needed first, since on the way into the background every descriptor is closed."""
    return _Glass() if sys.platform.startswith("linux") else None
