"""Reading a log from its end.

Guarantees: the last lines of a file of any size take constant memory and a number of reads that depends on the lines
asked for, at most MOST_BYTES; a file is never created, changed or locked.
"""

from __future__ import annotations

import os

from tm.core.lines import last

MOST_BYTES = 1024 * 1024
_BLOCK = 16 * 1024


def tail(path: str, lines: int) -> tuple[list[bytes], int]:
    """The last `lines` lines of the file and the offset behind them. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        end = os.fstat(fd).st_size
        start = end
        data = b""
        while start > 0 and data.count(b"\n") <= lines and len(data) < MOST_BYTES:
            size = min(_BLOCK, start)
            start -= size
            data = os.pread(fd, size, start) + data
        return last(data, lines), end
    finally:
        os.close(fd)
