"""A few numbers that outlive the process: pairs of numbers in a file that is mapped into memory.

Guarantees: what was noted is in the file at once, also when the process is killed, and costs no system call; it stays
there until something else is noted under the same number, so that a process that is killed before it has noted anything
leaves what it found; the file has its room from the beginning, so that a full disk does no harm; a file that cannot be
had or makes no sense is as one that is empty.
Leaves to others: what the numbers mean (`daemon.log_files`).
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from typing import Final

_PAIR: Final = struct.Struct("=QQ")
_NUMBER: Final = struct.Struct("=Q")
_MOST: Final = 4096


class Slots:
    """The slots of one file. `left`: the pairs that the last process has left, the second number by the first."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.left: dict[int, int] = {}
        self._free: list[int] = []
        self._left_at: dict[int, int] = {}
        self._memory: mmap.mmap | None = None
        with suppress(OSError, ValueError):
            self._memory = self._map(path)

    def take(self, key: int) -> int | None:
        """A slot for this number, the one that it had; None: there is none."""
        if self._memory is None:
            return None
        if (slot := self._left_at.pop(key, None)) is not None:
            return slot
        if not self._free:
            self._free, self._left_at = list(self._left_at.values()), {}
        if not self._free:
            return None
        slot = self._free.pop()
        _PAIR.pack_into(self._memory, slot * _PAIR.size, key, 0)
        return slot

    def note(self, slot: int, number: int) -> None:
        """Let it be the second number of a slot."""
        if self._memory is not None:
            _NUMBER.pack_into(self._memory, slot * _PAIR.size + _NUMBER.size, number)

    def give_back(self, slot: int) -> None:
        """It is not needed any more."""
        if self._memory is not None:
            _PAIR.pack_into(self._memory, slot * _PAIR.size, 0, 0)
            self._free.append(slot)

    def give_to(self, uid: int, gid: int) -> None:
        """Let the file belong to whom the daemon is about to become. Raises OSError."""
        if self._memory is not None:
            os.chown(self._path, uid, gid, follow_symlinks=False)

    def close(self) -> None:
        """Nothing is noted any more."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def remove(self) -> None:
        """Nobody has to know. Where the file cannot be removed it stays."""
        with suppress(OSError):
            os.unlink(self._path)

    def _map(self, path: str) -> mmap.mmap:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        try:
            size = _MOST * _PAIR.size
            content = os.pread(fd, size, 0)
            os.posix_fallocate(fd, 0, size)
            memory = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        if len(content) < size:
            memory[:] = content = bytes(size)
        pairs = list(_PAIR.iter_unpack(content))
        self.left = {key: number for key, number in pairs if key and number}
        self._left_at = {key: slot for slot, (key, number) in enumerate(pairs) if key and number}
        taken = set(self._left_at.values())
        self._free = [slot for slot in range(_MOST - 1, -1, -1) if slot not in taken]
        return memory
