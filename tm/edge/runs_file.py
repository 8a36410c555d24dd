"""The file of the runs of jobs: lines appended, now and then written anew.

Guarantees: a line is written as a whole by one write, or is left out when the file is read; a file that is written anew
is the old or the new one after a crash; links in the state directory are not followed.
Leaves to others: what the lines say (`core.runs`), and when it has grown enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

GROWS_TO_BYTES: Final = 256 * 1024
"""Then it is worth being written anew, with what still counts."""
_READ_MOST_BYTES: Final = 256 * 1024 * 1024
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class RunsFile:
    """One such file, opened for each line: there are few."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._limit_bytes = GROWS_TO_BYTES

    def load(self) -> list[str]:
        """Its whole lines; none where there is no file. Raises OSError."""
        try:
            fd = os.open(self.path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return []
        with open(fd, "rb") as file:
            content = file.read(_READ_MOST_BYTES)
        return content.decode(errors="replace").split("\n")[:-1]

    def append(self, line: str) -> bool:
        """Add a line; whether the file wants to be written anew. Raises OSError."""
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _FLAGS, 0o600)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            os.write(fd, (b"\n" if torn else b"") + line.encode() + b"\n")
            return size > self._limit_bytes
        finally:
            os.close(fd)

    def replace(self, lines: Iterable[str]) -> None:
        """Write it anew. Raises OSError."""
        content = "".join(f"{line}\n" for line in lines).encode()
        draft = f"{self.path}.new"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
        with open(fd, "wb") as file:
            file.write(content)
        os.replace(draft, self.path)
        self._limit_bytes = max(GROWS_TO_BYTES, 2 * len(content))
