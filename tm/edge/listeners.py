"""Sockets that listen for others: opened, their files given to whom they are for, removed; and who has a place already.

Guarantees: the file of a socket is its owner's alone until it has the mode and the owner that were asked for, and
nobody can connect before that; a dead socket's file is replaced, a living one and what is no socket are left as they
are; a file is removed only where its name still means this very socket. Nothing here waits or asks for a name.
Leaves to others: which sockets there are and how long (`daemon.listening`), and who answers.

Traps: a socket that was bound but does not listen yet looks dead. So whoever binds holds a lock on the directory until
it listens, as `edge.sockets` does; where somebody holds it just now that is done without. A path may be exchanged while
it is looked at: what is changed is what was opened, and that is a socket. Descriptors are blocking, as programs expect
that know LISTEN_FDS; they share what one of them sets with fcntl(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

BACKLOG: Final = 4096
"""Who waits to be let in; the kernel has a limit of its own: net.core.somaxconn."""
_PIDFD_GETFD: Final = 438
_FIRST: Final = 3
_LISTENS: Final = "0A"


class File(NamedTuple):
    """What tells the file of a socket from all others; (0, 0): there is none."""

    device: int = 0
    inode: int = 0


class Occupied(OSError):
    """A living process listens there; `pid`: which, or 0."""

    def __init__(self, pid: int) -> None:
        super().__init__(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self.pid = pid


def tcp(host: str, port: int) -> int:
    """A descriptor that listens there, the caller's. Raises OSError."""
    family, kind, protocol, _, place = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )[0]
    with socket.socket(family, kind, protocol) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(BACKLOG)
        return made.detach()


def unix(path: str, mode: int, uid: int, gid: int) -> tuple[int, File]:
    """The same at a path, with its file given to whom it is for; -1 leaves that as it is. Raises OSError, Occupied."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made, _alone(os.path.dirname(path)):
        _bind(made, path)
        file = _file(path)
        try:
            give(path, file, mode, uid, gid)
            made.listen(BACKLOG)
        except OSError:
            remove(path, file)
            raise
        return made.detach(), file


def give(path: str, file: File, mode: int, uid: int, gid: int) -> None:
    """Let the file have this mode and belong to them. Raises OSError, also where the path means another one by now."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISSOCK(status.st_mode) or (status.st_dev, status.st_ino) != file:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        own = f"/proc/self/fd/{fd}"
        if (uid, gid) != (-1, -1):
            os.chown(own, uid, gid)
        os.chmod(own, mode)
    finally:
        os.close(fd)


def remove(path: str, file: File) -> None:
    """Remove it, where it is still there."""
    with suppress(OSError):
        if _file(path) == file:
            os.unlink(path)


def end(fd: int) -> None:
    """Let nobody listen at it any more, in whatever process; who waits to be let in is hung up on."""
    with socket.socket(fileno=os.dup(fd)) as listening, suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)


def occupants(host: str, port: int) -> list[int]:
    """The processes that listen at a port, as far as they can be seen; those of all addresses of the machine."""
    inodes = {inode for inode, at in _listening() if at == port}
    names = {f"socket:[{inode}]" for inode in inodes}
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if names and _has(pid, names)]


def taken_back(pid: int, count: int, host: str, port: int, path: str) -> int | None:
    """A descriptor, the caller's, for the socket that a process was given among its first `count` and that listens at
    this place; None where it has none, or the kernel does not let us have it.
    """
    with suppress(OSError, AttributeError):
        process = os.pidfd_open(pid)
        try:
            for number in range(_FIRST, _FIRST + count):
                fd = ctypes.CDLL(None).syscall(_PIDFD_GETFD, process, number, 0)
                if fd >= 0 and _is_at(fd, host, port, path):
                    return int(fd)
                if fd >= 0:
                    os.close(fd)
        finally:
            os.close(process)
    return None


def _is_at(fd: int, host: str, port: int, path: str) -> bool:
    """Whether it is a socket that listens at this place."""
    try:
        given = socket.socket(fileno=os.dup(fd))
    except OSError:
        return False
    with given:
        if not given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        place = given.getsockname()
        return place == path if isinstance(place, str) else path == "" and tuple(place[:2]) == (host, port)


def file_of(path: str) -> File:
    """The file of a socket that listens at `path`, for who has found it there."""
    return _file(path)


def _file(path: str) -> File:
    try:
        status = os.lstat(path)
    except OSError:
        return File()
    return File(status.st_dev, status.st_ino)


@contextmanager
def _alone(directory: str) -> Iterator[None]:
    """A private umask, and nobody else of us at work in the directory, as far as that can be had at once."""
    before, fd = os.umask(0o177), -1
    try:
        with suppress(OSError):
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.umask(before)
        if fd >= 0:
            os.close(fd)


def _bind(made: socket.socket, path: str) -> None:
    """Bind, over the file of a dead socket where there is one. Raises OSError, Occupied."""
    try:
        made.bind(path)
        return
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    _refuse_living(path)
    with suppress(FileNotFoundError):
        os.unlink(path)
    made.bind(path)


def _refuse_living(path: str) -> None:
    """Raises Occupied where somebody listens, FileExistsError where it is no socket, OSError where nobody can tell."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "it is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError as error:
            if error.errno in (errno.EPROTOTYPE, errno.EAGAIN):  # of another sort, or too busy: alive
                raise Occupied(0) from None
            raise
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        raise Occupied(pid)


def _listening() -> Iterator[tuple[str, int]]:
    """Every TCP socket of the machine that listens: its inode and its port."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError), open(f"/proc/net/{name}", encoding="ascii") as table:
            for line in table:
                words = line.split()
                if len(words) > 9 and words[3] == _LISTENS:
                    yield words[9], int(words[1].rpartition(":")[2], 16)


def _has(pid: int, names: set[str]) -> bool:
    with suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in names:
                    return True
    return False
