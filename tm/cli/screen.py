"""What the client prints: text to stdout and stderr whole, and one live line where somebody looks at it.

Guarantees: nothing but text and line ends goes into a pipe; the live line is gone before anything else is printed.
"""

from __future__ import annotations

import os

COLOURS = ("auto", "always", "never")
_CLEAR = "\r\x1b[K"


class Screen:
    """stdout and stderr as the operator sees them. `colour`: one of COLOURS."""

    def __init__(self, colour: str = "auto") -> None:
        self.terminal = os.isatty(1)
        dull = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self.colour = colour == "always" or (colour == "auto" and self.terminal and not dull)
        self._live = self.terminal and os.environ.get("TERM", "dumb") != "dumb"
        self._shown = ""

    @property
    def width(self) -> int | None:
        """Columns, None where it is no terminal."""
        return self.size()[0] if self.terminal else None

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        try:
            columns, rows = os.get_terminal_size(1)
        except OSError:
            return 80, 24
        return columns or 80, rows or 24

    def out(self, text: str) -> None:
        """A text for stdout, a line end behind it; nothing when it is empty."""
        self._put(1, text)

    def err(self, text: str) -> None:
        """The same for stderr."""
        self._put(2, text)

    def raw(self, base64: str) -> None:
        """Bytes for stdout, as they are."""
        from binascii import a2b_base64

        self.live("")
        put(1, a2b_base64(base64))

    def live(self, text: str) -> None:
        """Let the live line be `text`; '' takes it away. Nothing where there is no terminal."""
        if self._live and text != self._shown:
            columns = self.size()[0]
            self._shown = text
            write(1, _CLEAR + text[: columns - 1])

    def _put(self, fd: int, text: str) -> None:
        if text:
            self.live("")
            write(fd, text if text.endswith("\n") else text + "\n")


def write(fd: int, text: str) -> None:
    """All of it. Raises OSError."""
    put(fd, text.encode("utf-8", "backslashreplace"))


def put(fd: int, data: bytes) -> None:
    """All of it. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def complain(text: str) -> None:
    """What is wrong, on stderr, after the program's name."""
    write(2, f"taskmasterctl: {text}\n")
