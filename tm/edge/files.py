"""Log files: opening and rotating them, and knowing what others do to them.

Guarantees: a log is never truncated by being opened, created with mode 0644 less the umask, and not followed through a
link in a directory that others can write, neither to be opened nor to be rotated; nothing waits, for a FIFO neither. A
file that was renamed, removed or truncated from outside is noticed before the next transfer, within LOOK_S of the last
look while output floods, also where it had no descriptor meanwhile.
Leaves to others: what is written (`edge.sinks`), and who has to do without a descriptor (`daemon.log_files`).

Trap: splice refuses a file that is open for appending, so the position is ours to keep, and a file that has grown
otherwise has another writer: from then on it is appended to, by read and write. File systems that cannot splice get the
same.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from tm.core.rotation import names
from tm.core.trust import others_can_write

LOOK_S = 0.1

Opening: TypeAlias = Callable[[], int]


def _open_it(opening: Opening) -> int:
    return opening()


class OpenLog:
    """A log that is open, at its end. Owns its descriptor; that of a regular file it has while it needs one.

    `path` is its name. `at`: how far what we have written goes; `splices`: whether it takes bytes by splice;
    `identity`: device and inode. `say` hears what is to be told, `on_open` that it has a descriptor, and whether that
    is of another file than before.
    """

    __slots__ = ("_fd", "_looked_at", "_with_room", "at", "identity", "is_file", "on_open", "path", "say", "splices")

    def __init__(self, path: str, say: Callable[[str], None], with_room: Callable[[Opening], int] = _open_it) -> None:
        """Open or create it. Raises OSError, ENXIO for a FIFO that nobody reads. `with_room` opens it, where there is
        no descriptor for it after others have been given back.
        """
        self.path = path
        self.say = say
        self._with_room = with_room
        self._fd = -1
        self._looked_at = 0.0
        self.at = 0
        self.on_open: Callable[[bool], None] = _nobody_hears
        self._begin(self._open())

    @property
    def fd(self) -> int:
        """The descriptor, still its own; a new one where the last was given back. Raises OSError."""
        if self._fd < 0:
            self._resume(self._open())
        return self._fd

    @property
    def resting(self) -> bool:
        """Whether it has none at present."""
        return self._fd < 0

    def rest(self) -> None:
        """Give the descriptor of a regular file back until it is needed. What the path means then is looked at."""
        if self.is_file:
            self.close()

    def look(self) -> None:
        """See what others have done to it: renamed, removed or truncated it, or written to it. Raises OSError when it
        is gone and cannot be made again.
        """
        if not self.is_file:
            return
        end = os.lseek(self.fd, 0, os.SEEK_END)
        now = time.monotonic()
        if now >= self._looked_at + LOOK_S:
            self._looked_at = now
            own = os.fstat(self._fd)
            if not _is_named(self.path, own):
                self._replace(own)
                return
        if end > self.at and self.splices:
            self.say(f"log {self.path} has another writer: it is appended to by read and write from now on")
            self.append()
        self.at = end

    def append(self) -> None:
        """Let the kernel find the end at every write."""
        self.splices = False
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) | os.O_APPEND)

    def before(self, count: int) -> bytes:
        """What stands before `at`; nothing where that cannot be read."""
        with suppress(OSError):
            return os.pread(self.fd, count, max(0, self.at - count))
        return b""

    def cut(self, at: int) -> None:
        """Let it end there. Raises OSError."""
        os.ftruncate(self.fd, at)
        self.at = os.lseek(self.fd, at, os.SEEK_SET)

    def rotate(self, keep: int) -> None:
        """Go on in its successor, being `path.1`. Raises OSError and goes on as it was."""
        self._begin(open_next(self.path, keep, self.fd))

    def reopen(self) -> None:
        """Open the path anew (it was renamed or removed) and go on there; raises OSError and keeps the old file."""
        self._begin(self._open())

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        return self._with_room(partial(open_log, self.path))

    def _begin(self, fd: int) -> None:
        """Go on in this file, at its end."""
        self.close()
        self._fd = fd
        own = os.fstat(fd)
        self.identity = (own.st_dev, own.st_ino)
        self.is_file = stat.S_ISREG(own.st_mode)
        self.at = os.lseek(fd, 0, os.SEEK_END) if self.is_file else 0
        self.splices = self.is_file and hasattr(os, "splice")
        if self.is_file and not self.splices:
            self.append()
        self._looked_at = time.monotonic()
        self.on_open(True)

    def _resume(self, fd: int) -> None:
        """Go on in this file, if it is the one that it was."""
        own = os.fstat(fd)
        if (own.st_dev, own.st_ino) != self.identity:
            self._begin(fd)
            return
        self._fd = fd
        if not self.splices:
            self.append()
        self.on_open(False)

    def _replace(self, own: os.stat_result) -> None:
        """The path means another file by now, or none. As long as the old one has a name nothing is lost in it."""
        try:
            self.reopen()
        except OSError:
            if own.st_nlink == 0:
                raise


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


def _is_named(path: str, own: os.stat_result) -> bool:
    """Whether the path still means the open file. What cannot be told counts as yes."""
    try:
        return os.path.samestat(os.stat(path), own)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _nobody_hears(_fresh: bool) -> None:
    pass
