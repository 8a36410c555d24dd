"""The file of a listening AF_UNIX socket: made, kept, made again, removed; and who knocks at it.

Guarantees: the file is its owner's alone (0600), or his and a named group's (0660), from the first moment that it
listens, and a directory that had to be made is its owner's alone; a
dead socket is replaced, a living one is `Held` and left as it is, what is no socket is never removed; at `close` the
file goes only where its name still means this very socket. A few descriptors are kept in reserve, so that clients are
let in though children have taken all others; who gets none is told so and hung up on, by means of the last. The kernel
says who a peer is, not the peer.
Leaves to others: watching (`faces.hub`), noticing that the name is gone (`edge.presence`), and what is said.

Traps: a socket that was bound but does not listen yet looks dead. So whoever binds holds a lock on the directory until
it listens, and whoever probes holds it too. A stranger can hold such a lock for ever where he may read the directory:
it is waited for a short time only. The credentials that a client sees are those of the process that called listen(2):
`adopt` calls it again, in the process that serves.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

PATH_BYTES = 107
"""The longest path that every kernel takes."""

_BACKLOG = 1024
_SO_PEERGROUPS = 59
_GROUPS_BYTES = 1024
"""As much as `getsockopt` takes: 256 groups."""
_LOCK_TRIES, _LOCK_WAIT_S = 50, 0.01
_RESERVE = 5
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
_NOBODY = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNABORTED})


class Unusable(Exception):
    """There can be no socket at this path; the text is a sentence for people."""


class Held(Unusable):
    """A living process listens there. `pid`: which, where the kernel says it."""

    def __init__(self, path: str, pid: int | None) -> None:
        super().__init__(f"the control socket {path} is held by another process{f', pid {pid}' if pid else ''}.")
        self.path = path
        self.pid = pid


class Peer(NamedTuple):
    """Who is at the other end. `pid` is 0 where the kernel does not say it."""

    pid: int
    uid: int
    groups: frozenset[int]


class Listener:
    """A socket that listens at `path`. Owns the descriptor and the file. `gid`: whose members may use it, None: nobody
    but the owner.
    """

    def __init__(self, path: str, gid: int | None = None) -> None:
        """Make it. Raises Held or Unusable, and has changed nothing then."""
        self.path = path
        self.gid = gid
        self._made_directory = not os.path.lexists(os.path.dirname(path) or ".")
        self._socket, self._inode = _make(path, gid, _LOCK_TRIES)
        self._reserve: list[int] = []
        self.refill()

    def fileno(self) -> int:
        """The descriptor to be watched; another one after `renew` has returned true."""
        return self._socket.fileno()

    def descriptors(self) -> list[int]:
        """What has to stay open on the way into the background."""
        return [self.fileno(), *self._reserve]

    def adopt(self) -> None:
        """The calling process is the one that serves, and its credentials are what clients see from now on."""
        self._socket.listen(_BACKLOG)

    def give_to(self, uid: int, gid: int) -> None:
        """Let the file belong to whom the daemon is about to become. Raises OSError."""
        if self._made_directory:
            os.chown(os.path.dirname(self.path), uid, gid if self.gid is None else self.gid, follow_symlinks=False)
        if self.named:
            os.chown(self.path, uid, gid if self.gid is None else self.gid, follow_symlinks=False)

    @property
    def named(self) -> bool:
        """Whether the path still means this socket."""
        return self._inode is not None and _inode(self.path) == self._inode

    @property
    def closed(self) -> bool:
        """Whether it listens no more."""
        return self._socket.fileno() < 0

    def renew(self) -> bool:
        """Make the file again where it is gone; whether that was so. Who knocked at the old one and was not let in yet
        is hung up on. Raises Held or Unusable.
        """
        if self.named:
            return False
        fresh, inode = _make(self.path, self.gid, 1)
        self._socket.close()
        self._socket, self._inode = fresh, inode
        return True

    def accept(self, busy: bytes) -> tuple[socket.socket, Peer] | None:
        """Let the next one in, not blocking; None when nobody waits, or when there is no descriptor for him: then he
        has heard `busy`. Raises OSError when there is not even the one in reserve.
        """
        self.refill()
        had = len(self._reserve)
        client = self._next()
        if client is None:
            return None
        if had and not self._reserve:
            turn_away(client, busy)
            self.refill()
            return None
        client.setblocking(False)
        return client, peer(client)

    def close(self) -> None:
        """Listen no more; remove the file where it is ours. Closed already: nothing happens."""
        if self.closed:
            return
        with suppress(OSError):
            if self.named:
                os.unlink(self.path)
        self._socket.close()
        while self._reserve:
            os.close(self._reserve.pop())

    def refill(self) -> None:
        """Take back into reserve what clients have left; to be called when one is gone."""
        with suppress(OSError):
            while len(self._reserve) < _RESERVE and not self.closed:
                self._reserve.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def _next(self) -> socket.socket | None:
        """Accept, at the expense of the reserve where nothing else is left; None when nobody waits. Raises OSError."""
        try:
            return self._socket.accept()[0]
        except OSError as error:
            if error.errno in _NOBODY:
                return None
            if error.errno not in _NO_DESCRIPTOR or not self._reserve:
                raise
        os.close(self._reserve.pop())
        return self._next()


def turn_away(client: socket.socket, line: bytes) -> None:
    """Say `line`, which a fresh socket takes whole, and hang up."""
    with client, suppress(OSError):
        client.setblocking(False)
        client.send(line)


def peer(client: socket.socket) -> Peer:
    """Who is at the other end of a connected socket. Raises OSError."""
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("3i")
        pid, user, group = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return Peer(pid, user, frozenset((group, *_groups(client))))
    uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
    if ctypes.CDLL(None, use_errno=True).getpeereid(client.fileno(), ctypes.byref(uid), ctypes.byref(gid)) != 0:
        raise OSError(ctypes.get_errno(), "the peer's credentials cannot be read")
    return Peer(0, uid.value, frozenset((gid.value,)))


def _groups(client: socket.socket) -> tuple[int, ...]:
    """The peer's supplementary groups; none where the kernel does not tell them, or there are more than fit."""
    try:
        data = client.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:
        return ()
    return struct.unpack(f"{len(data) // 4}I", data)


def _make(path: str, gid: int | None, tries: int) -> tuple[socket.socket, tuple[int, int] | None]:
    """A listening socket at `path`, and the inode of its file. Raises Held or Unusable."""
    if len(os.fsencode(path)) > PATH_BYTES:
        raise Unusable(
            f"the control socket's path has {len(os.fsencode(path))} bytes, at most {PATH_BYTES} are possible: {path}. "
            "Name a shorter one with --socket."
        )
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        with _alone(os.path.dirname(path) or ".", gid, tries):
            _bind(made, path)
            if gid is not None:
                os.chown(path, -1, gid, follow_symlinks=False)
                os.chmod(path, 0o660)
            made.listen(_BACKLOG)
            return made, _inode(path)
    except OSError as error:
        made.close()
        reason = os.strerror(error.errno or 0) if error.errno else str(error)
        raise Unusable(f"the control socket {path} cannot be made: {reason}. Name another with --socket.") from None
    except Unusable:
        made.close()
        raise


@contextmanager
def _alone(directory: str, gid: int | None, tries: int) -> Iterator[None]:
    """The directory there, a private umask, and nobody else of us at work in it."""
    before = os.umask(0o077)
    try:
        if not os.path.isdir(directory):
            os.makedirs(directory, 0o700, exist_ok=True)
            if gid is not None:
                os.chown(directory, -1, gid)
                os.chmod(directory, 0o710)
        os.umask(0o177)
        with _locked(directory, tries):
            yield
    finally:
        os.umask(before)


@contextmanager
def _locked(directory: str, tries: int) -> Iterator[None]:
    fd = None
    try:
        with suppress(PermissionError):
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _lock(fd, tries)
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _lock(fd: int, tries: int) -> None:
    for _ in range(tries):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                return  # a file system without locks
        select.select([], [], [], _LOCK_WAIT_S)


def _bind(made: socket.socket, path: str) -> None:
    """Bind, over the file of a dead socket where there is one. Raises Held, Unusable, OSError."""
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
    """Raises Held when somebody listens at `path`, Unusable when it is no socket, OSError when it cannot be told."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise Unusable(f"{path} is there and is no socket. Remove it, or name another with --socket.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            raise Held(path, None) from None
        except OSError as error:
            if error.errno == errno.EPROTOTYPE:
                raise Held(path, None) from None
            raise
        raise Held(path, peer(probe).pid or None)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
