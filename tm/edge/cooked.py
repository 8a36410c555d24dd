"""Lines as the terminal, the pipe or the file gives them: the terminal echoes and edits, we cut.

Guarantees: lines come in order, without their ends; one of more than `LINE_BYTES` is ignored whole, and its
tail is not taken for a line; bytes that are not UTF-8 become replacement characters. At a terminal in the
modes that `console` sets, Ctrl-C ends a line too, and drops it.
Leaves to others: reading, and the modes of the terminal.
"""

from __future__ import annotations

import os
import re
import select
from collections.abc import Callable, Iterator
from typing import Final

from tm.core.ports import LINE_BYTES, Key, Typed

STDIN: Final = 0
CTRL_C: Final = b"\x03"
_TYPED: Final = re.compile(rb"([^\n\x03]*)([\n\x03]?)")
_PIPED: Final = re.compile(rb"([^\n]*)(\n?)")
_NO_MEANING: Final = dict.fromkeys((0x00, 0x1A, 0x1C))
"""NUL, Ctrl-Z, Ctrl-\\."""


class Cooked:
    """An `Editor` (core.ports) for whatever stdin is."""

    by_key = False

    def __init__(self, prompt: str) -> None:
        self.shown = False
        self.emit: Callable[[bytes], None] = _discard
        self._prompt = prompt.encode()
        self._pieces = _TYPED if os.isatty(STDIN) else _PIPED
        self._line = bytearray()
        self._too_long = False

    def show(self) -> None:
        """The prompt, unless the next line was typed ahead and stands there already. What is half typed is in the
        terminal's memory, and cannot be had from there.
        """
        if not self.shown and not _line_waits():
            self.shown = True
            self.emit(self._prompt)

    def hide(self) -> None:
        """A line further down, since the half-typed one must stay to be seen."""
        if self.shown:
            self.shown = False
            self.emit(b"\n")

    def feed(self, data: bytes) -> Iterator[Typed]:
        """Whole lines; the rest is kept, unless it is longer than any line may be."""
        for piece in self._pieces.finditer(data):
            text, end = piece.groups()
            if not self._too_long:
                self._line += text
                self._too_long = len(self._line) > LINE_BYTES
            if end == CTRL_C:
                self._take()
                self.hide()
                yield Key.INTERRUPT
            elif end:
                self.shown = False
                yield self._take()

    def finish(self) -> Iterator[Typed]:
        """A last line without a line end is one as well."""
        self.hide()
        if self._line:
            yield self._take()
        yield Key.END

    def resized(self) -> None:
        """The terminal sees to it."""

    def close(self) -> None:
        """Nothing is kept."""

    def _take(self) -> Typed:
        line, too_long = bytes(self._line), self._too_long
        self._line.clear()
        self._too_long = False
        return Key.TOO_LONG if too_long else line.decode(errors="replace").translate(_NO_MEANING).rstrip("\r")


def _line_waits() -> bool:
    poll = select.poll()
    poll.register(STDIN, select.POLLIN)
    return bool(poll.poll(0))


def _discard(data: bytes) -> None:
    """Until there is a console there is no output."""
