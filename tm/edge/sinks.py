"""A log file: where output goes.

Guarantees: a log is written at its end; into a regular file bytes go by splice(2) from the pipe itself, so
that at every instant a byte is either in the pipe or in the file; `take` takes what the target takes now, or raises
OSError; it never blocks on a FIFO or a terminal; a transfer that was cut short is finished by the same writer before
another gets its turn, so that a full disk tears no line; what a process that has ended still has to say goes first;
into a file that is shared only whole lines go, and a line that somebody had begun by then is ended before another's;
where what is refused is to be lost, whole lines are, and of one that was cut short nothing stays. A file that has
reached its limit is complete at a line end, and becomes `name.1`; a new one with the same owner and mode takes its
place.
Leaves to others: the file itself, and what others do to it (`edge.files`), what to do when it takes nothing
(`edge.streams`), who shares what (`daemon.log_files`), and where a file is complete (`core.rotation`).

Trap: a child can read its own pipe, so what was seen in it may be gone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from tm.core.flow import Found, OpenFile, Pipe, Taken, nothing
from tm.core.lines import whole
from tm.core.log_policy import PLAIN
from tm.core.rotation import SLACK_BYTES, portion
from tm.core.turns import Turns

_TRANSFER_BYTES = 256 * 1024


class LogFile:
    """One log file, however many streams write to it. Owns its `file`.

    `shared`: only whole lines may be written, because it has, or had, more than one writer at a time, or because what
    it refuses is lost. `turns`: who goes first. `lost`: how many bytes it did not take and were given up. `on_open`
    hears that it has a descriptor.
    """

    __slots__ = ("_rotates_from", "file", "lost", "on_open", "path", "policy", "shared", "turns", "users")

    def __init__(self, file: OpenFile) -> None:
        self.file = file
        self.path = file.path
        self.shared = False
        self.policy = PLAIN
        self.users = 0
        self.turns = Turns()
        self.lost = 0
        self._rotates_from = 0
        self.on_open: Callable[[LogFile], None] = lambda file: None
        file.on_open = self._opened

    @property
    def fd(self) -> int:
        """The descriptor, still its own. Raises OSError."""
        return self.file.fd

    def mark(self, before: int) -> str:
        """The place `before` bytes before the end of what is written, in the words of `edge.logfile`."""
        device, inode = self.file.identity
        return f"{device}:{inode}:{max(0, self.file.at - before)}"

    def join(self) -> None:
        """One more writer."""
        self.users += 1
        if self.users > 1:
            self.share()

    def share(self) -> None:
        """Only whole lines from now on."""
        if not self.shared:
            self.shared = True
            self.turns.in_line_of = None if self.at_line_end() else self.turns.last

    def take(self, pipe: Pipe, writer: object, wanted: bool, ending: bool) -> Taken:
        """One transfer; refused, for the same reason, while it is another writer's turn."""
        self.turns.await_turn(writer)
        if self.file.resting and not (data := pipe.peek()):  # its end, for which no file need be opened
            return nothing(data)
        try:
            self.file.look()
            if self.file.splices and not self.shared and not 0 < self._limit < self.file.at + _TRANSFER_BYTES:
                return self._splice(pipe, writer, wanted)
            return self._take_seen(pipe, writer, ending)
        except OSError as error:
            self.turns.refusal = error
            raise

    def append(self, data: bytes, writer: object) -> int:
        """Whole lines that are no longer in a pipe, or as much of them as it takes; refused as `take`."""
        self.turns.await_turn(writer)
        try:
            self.file.look()
            size, complete = self._portion(data)
            done = self._move(None, data[:size], writer) if size else 0
        except OSError as error:
            self.turns.refusal = error
            raise
        if complete and done == size:
            self._rotate()
        return done

    def end_line(self, writer: object) -> None:
        """Write the line end that `writer` still owes a shared file."""
        if self.shared and self.turns.in_line_of is writer:
            self.turns.await_turn(writer)
            self._end()

    def give_up(self, pipe: Pipe, writer: object) -> int:
        """What is in the pipe is lost, whole lines where there are any; how many bytes."""
        self.turns.leave(writer)
        if self.turns.in_line_of is writer:
            self.turns.in_line_of = self
        data = pipe.peek() or b""
        size = whole(data, pipe.line_bytes) or len(data)
        pipe.drop(size)
        return size

    def leave(self, writer: object) -> None:
        """`writer` will not come back."""
        self.users -= 1
        self.turns.leave(writer)

    def reopen(self) -> None:
        """Open the path anew (it was renamed or removed) and go on there; raises OSError and keeps the old file."""
        self.file.reopen()

    def close(self) -> None:
        """Give the descriptor back."""
        self.file.close()

    # ---- one transfer

    def _splice(self, pipe: Pipe, writer: object, wanted: bool) -> Taken:
        """Raw bytes, unseen."""
        try:
            count = pipe.splice(self.fd, _TRANSFER_BYTES)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that cannot do it
                raise
            self.file.append()
            return self._take_seen(pipe, writer, False)
        if not count:
            return nothing(None if count is None else b"")
        self.turns.last = writer
        self.file.at += count
        return Taken(Found.SOME, count, self.file.before(count) if wanted else b"")

    def _take_seen(self, pipe: Pipe, writer: object, ending: bool) -> Taken:
        """Bytes that are looked at first: whole lines only, or as far as the file's limit."""
        if self.shared:
            pipe.widen()
        data = pipe.peek()
        if not data:
            return nothing(data)
        size = whole(data, pipe.line_bytes) if self.shared and not ending else len(data)
        if not size:
            return Taken(Found.UNFINISHED)
        size, complete = self._portion(data[:size])
        lost = self.lost
        done = self._move(pipe, data[:size], writer) if size else 0
        if complete and done == size:
            self._rotate()
        trouble = self.turns.refusal if self.lost > lost else None
        return Taken(Found.SOME, done, data[:done], trouble) if done else self._take_seen(pipe, writer, ending)

    def _move(self, pipe: Pipe | None, data: bytes, writer: object) -> int:
        """Let `data`, which `pipe` begins with, be in the file and no longer in the pipe; how much of it is. Without a
        pipe: let it be in the file.
        """
        if self.turns.in_line_of not in (None, writer):
            self._end()
        self.turns.begin(writer)
        done = 0
        try:
            while done < len(data):
                done += self._give(pipe, data[done:])
        except OSError as error:
            self.turns.refusal = error
            if not done:
                raise
            if self.policy.discards and self.file.splices:  # else what is at the end may be another's
                done = self._take_back(pipe, data, done)
        self.turns.cut_short = writer if done < len(data) else None
        self.turns.in_line_of = None if data[:done].endswith(b"\n") else writer
        return done

    def _take_back(self, pipe: Pipe | None, data: bytes, done: int) -> int:
        """Of a line that was cut short nothing stays, here or in the pipe; how much of `data` is settled by that."""
        start = data.rfind(b"\n", 0, done) + 1
        self.file.cut(self.file.at - (done - start))
        if pipe is None:
            if not start:
                raise self.turns.refusal
            return start
        end = data.find(b"\n", done) + 1 or len(data)
        pipe.drop(end - done)
        self.lost += end - start
        return end

    def _give(self, pipe: Pipe | None, data: bytes) -> int:
        """One system call's worth."""
        if pipe is not None and self.file.splices:
            count = pipe.splice(self.fd, len(data)) or 0
            if not count:
                raise BlockingIOError(errno.EAGAIN, "its writer has taken it back")
        else:
            count = os.write(self.fd, data)
            if pipe is not None:
                pipe.drop(count)
        self.file.at += count
        return count

    def _end(self) -> None:
        """End the line."""
        self.file.at += os.write(self.fd, b"\n")
        self.turns.in_line_of = None

    def at_line_end(self) -> bool:
        """Whether it ends with a line."""
        return not self.file.is_file or self.file.before(1) in (b"\n", b"")

    # ---- its end

    def _opened(self, fresh: bool) -> None:
        """It goes on, in another file where that is `fresh`."""
        if fresh:
            self.turns.in_line_of = None
            self._rotates_from = 0
        self.on_open(self)

    @property
    def _limit(self) -> int:
        """The size at which it is complete; 0: never."""
        limit = self.policy.limit_bytes
        return max(limit, self._rotates_from) if limit and self.file.is_file else 0

    def _portion(self, data: bytes) -> tuple[int, bool]:
        """What of `data` still goes into this file, and whether it is complete then."""
        if not 0 < self._limit < self.file.at + len(data):
            return len(data), False
        return portion(data, self.file.at, self._limit, self.at_line_end())

    def _rotate(self) -> None:
        """Begin the next file; where that fails go on in this one, and try again later."""
        try:
            self.file.rotate(self.policy.keep)
        except OSError as error:
            self._rotates_from = self.file.at + SLACK_BYTES
            self.file.say(f"log {self.path} cannot be rotated ({os.strerror(error.errno or 0)}): it grows on")
