"""The file of a listening AF_UNIX socket: made, kept, made again, removed.

Guarantees: the file is its owner's alone (0600), or his and a named group's (0660), from the first moment that it
listens, and a directory that had to be made is its owner's alone; a
dead socket is replaced, a living one is `Held` and left as it is, what is no socket is never removed; at `close` the
file goes only where its name still means this very socket. The file of a socket that a service manager made is its
own: whatever becomes of it is left as it is.
Leaves to others: watching (`faces.hub`), who knocks (`edge.door`), noticing that the name is gone (`edge.presence`),
what is said.

Traps: a socket that was bound but does not listen yet looks dead. So whoever binds holds a lock on the directory until
it listens, and whoever probes holds it too. A stranger can hold such a lock for ever where he may read the directory:
it is waited for a short time only. The credentials that a client sees are those of the process that called listen(2):
`adopt` calls it again, in the process that serves. By the same credentials a socket that was handed over finds out
whether its path still means it: nothing else that the kernel tells to everybody connects the two.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATH_BYTES = 107
"""The longest path that every kernel takes."""

_BACKLOG = 1024
_LOCK_TRIES, _LOCK_WAIT_S = 50, 0.01


class Unusable(Exception):
    """There can be no socket at this path; the text is a sentence for people."""


class Held(Unusable):
    """A living process listens there. `pid`: which, where the kernel says it."""

    def __init__(self, path: str, pid: int | None) -> None:
        super().__init__(f"the control socket {path} is held by another process{f', pid {pid}' if pid else ''}.")
        self.path = path
        self.pid = pid


class Listener:
    """A socket that listens at `path`. Owns the descriptor and the file. `gid`: whose members may use it, None: nobody
    but the owner.
    """

    def __init__(self, path: str, gid: int | None = None) -> None:
        """Make it. Raises Held or Unusable, and has changed nothing then."""
        self.path = path
        self.gid = gid
        self._owned = True
        self._made_directory = not os.path.lexists(os.path.dirname(path) or ".")
        self._socket, self._inode = _make(path, gid, _LOCK_TRIES)

    @classmethod
    def over(cls, fd: int, path: str, gid: int | None, owned: bool) -> Listener:
        """Around `fd`, which listens at `path` already and is the listener's from now on. `owned`: the file was made
        by an earlier daemon and is ours; else it is a service manager's. Raises OSError, and has closed nothing then.
        """
        given = socket.socket(fileno=fd)
        try:
            given.set_inheritable(False)
            given.setblocking(False)
            given.listen(_BACKLOG)
        except OSError:
            given.detach()
            raise
        made = cls.__new__(cls)
        made.path, made.gid, made._owned, made._made_directory = path, gid, owned, False
        made._socket, made._inode = given, _inode(path) if owned and _named(path) else None
        return made

    @property
    def owned(self) -> bool:
        """Whether the file is ours."""
        return self._owned

    def fileno(self) -> int:
        """The descriptor to be watched; another one after `renew` has returned true."""
        return self._socket.fileno()

    def descriptors(self) -> list[int]:
        """What has to stay open on the way into the background."""
        return [self.fileno()]

    def adopt(self) -> None:
        """The calling process is the one that serves, and its credentials are what clients see from now on."""
        self._socket.listen(_BACKLOG)

    def give_to(self, uid: int, gid: int) -> None:
        """Let the file belong to whom the daemon is about to become. Raises OSError."""
        if self._made_directory:
            os.chown(os.path.dirname(self.path), uid, gid if self.gid is None else self.gid, follow_symlinks=False)
        if self._owned and self.named:
            os.chown(self.path, uid, gid if self.gid is None else self.gid, follow_symlinks=False)

    @property
    def named(self) -> bool:
        """Whether the path still means this socket; always true where the file is not ours to see to."""
        return not self._owned or (self._inode is not None and _inode(self.path) == self._inode)

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

    def accept(self) -> socket.socket:
        """The next one who waits. Raises OSError, BlockingIOError when nobody does."""
        return self._socket.accept()[0]

    def close(self) -> None:
        """Listen no more; remove the file where it is ours. Closed already: nothing happens."""
        if self.closed:
            return
        with suppress(OSError):
            if self._owned and self.named:
                os.unlink(self.path)
        self._socket.close()


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
        raise Held(path, _listening(probe))


def _named(path: str) -> bool:
    """Whether `path` means the socket that this process was the last to call listen(2) on; one that is too busy to
    be asked is taken for it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return _listening(probe) in (os.getpid(), None)


def _listening(probe: socket.socket) -> int | None:
    """The pid of who listens at the other end; None where the kernel does not say it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")
    pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid or None


def _inode(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
