"""The terminal on stdin, given over to a program elsewhere: every key goes there, but for the one that comes back.

Guarantees: `leave` puts back the modes that were found, and takes back what the program may have asked of the terminal:
its other screen, the mouse, a hidden cursor.
"""

from __future__ import annotations

import os
import re
import termios
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DETACH = b"\x1d"
"""Ctrl-]"""
READ_BYTES = 4096
BELL = b"\a"
_RESET = b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[?7h\x1b[?25h\x1b[0m"
_BACK = b"\x1b[?1049l"
_OTHER_SCREEN = re.compile(rb"\x1b\[\?(?:1049|1047|47)([hl])")


class Raw:
    """stdin as it is while somebody is attached."""

    def __init__(self) -> None:
        self._found: list[Any] | None = None
        self._elsewhere = False

    def enter(self) -> None:
        """Let every key come as it is. That a terminal is gone is what `keys` finds out."""
        with suppress(termios.error):
            self._enter()

    def _enter(self) -> None:
        found = termios.tcgetattr(0)
        if self._found is None:
            self._found = found
        iflag, oflag, cflag, lflag, ispeed, ospeed, keys = found
        iflag &= ~(termios.BRKINT | termios.ICRNL | termios.INLCR | termios.IGNCR | termios.ISTRIP | termios.IXON)
        oflag &= ~termios.OPOST
        lflag &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        keys = list(keys)
        keys[termios.VMIN], keys[termios.VTIME] = 1, 0
        termios.tcsetattr(0, termios.TCSANOW, [iflag, oflag, cflag, lflag, ispeed, ospeed, keys])

    def shown(self, data: bytes) -> bytes:
        """The same, when it is known on which of its screens the terminal is then."""
        for found in _OTHER_SCREEN.finditer(data):
            self._elsewhere = found[1] == b"h"
        return data

    def leave(self) -> bytes:
        """The modes as found; what is to be written then."""
        if self._found is not None:
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSANOW, self._found)
        return (_BACK if self._elsewhere else b"") + _RESET + b"\r\n"


def keys() -> tuple[bytes, bool]:
    """What was typed, and whether that was the last: by Ctrl-], or since the terminal is gone."""
    try:
        typed = os.read(0, READ_BYTES)
    except (BlockingIOError, InterruptedError):
        return b"", False
    except OSError:
        typed = b""
    before, detach, _ = typed.partition(DETACH)
    return before, bool(detach) or not typed


def size() -> tuple[int, int]:
    """Rows and columns."""
    try:
        columns, rows = os.get_terminal_size(0)
    except OSError:
        return 24, 80
    return min(rows, 1000) or 24, min(columns, 1000) or 80
