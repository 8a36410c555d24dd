"""A pseudo-terminal as the daemon has it: what a program writes there into a pipe, what is typed into the program.

Guarantees: at every instant a byte of output is in the terminal, in the pipe or where the pipe is emptied into, so
that a daemon that is killed loses none; nothing here waits; a program that writes faster than its log takes waits in
its own write, as with a pipe; what is typed and not read is bounded by `TYPED_BYTES`.
Leaves to others: where the output goes (it is emptied like any pipe), and who looks on (`taps`).

Bytes go from the terminal into the pipe by splice(2), unseen. Whoever looks on is shown what has just arrived there, by
a look into the pipe.

Traps: each splice takes a page of the pipe, however few bytes it moves, so that a line typed key by key could fill a
pipe whose reader waits for its end: then what is in it is read and written again, into one page. A terminal that nobody
has open at the other end is readable, with EIO, for ever. A second program that holds the other ends (the guardian)
keeps the pipe from ending, hence `ended`. TIOCSWINSZ tells the program of a size by SIGWINCH, but only of a new one.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import select
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tm.core.flow import Pipe
from tm.core.ports import Watcher

ROWS, COLUMNS = 24, 80
"""The size that a terminal has until somebody looks on."""
TYPED_BYTES: Final = 64 * 1024
_WRITE_BYTES: Final = 4096
_MOVE_BYTES: Final = 64 * 1024
_MOVES: Final = 16
_NONBLOCK: Final = 2
_IUTF8: Final = 0o40000
"""Linux's own, which `termios` does not know."""
_CONTROL_KEYS: Final = {
    termios.VINTR: b"\x03",
    termios.VQUIT: b"\x1c",
    termios.VERASE: b"\x7f",
    termios.VKILL: b"\x15",
    termios.VEOF: b"\x04",
    termios.VSUSP: b"\x1a",
    termios.VSTART: b"\x11",
    termios.VSTOP: b"\x13",
    termios.VWERASE: b"\x17",
    termios.VLNEXT: b"\x16",
    termios.VREPRINT: b"\x12",
}


def pair() -> tuple[int, int]:
    """A terminal: the daemon's end, which never blocks, and the program's. Both are the caller's. Raises OSError."""
    ours, theirs = os.openpty()
    try:
        os.set_blocking(ours, False)
        _make_sane(theirs)
        _set_size(ours, ROWS, COLUMNS)
    except OSError:
        os.close(ours)
        os.close(theirs)
        raise
    return ours, theirs


class Terminal:
    """The daemon's end, which is emptied as a pipe is. Owns its descriptors, also that of `pipe`.

    `way`: the end of the pipe that is written to; `taps`: who is shown what comes; `on_close` hears of each descriptor
    that is about to be closed. `ended`: nobody has the other end any more. `kept`: what another daemon needs beside the
    pipe, by what it is; `line_bytes`: so many bytes of an unfinished line count as whole.
    """

    def __init__(self, watcher: Watcher, ours: int, pipe: Pipe, way: int) -> None:
        self._watcher = watcher
        self._ours, self._way = ours, way
        self._pipe = pipe
        self.line_bytes = pipe.line_bytes
        self.kept = {"terminal": ours, "way": way}
        self._typed = bytearray()
        self._full = False
        self._waits_for = ""
        self.ended = False
        self.taps: list[Callable[[bytes], None]] = []
        self.on_close: Callable[[int], None] = lambda fd: None
        self._arrange()

    # ---- as a pipe

    @property
    def fd(self) -> int:
        """The end of the pipe that is read."""
        return self._pipe.fd

    def widen(self) -> None:
        """Have room for a line of 64 KiB, where the kernel allows it."""
        self._pipe.widen()
        self.line_bytes = self._pipe.line_bytes

    def read(self) -> bytes | None:
        """Take what there is; b'' at the end, None when there is nothing now."""
        self._move()
        data = self._pipe.read()
        self._make_room()
        return b"" if data is None and self.ended else data

    def peek(self) -> bytes | None:
        """Look at what there is; b'' at the end, None when there is nothing now."""
        self._move()
        data = self._pipe.peek()
        return b"" if data is None and self.ended else data

    def drop(self, count: int) -> None:
        """Take `count` bytes that `peek` has shown."""
        self._pipe.drop(count)
        self._make_room()

    def splice(self, target: int, count: int) -> int | None:
        """Move up to `count` bytes into a file; 0 at the end, None when there is nothing now. Raises OSError."""
        self._move()
        done = self._pipe.splice(target, count)
        self._make_room()
        return 0 if done is None and self.ended else done

    def hung_up(self) -> bool:
        """Whether the last writer is gone, though there may be something to be read."""
        return self.ended

    def close(self) -> None:
        """Give the descriptors back. Who still has the other end is hung up on."""
        self._end()
        self.on_close(self._ours)
        os.close(self._ours)
        self._pipe.close()

    # ---- as a terminal

    def seen(self) -> bytes:
        """What has come and was not taken yet."""
        return self._pipe.peek() or b""

    def type(self, data: bytes) -> bool:
        """Let the program read `data`, now or as soon as it can; False, and nothing is typed, where it has left too
        much unread.
        """
        if self.ended or len(self._typed) + len(data) > TYPED_BYTES:
            return False
        self._typed += data
        self._push()
        self._arrange()
        return True

    def resize(self, rows: int, columns: int) -> None:
        """Have this size. The program is told in any case, so that it draws anew."""
        with suppress(OSError):
            if _size(self._ours) == (rows, columns):
                _set_size(self._ours, rows, columns + 1)
            _set_size(self._ours, rows, columns)

    # ---- moving bytes

    def _ready(self) -> None:
        self._push()
        self._move()

    def _push(self) -> None:
        try:
            while self._typed:
                del self._typed[: os.write(self._ours, self._typed[:_WRITE_BYTES])]
        except BlockingIOError:
            return
        except OSError:
            self._typed.clear()

    def _move(self) -> None:
        """Bring into the pipe what has come, as far as there is room."""
        for _ in range(_MOVES):
            if self.ended or not self._move_once():
                break
        self._arrange()

    def _move_once(self) -> bool:
        """Whether there may be more."""
        before = _waiting(self.fd) if self.taps else 0
        try:
            os.splice(self._ours, self._way, _MOVE_BYTES, flags=_NONBLOCK)
        except BlockingIOError:
            self._full = not _takes_more(self._way)
            return self._full and self._squeeze()
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._end()
            return False
        self._full = False
        if self.taps and (fresh := self.seen()[before:]):
            for tap in list(self.taps):
                tap(fresh)
        return True

    def _squeeze(self) -> bool:
        """Let what fills the pipe with pages that are nearly empty be in few; whether there is room then."""
        if _waiting(self.fd) >= self._pipe.line_bytes:
            return False
        data = self._pipe.read() or b""
        os.write(self._way, data)
        self._full = False
        return True

    def _make_room(self) -> None:
        """Something was taken: go on, where that was waited for."""
        if self._full:
            self._move()

    def _end(self) -> None:
        """Nothing more comes."""
        if not self.ended:
            self.ended = True
            self._typed.clear()
            self._watcher.unwatch(self._ours)
            self.on_close(self._way)
            os.close(self.kept.pop("way"))

    def _arrange(self) -> None:
        """What is waited for: output where there is room for it, and a program that reads where something is typed."""
        if self.ended:
            return
        waits_for = "output" * (not self._full) + "room" * bool(self._typed)
        if waits_for == self._waits_for:
            return
        self._waits_for = waits_for
        if waits_for:
            self._watcher.watch(self._ours, self._ready, write=waits_for == "room", both=waits_for == "outputroom")
        else:
            self._watcher.unwatch(self._ours)


def _make_sane(fd: int) -> None:
    """The modes that a person expects, whatever the kernel's own are."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, keys = termios.tcgetattr(fd)
    iflag |= termios.ICRNL | termios.IXON | termios.BRKINT | _IUTF8
    oflag |= termios.OPOST | termios.ONLCR
    cflag |= termios.CREAD | termios.CS8
    lflag |= termios.ISIG | termios.ICANON | termios.IEXTEN
    lflag |= termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ECHOCTL | termios.ECHOKE
    for number, key in _CONTROL_KEYS.items():
        keys[number] = key
    termios.tcsetattr(fd, termios.TCSANOW, [iflag, oflag, cflag, lflag, ispeed, ospeed, keys])


def _size(fd: int) -> tuple[int, int]:
    rows, columns, *_ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns


def _set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _waiting(fd: int) -> int:
    """How many bytes are in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def _takes_more(fd: int) -> bool:
    """Whether a pipe can be written to."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))
