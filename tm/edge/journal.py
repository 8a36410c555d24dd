"""The file of the journal (`core.journal`): one write(2) a line, read again by the next daemon.

Guarantees: a line that was appended outlives its daemon, whatever ends that; the file never holds half a line followed
by others, since what could not be written whole is taken back, and what a killed writer left half is cut off when the
file is read; it is replaced as a whole, so that it is the old or the new one; no link is followed, and a file that is
a stranger's, or has a second name, is refused; others cannot read it.

Nothing is forced to the disk. The journal has to survive the daemon and not the machine: no process outlives a reboot,
and the boot id at its head tells that what is left of it means nothing any more.

Leaves to others: what the lines mean, when to compact, and that there is one writer, which the lock of the state
directory sees to (`edge.pidfile`); the size is counted here and not asked of the file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from tm.core.journal import BEGIN, Ledger, compacted, replay
from tm.core.trust import unfit

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_MODE: Final = 0o600
_MOST_LINE_BYTES: Final = 1 << 20
"""None of ours is so long; of one that is, no more is held in memory."""
_PIECE_BYTES: Final = 1 << 20
_SMALL_BYTES: Final = 64 * 1024
_GROWTH: Final = 4
_MOST_ASIDE: Final = 5
_MOST_NAMED: Final = 3


class Journal:
    """The open file. `path` is its name; `say` takes a sentence for the operator."""

    def __init__(self, path: str, say: Callable[[str], None], user: int | None = None) -> None:
        """Open it, or make it; `user`: whose it may be as well, who root is about to become. Raises OSError."""
        self.path = path
        self._say = say
        self._fd = _open(path, user)
        self._size_bytes = os.fstat(self._fd).st_size
        self._whole_bytes = 0
        self._compact_bytes = 0
        self._torn = False

    @property
    def wants_compaction(self) -> bool:
        """Whether it is no longer small, and has grown to several times what it was after the last time."""
        return self._size_bytes > max(_SMALL_BYTES, _GROWTH * self._compact_bytes)

    def load(self) -> Ledger:
        """Read it all, before anything is appended. A torn last line is cut off.

        Where other lines make no sense, that is told, the file is copied aside, and what makes sense is written anew.
        Raises OSError when it cannot be read, or its end not be cut off.
        """
        ledger, nonsense = replay(self._lines())
        if nonsense:
            self._mend(ledger, nonsense)
        if self._whole_bytes < self._size_bytes:
            self._size_bytes, self._torn = self._whole_bytes, True
            self._take_back()
        return ledger

    def append(self, line: bytes) -> None:
        """Write a line, with its end. Raises OSError when it could not be written whole; nothing of it is left then."""
        if self._torn:
            self._take_back()
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        except OSError:
            self._torn = True
            with suppress(OSError):  # no line is taken until that has succeeded
                self._take_back()
            raise
        self._size_bytes += written

    def compact(self, lines: Iterable[bytes]) -> None:
        """Let these be its content. Raises OSError; it is what it was then.

        Where we may not make a file in its directory, as a daemon that has given up root may not, it is written anew
        in its place, which a kill in the middle would cut short.
        """
        content = b"".join(lines)
        draft = f"{self.path}.new"
        try:
            with suppress(FileNotFoundError):
                os.unlink(draft)
            fd = os.open(draft, _FLAGS | os.O_EXCL, _MODE)
        except PermissionError:
            self._write_anew(content)
            return
        try:
            _write(fd, content)
            os.rename(draft, self.path)
        except OSError:
            os.close(fd)
            os.unlink(draft)
            raise
        os.close(self._fd)
        self._fd = fd
        self._size_bytes = self._compact_bytes = len(content)
        self._torn = False

    def _write_anew(self, content: bytes) -> None:
        """Replace what is in the open file. Raises OSError."""
        os.ftruncate(self._fd, 0)
        self._size_bytes, self._torn = 0, True
        _write(self._fd, content)
        self._size_bytes = self._compact_bytes = len(content)
        self._torn = False

    def remove(self) -> None:
        """It is not needed any more. Where it cannot be removed it stays."""
        with suppress(OSError):
            os.unlink(self.path)

    def fileno(self) -> int:
        """The descriptor, still its own."""
        return self._fd

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def _lines(self) -> Iterator[bytes]:
        """Each line that has an end, and how far they go; of one that is too long its beginning only."""
        self._whole_bytes = 0
        with open(self._fd, "rb", _PIECE_BYTES, closefd=False) as file:
            file.seek(0)
            while line := file.readline(_MOST_LINE_BYTES):
                length, rest = len(line), line
                while not rest.endswith(b"\n"):
                    rest = file.readline(_MOST_LINE_BYTES)
                    if not rest:
                        if not BEGIN.startswith(line[: len(BEGIN)]):  # what we left half begins as ours do
                            yield line
                        return
                    length += len(rest)
                self._whole_bytes += length
                yield line

    def _take_back(self) -> None:
        """Cut off what does not belong to it."""
        os.ftruncate(self._fd, self._size_bytes)
        self._torn = False

    def _mend(self, ledger: Ledger, nonsense: list[int]) -> None:
        """Tell of the nonsense, keep a copy of it, and write anew what makes sense."""
        told = f"the journal {self.path} holds {_named(nonsense)} and is read without; "
        try:
            copy = self._put_aside()
        except OSError as error:
            self._say(f"{told}it stays as it is, since it could not be copied aside: {error.strerror}")
            return
        instead = f"no copy of it is kept, since there are {_MOST_ASIDE}: look at {self.path}.broken-1 and remove them"
        self._say(told + (f"a copy of it is kept as {copy}" if copy else instead))
        with suppress(OSError):  # it stays as it is then, and is read without them again
            self.compact(compacted(ledger))
            self._whole_bytes = self._size_bytes

    def _put_aside(self) -> str:
        """Copy the file; the name of the copy, or '' when there are enough of them."""
        for number in range(1, _MOST_ASIDE + 1):
            with suppress(FileExistsError):
                copy = f"{self.path}.broken-{number}"
                self._copy(copy)
                return copy
        return ""

    def _copy(self, to: str) -> None:
        fd = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        try:
            at = 0
            while piece := os.pread(self._fd, _PIECE_BYTES, at):
                _write(fd, piece)
                at += len(piece)
        except OSError:
            os.unlink(to)
            raise
        finally:
            os.close(fd)


def look(path: str) -> Ledger:
    """What it comes to, for somebody who only wants to know: it is neither made nor mended. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    with open(fd, "rb") as file:
        _refuse_unfit(fd, path, None)
        return replay(file)[0]


def _open(path: str, user: int | None) -> int:
    fd = os.open(path, _FLAGS, _MODE)
    try:
        _refuse_unfit(fd, path, user)
        if os.fstat(fd).st_uid == os.geteuid():
            os.fchmod(fd, _MODE)
    except OSError:
        os.close(fd)
        raise
    return fd


def _refuse_unfit(fd: int, path: str, user: int | None) -> None:
    """What it says is believed, and processes are signalled for it: a stranger must not have written it."""
    status = os.fstat(fd)
    trusted = {0, user or 0, os.geteuid(), os.stat(os.path.dirname(path) or ".").st_uid}
    if (why := unfit(status, status.st_nlink, trusted)) is not None:
        raise OSError(*why, path)


def _write(fd: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left) :]


def _named(numbers: list[int]) -> str:
    """`a line that makes no sense (12)`, `9 lines that make no sense (1, 2, 3, ...)`."""
    if len(numbers) == 1:
        return f"a line that makes no sense ({numbers[0]})"
    first = ", ".join(map(str, numbers[:_MOST_NAMED])) + (", ..." if len(numbers) > _MOST_NAMED else "")
    return f"{len(numbers)} lines that make no sense ({first})"
