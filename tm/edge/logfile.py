"""Reading a log from its end.

Guarantees: the last lines of a file of any size take constant memory and a number of reads that depends on the lines
asked for, at most MOST_BYTES; where it has too few, reading goes on in what was rotated; a file is never created,
changed or locked.
"""

from __future__ import annotations

import os
from itertools import count

from tm.core.lines import last

MOST_BYTES = 1024 * 1024
_BLOCK = 16 * 1024


def tail(path: str, lines: int) -> tuple[list[bytes], int]:
    """The last `lines` lines of the file and the offset behind them. Raises OSError."""
    data, end = _end_of(path, lines, b"")
    for older in rotated(path):
        if data.count(b"\n") > lines or len(data) >= MOST_BYTES:
            break
        data, _ = _end_of(older, lines, data)
    return last(data, lines), end


def rotated(path: str) -> list[str]:
    """The files that were complete before it, the newest first."""
    found: list[str] = []
    path = os.path.realpath(path)
    for number in count(1):
        if not os.path.lexists(each := f"{path}.{number}"):
            return found
        found.append(each)
    return found


def _end_of(path: str, lines: int, behind: bytes) -> tuple[bytes, int]:
    """As much of the file's end, before `behind`, as holds so many lines, and the file's size. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        end = start = os.fstat(fd).st_size
        data = behind
        while start > 0 and data.count(b"\n") <= lines and len(data) < MOST_BYTES:
            size = min(_BLOCK, start)
            start -= size
            data = os.pread(fd, size, start) + data
        return data, end
    finally:
        os.close(fd)
