"""One client on a stream socket: lines come in, answers and notifications go out, and neither takes more than its room.

Guarantees: lines are handed over in order and one at a time, each whole, and none before the answer that it has to wait
for; a longer one than `LINE_BYTES` is told as such
and skipped to its end; what was sent before the end of the input is handed over though nobody is left to hear the
answer. Nothing waits and nothing raises: not for a reader that is slow, stopped or gone. While answers of more than
`OWED_BYTES` wait for their reader, no further line is taken from him. Notifications beyond `NOTICE_BYTES` are lost;
how many, and how many lines of output they held, is told in their place as soon as he has read half of what waits.
Leaves to others: what a line means (`Calls`), and how many clients there may be (`faces.hub`).

The end of the input is half an end only: a client may shut its sending side and still read. So what is owed is written
first. A kernel tells about a peer that is gone entirely only where it is read or written; hence notifications end with
the input, or a dead subscriber could stay unnoticed.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from tm.core.inbox import Inbox
from tm.core.once import Once
from tm.core.ports import Watcher

READ_BYTES = 64 * 1024
WRITE_BYTES = 256 * 1024
OWED_BYTES = 64 * 1024
NOTICE_BYTES = 1024 * 1024
LINES_A_TURN = 32


class Calls(NamedTuple):
    """Whom a connection tells, and whom it asks."""

    on_line: Callable[[bytes | None], None]
    """A line without its end; None: one that was too long."""
    on_end: Callable[[bool], None]
    """Nothing more will come from there; true: and nobody is there any more."""
    works: Callable[[], bool]
    """Whether an answer is still to come."""
    holds: Callable[[], bool]
    """Whether it has to come before any further line is handed over."""
    on_closed: Callable[[], None]
    """It is closed."""
    spent: Callable[[], bool]
    """Whether this turn has had its share of requests."""
    lost: Callable[[int, int], bytes]
    """The notification that so many notifications were lost, with so many lines of output."""


class Left(NamedTuple):
    """A connection between two daemons: the descriptor, what was not taken and what was not written yet, whether the
    input has ended, and what was lost and not told.
    """

    fd: int
    inbox: Inbox
    unwritten: bytes
    ended: bool
    lost: int
    lost_lines: int


class Room:
    """What all clients together have not read yet, and may not have."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held = 0

    @property
    def full(self) -> bool:
        """Whether it is too much."""
        return self.held > self.limit_bytes


class _Mode(Enum):
    """What is watched."""

    NOTHING = 0
    READ = 1
    WRITE = 2
    BOTH = 3


class Connection:
    """A client. Owns its socket, which does not block. `active_at`: when something last came or went."""

    def __init__(self, watcher: Watcher, client: socket.socket, room: Room) -> None:
        self._watcher, self._socket, self._room = watcher, client, room
        self._calls: Calls | None = None
        self._inbox = Inbox()
        self._backlog = bytearray()
        self._written = self._owed = 0
        self._answers: deque[tuple[int, int]] = deque()
        self._lost = self._lost_lines = 0
        self._ended = self._told = self._told_gone = self._gone = self._serving = False
        self._again = Once(watcher.soon, self._serve)
        self._mode = _Mode.NOTHING
        self.active_at = watcher.now

    def open(self, calls: Calls, left: Left | None = None) -> None:
        """Begin to read; `left`: go on where an earlier daemon was."""
        self._calls = calls
        if left is not None:
            self._ended, self._lost, self._lost_lines = left.ended, left.lost, left.lost_lines
            self._inbox = left.inbox
            self._owed = len(left.unwritten)
            self._answers.append((self._owed, self._owed))
            self._backlog += left.unwritten
            self._room.held += self._owed
        self._arrange()

    def leave(self) -> Left:
        """What the next daemon is to go on with; the descriptor stays open."""
        return Left(self._socket.fileno(), self._inbox, bytes(self._backlog), self._ended, self._lost, self._lost_lines)

    @property
    def backlog(self) -> int:
        """How many bytes wait for the reader."""
        return len(self._backlog)

    def answer(self, data: bytes) -> None:
        """Send what must not be lost."""
        if self._calls is not None and not self._gone:
            self._owed += len(data)
            self._answers.append((self._written + len(self._backlog) + len(data), len(data)))
            self._put(data)

    def notify(self, data: bytes, lines: int = 0) -> None:
        """Send what may be lost. `lines`: how many lines of output it holds."""
        if self._calls is None or self._gone:
            return
        waiting = len(self._backlog) - self._owed
        if self._lost or (waiting and (waiting + len(data) > NOTICE_BYTES or self._room.full)):
            self._lost += 1
            self._lost_lines += lines
        else:
            self._put(data)

    def go_on(self) -> None:
        """What held further lines up is answered."""
        self._arrange()

    def finish(self, until: float) -> None:
        """Neither read nor watch any more; what waits is written as far as the reader takes it until then
        (`time.monotonic`). It is still to be closed.
        """
        self._watch(_Mode.NOTHING)
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLOUT)
        while self._backlog and (left_s := until - time.monotonic()) > 0 and poll.poll(left_s * 1000):
            self._push()
        self._tell_end(True)
        self._lose_reader()

    def close(self) -> None:
        """Hang up, whatever waits."""
        if self._calls is None:
            return
        self._watch(_Mode.NOTHING)
        self._tell_end(True)
        self._lose_reader()
        self._socket.close()
        calls, self._calls = self._calls, None
        calls.on_closed()

    # ---- going out

    def _put(self, data: bytes) -> None:
        waiting = bool(self._backlog)
        self._backlog += data
        self._room.held += len(data)
        if not waiting:
            self._push()
            if self._backlog or self._ended:
                self._arrange()

    def _push(self) -> None:
        """Write once."""
        try:
            with memoryview(self._backlog) as view, view[:WRITE_BYTES] as part:
                count = self._socket.send(part)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._lose_reader()
            return
        del self._backlog[:count]
        self._room.held -= count
        self._written += count
        while self._answers and self._answers[0][0] <= self._written:
            self._owed -= self._answers.popleft()[1]
        if self._lost and len(self._backlog) - self._owed <= NOTICE_BYTES // 2:
            self._tell_lost()

    def _tell_lost(self) -> None:
        assert self._calls is not None
        line = self._calls.lost(self._lost, self._lost_lines)
        self._lost = self._lost_lines = 0
        self._backlog += line
        self._room.held += len(line)

    def _lose_reader(self) -> None:
        """He is gone; what he had said before is still carried out."""
        self._gone = True
        self._room.held -= len(self._backlog)
        self._backlog.clear()
        self._answers.clear()
        self._owed = self._lost = self._lost_lines = 0

    # ---- coming in

    def _ready(self) -> None:
        """Something can be read or written: try both."""
        self.active_at = self._watcher.now
        if self._backlog:
            self._push()
        if self._mode in (_Mode.READ, _Mode.BOTH):
            self._receive()
        self._serve()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._inbox.put(data)
        else:
            self._ended = True

    def _serve(self) -> None:
        """Hand over lines, one at least, as long as this turn's share and the reader's room last. Whether there is a
        reader is known before.
        """
        self._serving = True
        try:
            if self._inbox.ready and not self._told_gone and self._hung_up():
                self._lose_reader()
            for _ in range(LINES_A_TURN):
                calls = self._calls
                if self._gone:
                    self._tell_end(True)
                if calls is None or self._owed > OWED_BYTES or not self._inbox.ready or calls.holds():
                    break
                calls.on_line(self._inbox.take())
                if calls.spent():
                    break
        finally:
            self._serving = False
            self._arrange()

    def _arrange(self) -> None:
        """What happens next: the rest of the lines, more input, room for output, or the end. While a line is carried
        out that is not settled yet.
        """
        if self._calls is None or self._serving:
            return
        paused = self._owed > OWED_BYTES
        if self._inbox.ready and not (paused or self._calls.holds()):
            self._again.ask()
        if self._ended and not self._inbox.ready:
            self._tell_end(self._gone or self._hung_up())
            if not self._backlog and not (self._calls.works() and not self._gone):
                self.close()
                return
        reads = not (self._ended or paused or self._inbox.ready)
        self._watch(_Mode(reads * _Mode.READ.value + bool(self._backlog) * _Mode.WRITE.value))

    def _tell_end(self, gone: bool) -> None:
        if self._calls is not None and (not self._told or (gone and not self._told_gone)):
            self._told, self._told_gone = True, gone
            self._calls.on_end(gone)

    def _hung_up(self) -> bool:
        """Whether the other end is closed, and not only for sending."""
        poll = select.poll()
        poll.register(self._socket.fileno(), 0)
        return bool(poll.poll(0))

    def _watch(self, mode: _Mode) -> None:
        if mode is self._mode:
            return
        self._mode = mode
        if mode is _Mode.NOTHING:
            self._watcher.unwatch(self._socket.fileno())
        else:
            both = mode is _Mode.BOTH
            self._watcher.watch(self._socket.fileno(), self._ready, write=mode is _Mode.WRITE, both=both)
