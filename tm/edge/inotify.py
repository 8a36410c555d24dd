"""Hearing from the kernel what happens in directories: inotify(7), without polling.

Guarantees: `fd` can be read when something has happened; what came is told in its order, with the name in its
directory. Nothing here waits.
Leaves to others: which directories, and what is below them: the kernel tells of one directory, not of a tree.

Traps: a watch follows the directory and not its name, so that one that was moved goes on being told of; a directory
that is gone is told by IGNORED, after which its number means nothing; where more happens than the kernel keeps,
OVERFLOW is all that comes, without a number.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

WRITTEN: Final = 0x8
MOVED_AWAY: Final = 0x40
MOVED_HERE: Final = 0x80
CREATED: Final = 0x100
DELETED: Final = 0x200
MOVED_ITSELF: Final = 0x800
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
DIRECTORY: Final = 0x40000000

_ONLY_DIRECTORIES: Final = 0x01000000
_MASK: Final = WRITTEN | MOVED_AWAY | MOVED_HERE | CREATED | DELETED | MOVED_ITSELF | _ONLY_DIRECTORIES
_HEAD: Final = struct.Struct("iIII")
_READ_BYTES: Final = 64 * 1024


class Happening(NamedTuple):
    """One event. `number`: the watch, -1 for OVERFLOW; `mask`: what, of the constants above; `name`: of what in it."""

    number: int
    mask: int
    name: str


class Inotify:
    """One instance. Owns `fd`."""

    def __init__(self) -> None:
        """Raises OSError, ENOSYS where there is no inotify."""
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, path: str) -> int:
        """Watch a directory; the number of the watch, the same where it is watched already. Raises OSError."""
        return self._checked(self._libc.inotify_add_watch(self.fd, os.fsencode(path), _MASK))

    def remove(self, number: int) -> None:
        """Watch it no more: IGNORED comes. Gone already: nothing happens."""
        self._libc.inotify_rm_watch(self.fd, number)

    def read(self) -> Iterator[Happening]:
        """What has happened since the last time, as much as comes at once."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size + length
            yield Happening(number, mask, os.fsdecode(data[at - length : at].rstrip(b"\0")))

    def close(self) -> None:
        """Give the descriptor back, and with it all watches."""
        os.close(self.fd)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return int(result)
