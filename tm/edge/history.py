"""Lines entered at the prompt, kept from one session to the next in a file.

Guarantees: the file has mode 0600 and at most `HISTORY_LINES` lines, and is replaced whole, so that a reader
finds the old one or the new one; two sessions at a time both leave their lines. What is not a regular file
(a link to /dev/null, say) is neither read nor replaced. No error of the file is an error of the session.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from typing import Final

HISTORY_LINES: Final = 1000
_MOST_BYTES: Final = 1024 * 1024
"""As much of the file's end is read."""


class History:
    """A `Memory` (core.ports) in the file `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines = self._kept()
        self._unsaved: list[str] = []

    @property
    def lines(self) -> list[str]:
        """The oldest first."""
        return self._lines

    def add(self, line: str) -> bool:
        """Remember a line, unless it is empty, begins with a space, or is the last one again."""
        if not _worth_it(line) or line.startswith(" ") or line in self._lines[-1:]:
            return False
        self._lines.append(line)
        self._unsaved.append(line)
        return True

    def save(self) -> None:
        """Add the new lines to what the file holds by now."""
        if self._unsaved:
            with suppress(OSError):
                os.makedirs(os.path.dirname(self._path) or ".", 0o700, exist_ok=True)
                if not os.path.lexists(self._path) or stat.S_ISREG(os.lstat(self._path).st_mode):
                    self._replace([*self._kept(), *self._unsaved][-HISTORY_LINES:])
                    self._unsaved.clear()

    def _replace(self, lines: list[str]) -> None:
        descriptor, name = tempfile.mkstemp(dir=os.path.dirname(self._path) or ".", prefix=".history-")
        try:
            with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
                file.write("".join(f"{line}\n" for line in lines))
            os.replace(name, self._path)
        except OSError:
            os.unlink(name)
            raise

    def _kept(self) -> list[str]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with suppress(OSError), open(os.open(self._path, flags), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST_BYTES))
                lines = file.read(_MOST_BYTES).decode(errors="replace").split("\n")
                return list(filter(_worth_it, lines))[-HISTORY_LINES:]
        return []


def _worth_it(line: str) -> bool:
    return bool(line.strip()) and line.isprintable()
