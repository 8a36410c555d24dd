"""Output of the children: a pipe each, emptied into a sink by bounded transfers.

Guarantees: every byte is written once and in order; into a shared sink only whole lines go, and a line left unfinished
at the end gets its line end; a sink that refuses makes the writer wait in its full pipe and loses nothing; the end of a
process is never taken for the end of its output nor the other way round, since a descendant may hold the pipe.

The child's end is opened for reading too (through /proc/self/fd): with a reader left in the child itself, a writer
whose supervisor died waits in a full pipe instead of being killed by SIGPIPE. It still ends with its last writer.

One transfer per turn of the loop: a quiet stream beside floods then waits for one transfer each, not for their end.
Draining until EAGAIN is for one moment only, when the process has ended and its last words are wanted (`drain`), and
even then bounded by what a pipe can hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from tm.core.lines import cut

TRANSFER_BYTES = 64 * 1024
_DRAIN_TRANSFERS = 17
"""What a pipe of 1 MiB, the most that an unprivileged child can make of it, can hold, and the rest of a line."""


class Sink(Protocol):
    """A target of output. `shared`: more than one stream writes to it, so that only whole lines may be written."""

    @property
    def shared(self) -> bool: ...

    def write(self, data: bytes, writer: object, /) -> int:
        """Take some of `data` and say how many bytes; raises OSError when it can take none now."""
        ...


def pipe() -> tuple[int, int]:
    """A pipe: the daemon's end, which never blocks, and the child's. Both are the caller's. Raises OSError."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(ours, False)
    try:
        both_ways = os.open(f"/proc/self/fd/{theirs}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return ours, theirs
    os.close(theirs)
    return ours, both_ways


class Stream:
    """The daemon's end of one pipe. Owns its descriptor.

    `trouble`: why the sink took nothing, the last time; None when all is well. `ended`: no writer is left.
    `closed`: the descriptor was given back.
    """

    def __init__(self, fd: int, sink: Sink) -> None:
        self.fd = fd
        self.sink = sink
        self.ended = False
        self.closed = False
        self.trouble: OSError | None = None
        self._carried = b""
        self._owed = b""
        self._process_gone = False

    def transfer(self) -> bytes:
        """Move what one read gives; what was read, b'' when nothing could be moved."""
        if not self.settle():
            return b""
        try:
            data = os.read(self.fd, TRANSFER_BYTES)
        except BlockingIOError:
            self._settle_line()
            return b""
        if not data:
            self.ended = True
            self._finish_line()
        elif self.sink.shared:
            whole, self._carried = cut(self._carried + data)
            self._put(whole)
        else:
            whole, self._carried = self._carried + data, b""
            self._put(whole)
        return data

    def drain(self) -> Iterator[bytes]:
        """Move all that is in the pipe now, the last words of a process that has ended; what was read, bit by bit."""
        for _ in range(_DRAIN_TRANSFERS):
            data = self.transfer()
            if not data:
                return
            yield data

    def settle(self) -> bool:
        """Try again what the sink refused; whether nothing is owed any more."""
        if self._owed:
            self._put(b"")
        return not self._owed

    def process_ended(self) -> None:
        """Its process is gone: a line left unfinished in a shared file ends behind what is in the pipe now."""
        self._process_gone = True
        if not self._owed:
            self._settle_line()

    def close(self) -> None:
        """Give the descriptor back."""
        self.closed = True
        os.close(self.fd)

    def _settle_line(self) -> None:
        """The pipe is empty."""
        if self._process_gone:
            self._process_gone = False
            self._finish_line()

    def _finish_line(self) -> None:
        if self._carried:
            line, self._carried = self._carried + b"\n", b""
            self._put(line)

    def _put(self, data: bytes) -> None:
        self._owed += data
        self.trouble = None
        try:
            while self._owed:
                size = self.sink.write(self._owed, self)
                self._owed = self._owed[size:]
        except OSError as error:
            self.trouble = error
