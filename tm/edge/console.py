"""The operator's end of the wire: lines from stdin, answers and messages to stdout.

Guarantees: lines are handed over in order and one at a time, none after `retire` or `close`; the end of the
input is told once, from the loop; a message from elsewhere is printed above the prompt; the terminal is left
as it was found. Nothing here waits: a flood of lines is handed over in slices of `SLICE_S`, and the line
after a command waits until the reader of stdout has taken that command's answer.
Leaves to others: what a line means (`Calls`), how keys become lines (an `Editor`: `cooked`, or GNU readline
in `linedit`), a reader of stdout that is slow (an `Outlet`), and which text is safe to print.

At a prompt Ctrl-C is a key. The terminal must not make a signal of it, which would reach every process of
the foreground group; so ISIG is off while the prompt stands. A cooked terminal hands over a line when it
ends, and Ctrl-C shall not wait for that: it becomes a second end of line (VEOL), is delivered at once with
what was typed before it, and drops it. Ctrl-Z and Ctrl-\\ are then keys without a meaning.

Job control: while another process group has the terminal (`&`, or stopped and continued by `bg`), nothing is
read and no mode is changed, since both would disturb whoever is in front. A shell that brings a running job
to the front need not say so (bash does not). Therefore an edge-triggered watch stays on the terminal: a key,
or a hang-up, makes us look again. Edge-triggered because the key is not ours to take: a level would wake us
until the other process took it.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from tm.core.ports import LINE_BYTES, Editor, Key, Outlet, Typed, Watcher

STDIN: Final = 0
STDOUT: Final = 1
READ_BYTES: Final = 64 * 1024
SLICE_S: Final = 0.01
CTRL_C: Final = b"\x03"


@dataclass(frozen=True, slots=True)
class Calls:
    """Whom the console tells."""

    on_line: Callable[[str], None]
    on_end: Callable[[], None]
    on_interrupt: Callable[[], None]


class Console:
    """stdin and stdout (both borrowed) as a place to type commands at, on the loop."""

    def __init__(self, watcher: Watcher, outlet: Outlet, editor: Editor, calls: Calls) -> None:
        self._watcher = watcher
        self._outlet = outlet
        self._editor = editor
        self._calls = calls
        self._modes = Modes(editor.by_key) if os.isatty(STDIN) else None
        self._prompts = self._modes is not None and os.isatty(STDOUT)
        self._background: select.epoll | None = None
        self._reading = False
        self._pending: Iterator[Typed] | None = None
        outlet.on_drained = self._drained
        editor.emit = outlet.put

    def open(self) -> None:
        """Begin to read, and to prompt where there is a terminal."""
        self._reading = True
        self._take_place()

    def tell(self, text: str) -> None:
        """Print a message of its own, above the prompt; what is typed stays."""
        self._editor.hide()
        self.write(text)
        if self._pending is None:
            self._show()

    def write(self, text: str) -> None:
        """Print what the present command answers, a line end behind it."""
        if text:
            self._outlet.put((text if text.endswith("\n") else text + "\n").encode(errors="backslashreplace"))

    def foreground(self) -> None:
        """Look anew who has the terminal; for SIGCONT (it may be ours again, in other modes) and SIGHUP."""
        if self._reading and self._modes is not None:
            if in_front():
                self._editor.hide()
            self._editor.shown = False
            self._take_place()

    def resized(self) -> None:
        """For SIGWINCH: the prompt is drawn for the new size."""
        self._editor.resized()

    def suspend(self) -> bool:
        """Hand over nothing more until `open`: no prompt, the terminal as found. Whether that is new."""
        if reading := self._reading:
            self._editor.hide()
            self._reading = False
            self._leave_place()
            if self._modes is not None and in_front():
                self._modes.restore()
        return reading

    def retire(self) -> None:
        """`suspend` for good; messages still come."""
        if self.suspend():
            self._editor.close()

    def close(self) -> None:
        """`retire`, and a last chance for the output. May be called twice, and without `open`."""
        self.retire()
        self._outlet.close()

    # ---- whose terminal it is

    def _take_place(self) -> None:
        """Read, and prompt, where the terminal is ours or there is none; else wait until it stirs."""
        self._leave_place()
        if self._modes is None:
            self._arrange()
        elif hung_up():
            self._end_soon()
        elif in_front():
            self._modes.apply()
            self._arrange()
        else:
            self._stay_behind()

    def _leave_place(self) -> None:
        self._watcher.unwatch(STDIN)
        if self._background is not None:
            self._watcher.unwatch(self._background.fileno())
            self._background.close()
            self._background = None

    def _stay_behind(self) -> None:
        if sys.platform == "linux":
            self._background = select.epoll()
            self._background.register(STDIN, select.EPOLLIN | select.EPOLLET)
            self._watcher.watch(self._background.fileno(), self._stirred)

    def _stirred(self) -> None:
        if self._background is not None and self._background.poll(0):
            self._take_place()

    # ---- lines

    def _readable(self) -> None:
        if self._modes is not None and not in_front():
            self.foreground()
        elif self._waits():
            self._watcher.unwatch(STDIN)
        elif (data := _read()) is not None:
            self._pending = self._editor.feed(data) if data else self._editor.finish()
            self._pump()

    def _pump(self) -> None:
        """Hand over what has been typed, for a slice of time; what comes after depends on what is left."""
        until = time.monotonic() + SLICE_S
        try:
            for typed in self._pending or ():
                self._hand_over(typed)
                if not self._reading or self._outlet.backlog or time.monotonic() > until:
                    break
            else:
                self._pending = None
        finally:
            self._arrange()

    def _hand_over(self, typed: Typed) -> None:
        match typed:
            case Key.INTERRUPT:
                self._calls.on_interrupt()
            case Key.TOO_LONG:
                self.write(f"line of more than {LINE_BYTES:,} bytes ignored")
            case Key.END:
                self._end()
            case _:
                self._calls.on_line(typed)

    def _arrange(self) -> None:
        """What happens next: more keys, the rest of the lines, or first the reader of stdout."""
        if not self._reading:
            return
        if self._pending is None and not self._waits():
            self._show()
            self._listen()
        else:
            self._watcher.unwatch(STDIN)
            if self._pending is not None and not self._outlet.backlog:
                self._watcher.soon(self._go_on)

    def _waits(self) -> bool:
        """An editor that draws reads no key whose echo could not be shown."""
        return self._editor.by_key and self._outlet.backlog > 0

    def _go_on(self) -> None:
        if self._reading and self._pending is not None and self._background is None:
            self._pump()

    def _drained(self) -> None:
        if self._reading and self._background is None:
            self._arrange()

    def _listen(self) -> None:
        try:
            self._watcher.watch(STDIN, self._readable)
        except OSError:
            self._end_soon()

    def _end_soon(self) -> None:
        self._pending = iter((Key.END,))
        self._watcher.soon(self._go_on)

    def _end(self) -> None:
        self.retire()
        self._calls.on_end()

    # ---- the prompt

    def _show(self) -> None:
        """Not while output waits: the backlog then holds whole lines only, which may be dropped."""
        if self._prompts and self._reading and self._background is None and not self._outlet.backlog:
            self._editor.show()


def stdin_given() -> bool:
    """Whether anything can ever come from stdin: it is open, and not /dev/null."""
    try:
        mine, null = os.fstat(STDIN), os.stat(os.devnull)
    except OSError:
        return False
    return not stat.S_ISCHR(mine.st_mode) or mine.st_rdev != null.st_rdev


def in_front() -> bool:
    """Whether our process group has the terminal on stdin. One that is not our controlling terminal has no
    foreground, and may be read.
    """
    try:
        return os.tcgetpgrp(STDIN) == os.getpgrp()
    except OSError:
        return True


def _read() -> bytes | None:
    """What there is to read: nothing at all is the end, None is not now. A background reader gets EIO, as if the
    terminal were gone.
    """
    try:
        return os.read(STDIN, READ_BYTES)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError as error:
        return None if error.errno == errno.EIO and not in_front() else b""


def hung_up() -> bool:
    poll = select.poll()
    poll.register(STDIN, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))


class Modes:
    """The modes of the terminal on stdin: as found, and as a prompt needs them."""

    def __init__(self, by_key: bool) -> None:
        self._by_key = by_key
        self._found: list[Any] | None = None

    def apply(self) -> None:
        """As a prompt needs them. What was found is remembered, unless we left it there (ISIG is off)."""
        with suppress(termios.error):
            modes = termios.tcgetattr(STDIN)
            if self._found is None or modes[3] & termios.ISIG:
                self._found = modes
            termios.tcsetattr(STDIN, termios.TCSANOW, self._prompt_modes(self._found))

    def restore(self) -> None:
        """As found, at once: to drain the output first (TCSADRAIN) might take for ever."""
        if self._found is not None:
            with suppress(termios.error):
                termios.tcsetattr(STDIN, termios.TCSANOW, self._found)

    def _prompt_modes(self, found: list[Any]) -> list[Any]:
        iflag, oflag, cflag, lflag, ispeed, ospeed, keys = found
        keys = list(keys)
        lflag &= ~termios.ISIG
        if self._by_key:
            iflag &= ~(termios.ICRNL | termios.INLCR)
            lflag &= ~(termios.ICANON | termios.ECHO)
            keys[termios.VMIN], keys[termios.VTIME] = 1, 0
        else:
            keys[termios.VEOL] = CTRL_C
        return [iflag, oflag, cflag, lflag, ispeed, ospeed, keys]
