"""A file that is held by flock(2) for as long as its daemon lives: the pidfile, and the lock of a state directory.

Guarantees: whether a daemon lives is asked of the lock, never of the number in the file, so that a stale file is taken
over and a living one is left exactly as it was; a holder's file is not removed by anybody else; no link is followed,
and a file that is a stranger's, or has a second name, is refused.

The lock belongs to the open file, not to a process: it goes through fork, and ends with the last copy of the
descriptor. That is why the starter of a daemon may simply leave, why a daemon's death does not end it while its
guardian lives, and why it is unlocked by hand at an end in order.

Traps: between our open and our lock the earlier holder may have removed the file; what is locked then has no name any
more, and it is opened again.
"""

from __future__ import annotations

import fcntl
import os

from tm.core.trust import unfit

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_MOST_BYTES = 8192


class Held(Exception):
    """Another one lives. `lines`: what it wrote into the file, none when it has only just begun."""

    def __init__(self, path: str, lines: tuple[str, ...]) -> None:
        super().__init__(path)
        self.path = path
        self.lines = lines

    @property
    def pid(self) -> int | None:
        """Its pid, when it has said it."""
        word = self.lines[0] if self.lines else ""
        return int(word) if word.isascii() and word.isdecimal() else None


def is_held(path: str) -> bool:
    """Whether a daemon has it, as far as the kernel tells; the file is left alone. To try the lock would, for a moment,
    keep a daemon that just starts from having it.
    """
    try:
        number = b":%d" % os.stat(path).st_ino
        with open("/proc/locks", "rb") as locks:
            return any(b"FLOCK" in line and line.split()[5].endswith(number) for line in locks)
    except OSError:
        return False


class Pidfile:
    """A file that is ours. The descriptor stays open, and the file locked, until `release` or the end."""

    def __init__(self, path: str, mode: int) -> None:
        """Take it over, or make it. Raises Held and changes nothing, or OSError."""
        self.path = path
        self._fd = _take(path, mode)

    @classmethod
    def over(cls, path: str, fd: int) -> Pidfile:
        """Around a descriptor that holds it already, and is the pidfile's from now on."""
        made = cls.__new__(cls)
        made.path, made._fd = path, fd
        return made

    def fileno(self) -> int:
        """The descriptor, still ours."""
        return self._fd

    def write(self, *lines: str) -> None:
        """Let these be its content, which it never is without. Raises OSError."""
        content = os.fsencode("".join(f"{line}\n" for line in lines))
        os.pwrite(self._fd, content.ljust(os.fstat(self._fd).st_size, b"\n"), 0)
        os.ftruncate(self._fd, len(content))

    def release(self) -> None:
        """Remove the file, or empty it where the directory is not ours; then give it up, also for a guardian that holds
        it as well.
        """
        try:
            if _is_named(self._fd, self.path):
                os.unlink(self.path)
        except OSError:
            os.ftruncate(self._fd, 0)
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)


def _take(path: str, mode: int) -> int:
    while True:
        fd = os.open(path, _FLAGS, mode)
        try:
            _refuse_unfit(fd, path)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(fd, path):
                os.fchmod(fd, mode) if os.fstat(fd).st_uid == os.geteuid() else None
                return fd
        except BlockingIOError:
            lines = os.pread(fd, _MOST_BYTES, 0).decode(errors="replace").splitlines()
            os.close(fd)
            raise Held(path, tuple(lines)) from None
        except OSError:
            os.close(fd)
            raise
        os.close(fd)


def _is_named(fd: int, path: str) -> bool:
    """Whether the name still means the open file."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _refuse_unfit(fd: int, path: str) -> None:
    """What a stranger has put there is neither written to nor believed."""
    status = os.fstat(fd)
    trusted = {0, os.geteuid(), os.stat(os.path.dirname(path) or ".").st_uid}
    if (why := unfit(status, status.st_nlink, trusted)) is not None:
        raise OSError(*why, path)
