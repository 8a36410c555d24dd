"""Hearing from the kernel that a file may have lost its name: inotify, without polling.

Guarantees: `fd` can be read after the file was unlinked, renamed or replaced, or its directory renamed or removed;
changes elsewhere in the directory wake nobody. Where there is no inotify, or no instance is to be had, `fd` is None.
Leaves to others: looking whether the name is really gone. A rename further up is not heard of.

Why the file is watched and not its directory: /tmp would wake us at every file that comes and goes. A socket's inode
lives as long as the socket, so its end is never told; that its count of links has changed is (IN_ATTRIB).
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from typing import Final

_ATTRIB: Final = 0x4
_DELETE_SELF: Final = 0x400
_MOVE_SELF: Final = 0x800
_FILE: Final = _ATTRIB | _DELETE_SELF | _MOVE_SELF
_DIRECTORY: Final = _DELETE_SELF | _MOVE_SELF
_READ_BYTES: Final = 64 * 1024


class Presence:
    """Watches one path at a time. Owns `fd`."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._watches: list[int] = []
        self.fd: int | None = None
        if self._libc is not None:
            fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            self.fd = fd if fd >= 0 else None

    def look_at(self, path: str) -> None:
        """Watch the file that has this name now, and its directory; whatever was watched before no more."""
        if self._libc is None or self.fd is None:
            return
        for watch in self._watches:
            self._libc.inotify_rm_watch(self.fd, watch)
        named = ((path, _FILE), (os.path.dirname(path) or ".", _DIRECTORY))
        self._watches = [self._libc.inotify_add_watch(self.fd, os.fsencode(each), mask) for each, mask in named]
        self.drain()

    def drain(self) -> None:
        """Take what the kernel has told; that it told something is all that counts."""
        if self.fd is not None:
            with suppress(BlockingIOError):
                while len(os.read(self.fd, _READ_BYTES)) > _READ_BYTES // 2:
                    pass

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
