"""Opening log files, and rotating them.

Guarantees: a log is never truncated by being opened, created with mode 0644 less the umask, and not followed through a
link in a directory that others can write, neither to be opened nor to be rotated; nothing waits, for a FIFO neither.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from tm.core.rotation import names
from tm.core.trust import others_can_write


def is_named(path: str, own: os.stat_result) -> bool:
    """Whether the path still means the open file. What cannot be told counts as yes."""
    try:
        return os.path.samestat(os.stat(path), own)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def before(fd: int, at: int, count: int) -> bytes:
    """What stands before a position; nothing where that cannot be read."""
    with suppress(OSError):
        return os.pread(fd, count, max(0, at - count))
    return b""


def place(path: str) -> str:
    """Where a log is, and what was rotated beside it: behind a link, unless others could have put it there."""
    return path if _is_open_to_others(path) else os.path.realpath(path)


def open_log(path: str) -> int:
    """Open a log, or create it; not at its end yet. Raises OSError, ENXIO for a FIFO that nobody reads."""
    flags = os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    if _is_open_to_others(path):
        flags |= os.O_NOFOLLOW
    if _is_file(path):
        with suppress(PermissionError):  # it may be one that we can only write to
            return os.open(path, flags | os.O_RDWR, 0o644)
    return os.open(path, flags | os.O_WRONLY, 0o644)


def open_next(path: str, keep: int, fd: int) -> int:
    """The successor of the open file `fd`, with its owner and mode; that one is `path.1` then, and of its predecessors
    `keep` are left. Raises OSError.
    """
    path = place(path)
    for old, new in names(path, keep, os.path.lexists):
        with suppress(FileNotFoundError):  # somebody has taken it away, which is his right
            os.rename(old, new)
    if not keep:
        with suppress(FileNotFoundError):
            os.unlink(path)
    model = os.fstat(fd)
    fresh = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # only root can give it to somebody else
        os.fchown(fresh, model.st_uid, model.st_gid)
    os.fchmod(fresh, stat.S_IMODE(model.st_mode))
    return fresh


def _is_open_to_others(path: str) -> bool:
    """Whether others can write to its directory."""
    with suppress(OSError):
        return others_can_write(os.stat(os.path.dirname(path) or "."), os.geteuid(), os.getegid())
    return False


def _is_file(path: str) -> bool:
    """Whether it is a regular file, or will be one when it is made: to be read as well. To open something else for
    both does what nobody wants: a FIFO has a reader then.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return True
    except OSError:
        return False
