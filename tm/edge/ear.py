"""A socket that programs send datagrams to, with who has sent each; and a note beside it of what they have said.

Guarantees: nothing waits; the kernel says who has sent (SCM_CREDENTIALS); descriptors that come along are closed at
once, which is all that BARRIER=1 asks for; a datagram that is too long is empty. The directory is ours alone to write
and nobody else's to list, and the name is random: who was not told it does not find the socket, whoever he is; who was
may send, also after he has given up his rights.
Leaves to others: what datagrams say (`core.utterance`), and whether the sender may say it (`daemon.kinship`).
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import struct
from contextlib import suppress
from typing import Any, Final, NamedTuple

_DATAGRAM_MOST: Final = 4096
"""As much as a service manager takes."""
_PATH_MOST: Final = 107
_DESCRIPTORS_MOST: Final = 253
_CREDENTIALS: Final = struct.Struct("3i")
_INT: Final = struct.calcsize("i")
_ANCILLARY: Final = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_DESCRIPTORS_MOST * _INT)
_FLAGS: Final = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
_NOTE: Final = ".json"


class Heard(NamedTuple):
    """One datagram, and the pid and uid of its sender; 0 for a pid of which we cannot know."""

    pid: int
    uid: int
    data: bytes


class Ear:
    """One socket. Owns its descriptor and its file."""

    def __init__(self, directory: str, name: str, fd: int | None = None) -> None:
        """Bind it, or go on with `fd`, which is bound there, and is the ear's from now on. Raises OSError."""
        self.name = name
        self.path = os.path.join(directory, name)
        if fd is not None:
            self._socket = socket.socket(fileno=fd)
            return
        if len(os.fsencode(self.path)) > _PATH_MOST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), self.path)
        _prepare(directory)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            self._socket.bind(self.path)
            os.chmod(self.path, 0o666)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def hear(self) -> Heard | None:
        """The next datagram; None when none waits."""
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(_DATAGRAM_MOST, _ANCILLARY, _FLAGS)
        except (BlockingIOError, InterruptedError):
            return None
        pid, uid = 0, -1
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                _close(content)
            elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid, uid, _ = _CREDENTIALS.unpack_from(content)
        return Heard(pid, uid, b"" if flags & socket.MSG_TRUNC else data)

    def note(self, facts: dict[str, Any]) -> None:
        """Put what was said beside it, for who comes next; where that cannot be, he begins anew."""
        draft = f"{self.path}.new"
        with suppress(OSError):
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(fd, "w", encoding="utf-8") as file:
                json.dump(facts, file)
            os.replace(draft, self.path + _NOTE)

    def close(self) -> None:
        """Nobody can send any more, and nothing is left of it. The descriptor is closed."""
        self._socket.close()
        remove(self.path)


def notes(directory: str) -> list[tuple[str, dict[str, Any]]]:
    """What was noted beside sockets, and their names; what makes no sense is left out."""
    found = []
    with suppress(OSError):
        for file in os.listdir(directory):
            if file.endswith(_NOTE):
                with suppress(OSError, ValueError), open(os.path.join(directory, file), encoding="utf-8") as text:
                    facts = json.load(text)
                    if isinstance(facts, dict):
                        found.append((file.removesuffix(_NOTE), facts))
    return found


def remove(path: str) -> None:
    """Remove a socket and what stands beside it; the directory too, when it is empty then."""
    for each in (path, path + _NOTE, f"{path}.new"):
        with suppress(OSError):
            os.unlink(each)
    with suppress(OSError):
        os.rmdir(os.path.dirname(path))


def sweep(directory: str, used: set[str]) -> None:
    """Remove what belongs to none of the sockets that are in use, by their names."""
    with suppress(OSError):
        for file in os.listdir(directory):
            if (name := file.partition(".")[0]) not in used:
                remove(os.path.join(directory, name))


def fresh_name() -> str:
    """A name that nobody guesses."""
    return os.urandom(6).hex()


def _prepare(directory: str) -> None:
    """The directory, which others may pass through and not read; so too that above it, where we are root, and programs
    may be others. Raises OSError.
    """
    with suppress(FileExistsError):
        os.mkdir(directory, 0o711)
        os.chmod(directory, 0o711)
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "it is no directory of ours", directory)
    above = os.path.dirname(directory)
    mode = stat.S_IMODE(os.stat(above).st_mode)
    if os.geteuid() == 0 and mode & 0o011 != 0o011:
        os.chmod(above, mode | 0o011)


def _close(content: bytes) -> None:
    """Close the descriptors of a message; what is left of a number that was cut off is none."""
    for (fd,) in struct.iter_unpack("i", content[: len(content) - len(content) % _INT]):
        os.close(fd)
