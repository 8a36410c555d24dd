"""Output of the children: a pipe each, emptied into a sink by bounded transfers.

Guarantees: every byte is written once and in order; into a shared sink only whole lines go, and a line left unfinished
at the end gets its line end; a sink that refuses makes the writer wait in its full pipe and loses nothing, since what
was not taken stays in the pipe; the end of a process is never taken for the end of its output nor the other way round,
since a descendant may hold the pipe.

One transfer per turn of the loop: a quiet stream beside floods then waits for one transfer each, not for their end.
Draining until the pipe is empty is for one moment only, when the process has ended and its last words are wanted
(`drain`), and even then bounded by what a pipe can hold.

A pipe that holds only an unfinished line is `stalled`: it is readable, but nothing can be done about it until more
comes. Whoever watches it has to watch for changes, not for readability, or would be woken for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tm.core.flow import Found, Log, Pipe, Sink, Taken

_DRAIN_TRANSFERS = 64
"""More than a pipe of 1 MiB, the most that an unprivileged child can make of it, can hold, and the rest of a line; and
as many as a sink may need that takes lines one by one.
"""


class Stream:
    """The daemon's end of one pipe. Owns it. `log`: the open log that the sink writes to, None for one in memory.

    `trouble`: why the sink took nothing, the last time; None when all is well. `ended`: no writer is left. `stalled`:
    only an unfinished line is there. `closed`: the pipe was given back. `said`: what the last transfer moved, where it
    was wanted; `raw`: the same as it was written. `discards`: what the log does not take is lost, and counted, instead
    of making its writer wait.
    """

    # fmt: off
    __slots__ = (
        "_inode", "_process_gone", "closed", "discards", "ended", "log", "pipe", "raw", "said", "sink", "stalled",
        "trouble",
    )
    # fmt: on

    def __init__(self, pipe: Pipe, sink: Sink, log: Log | None = None) -> None:
        self.pipe = pipe
        self.sink = sink
        self.log = log
        self.discards = False
        self.ended = self.stalled = self.closed = False
        self.trouble: OSError | None = None
        self.said = self.raw = b""
        self._process_gone = False
        self._inode = 0

    @property
    def inode(self) -> int:
        """What tells its pipe from all others."""
        if not self._inode:
            self._inode = os.fstat(self.fd).st_ino
        return self._inode

    @property
    def fd(self) -> int:
        """The descriptor, still ours."""
        return self.pipe.fd

    def transfer(self, wanted: bool = False) -> int:
        """Move what one transfer takes; how many bytes."""
        self.trouble, self.stalled, self.said, self.raw = None, False, b"", b""
        try:
            taken = self._take(wanted)
        except OSError as error:
            self.trouble = error
            return 0
        self.trouble, self.said, self.raw = taken.trouble, taken.data, taken.raw or taken.data
        return taken.size

    def drain(self, wanted: bool = False) -> Iterator[bytes]:
        """Move all that is in the pipe now, the last words of a process that has ended; what was moved, bit by bit."""
        for _ in range(_DRAIN_TRANSFERS):
            if not self.transfer(wanted):
                return
            yield self.said

    def process_ended(self) -> None:
        """Its process is gone: with the next transfers a line left unfinished in a shared file ends behind what is in
        the pipe.
        """
        self._process_gone = True

    def discard(self) -> int:
        """Give up what the sink has refused; how many bytes."""
        try:
            return self.sink.give_up(self.pipe, self)
        except BlockingIOError:  # its writer has taken it back
            return 0

    def close(self) -> None:
        """Give the descriptor back."""
        self.closed = True
        self.pipe.close()

    def _take(self, wanted: bool) -> Taken:
        """Raises OSError."""
        taken = self.sink.take(self.pipe, self, wanted, False)
        if taken.found is Found.UNFINISHED:
            if not (self._process_gone or self.pipe.hung_up()):
                self.stalled = True
                return taken
            taken = self.sink.take(self.pipe, self, wanted, True)
        if taken.found is not Found.SOME and (self._process_gone or taken.found is Found.END):
            self.sink.end_line(self)
            self._process_gone = False
        self.ended = taken.found is Found.END
        return taken
