"""The local syslog daemon as a target: its socket, the output of a stream on its way there, and the event log.

Guarantees: nothing here waits: a receiver that is slow refuses with EAGAIN, and its socket is writable again when it
takes more; one that was started anew is found at the next message; a message is sent whole or not at all; output leaves
the pipe when it is sent, so that every line arrives at least once: a daemon that is killed in between sends it again.
Leaves to others: what a message is (`core.syslog`), and what to do when none is taken (`daemon.refusals`).

Trap: a receiver that went away is told by ECONNREFUSED once, and by ENOTCONN from then on.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from tm.core.flow import Found, Pipe, Taken, nothing
from tm.core.lines import whole
from tm.core.records import Record
from tm.core.syslog import MESSAGE_BYTES, parts, record_message
from tm.core.tail import Tail
from tm.core.turns import Turns

MESSAGES_A_TRANSFER = 1024
"""64 transfers, which is how a stream is drained, then empty a pipe of 128 KiB, however short its lines are."""
_GONE = frozenset({errno.ECONNREFUSED, errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE, errno.EDESTADDRREQ})


class Syslog:
    """The way to one receiver, however many streams go there. Owns its descriptor, which stays the same.

    `turns`: who goes first; `lost`: how many bytes it did not take and were given up.
    """

    def __init__(self, path: str) -> None:
        """Connect; raises OSError."""
        self.path = path
        self.turns = Turns()
        self.lost = 0
        self.users = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self._make_room()
            self.reopen()
        except OSError:
            self._socket.close()
            raise

    @property
    def fd(self) -> int:
        """The descriptor, still its own."""
        return self._socket.fileno()

    def join(self) -> None:
        """One more writer."""
        self.users += 1

    def leave(self, writer: object) -> None:
        """`writer` will not come back."""
        self.users -= 1
        self.turns.leave(writer)

    def send(self, message: bytes) -> None:
        """Send it; raises OSError. A receiver that is gone is looked for once more."""
        try:
            self._socket.send(message)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            self.reopen()
            self._socket.send(message)

    def reopen(self) -> None:
        """Connect anew; raises OSError and keeps the receiver that it has, if any."""
        path = os.fsencode(self.path)
        try:
            self._socket.connect(path)
        except OSError as error:
            if error.errno is None:  # Python's own: an address that is too long
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) from None
            raise

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def _make_room(self) -> None:
        """Some systems send no datagram of more than 2 KiB unless they are asked to."""
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < 2 * MESSAGE_BYTES:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MESSAGE_BYTES)


class Sender:
    """The sink of one stream: a message a line, and what was sent is kept in a tail. `form`: asked at each transfer for
    what makes a line, or a part of one, into its message; to be replaced.
    """

    shared = True

    def __init__(self, syslog: Syslog, tail: Tail) -> None:
        self._syslog = syslog
        self._tail = tail
        self.form: Callable[[], Callable[[bytes], bytes]] = lambda: bytes

    def take(self, pipe: Pipe, writer: object, _wanted: bool, ending: bool) -> Taken:
        """One transfer: as many lines as are taken now."""
        turns = self._syslog.turns
        try:
            if turns.waits(writer):
                turns.await_turn(writer)
            taken = self._take(pipe, writer, ending)
        except OSError as error:
            turns.wait(writer, error)
            raise
        turns.had(writer)
        return taken

    def end_line(self, _writer: object) -> None:
        """Every message is whole."""

    def give_up(self, pipe: Pipe, writer: object) -> int:
        """What is in the pipe is lost, whole lines where there are any; how many bytes."""
        self._syslog.turns.leave(writer)
        data = pipe.peek() or b""
        size = whole(data, pipe.line_bytes) or len(data)
        pipe.drop(size)
        return size

    def _take(self, pipe: Pipe, writer: object, ending: bool) -> Taken:
        """Send what can be sent, and take it out of the pipe. Raises OSError."""
        # Who has nothing to send awaits no turn: an end is heard though others wait.
        pipe.widen()
        data = pipe.peek()
        if not data:
            return nothing(data)
        size = len(data) if ending else whole(data, pipe.line_bytes)
        if not size:
            return Taken(Found.UNFINISHED)
        self._syslog.turns.await_turn(writer)
        sent = self._send(data[:size])
        pipe.drop(sent)
        self._tail.append(data[:sent])
        return Taken(Found.SOME, sent, data[:sent])

    def _send(self, data: bytes) -> int:
        """How many bytes of it are sent; raises OSError when none is."""
        done = messages = 0
        try:
            for message, size in parts(data, self.form()):
                if message:
                    self._syslog.send(message)
                    messages += 1
                done += size
                if messages == MESSAGES_A_TRANSFER:
                    break
        except OSError:
            if not done:
                raise
        return done


class Reporter:
    """The event log's way to syslog."""

    def __init__(self, syslog: Syslog) -> None:
        self._syslog = syslog
        self.path = syslog.path

    def write(self, record: Record, as_json: bool) -> None:
        """Send it; raises OSError."""
        self._syslog.send(record_message(record, as_json, os.getpid()))

    def reopen(self) -> None:
        """Connect anew; raises OSError."""
        self._syslog.reopen()

    def fileno(self) -> int:
        """The descriptor."""
        return self._syslog.fd

    def close(self) -> None:
        """Give the descriptor back."""
        self._syslog.close()
