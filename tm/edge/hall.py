"""The hall between guardian and daemon: messages with descriptors, and files in memory for what goes through exec.

Guarantees: a message arrives whole, in order, with its descriptors, or not at all; nothing waits; a file in memory is
nobody else's and ends with its last descriptor.
Leaves to others: what is said (`daemon.guardian`, `daemon.ward`).

Traps: SCM_RIGHTS takes at most 253 descriptors a message; what is one too many for the receiver is not delivered, and
those before it are.
"""

from __future__ import annotations

import array
import marshal
import os
import socket
from typing import Any

VERSION = 1
VARIABLE = "TASKMASTER_INHERITED"
"""In the daemon's environment: the descriptor of the file that says what it inherits."""
MOST_FDS = 253
_MOST_BYTES = 65536
_RIGHTS_BYTES = socket.CMSG_LEN(MOST_FDS * 4)


class Word:
    """What is said: by the daemon, but for the last two."""

    KEEP = "keep"
    """Have these, by their names; a descriptor goes with each."""
    DROP = "drop"
    """Have those of these names no more."""
    NOTED = "noted"
    """How the process with this pid ended is on record."""
    READY = "ready"
    """The daemon is up."""
    STOPPING = "stopping"
    """It leaves, on behalf of somebody: whoever comes after its death has to go on with that."""
    TRYING = "trying"
    """Another version begins in its place."""
    RENEW = "renew"
    """Run the code that is kept, which is of another version by now."""
    HERE = "here"
    """The guardian begins."""
    EXITED = "exited"
    """A child with this pid has ended, in this way, as waitpid(2) has it; of who led a session also when it had begun,
    in clock ticks since boot.
    """


class Hall:
    """One end. Owns its socket. `kept`: the descriptors that go with the names of a `keep`, as they are when it is
    sent; what was dropped until then is left out.
    """

    def __init__(self, end: socket.socket, kept: dict[str, int]) -> None:
        end.setblocking(False)
        self._end = end
        self._kept = kept
        self._owed: list[tuple[str, ...]] = []

    @property
    def owes(self) -> bool:
        """Whether it has something to send, when that can be."""
        return bool(self._owed)

    def fileno(self) -> int:
        """The descriptor, still ours."""
        return self._end.fileno()

    def say(self, word: str, *names: str) -> None:
        """Send it, in as many messages as it takes, now or with `send`."""
        self._owed += [(word, *names[at : at + MOST_FDS]) for at in range(0, len(names) or 1, MOST_FDS)]
        self.send()

    def send(self) -> None:
        """Send what is owed, as far as it is taken. Where the other side is gone nothing is owed any more."""
        try:
            while self._owed:
                self._send(self._owed[0])
                del self._owed[0]
        except BlockingIOError:
            pass
        except OSError:
            self._owed = []

    def hear(self) -> tuple[str, str, list[int]] | None:
        """The next message: its word, the rest, the descriptors, which are the caller's. None: there is none now.

        Raises EOFError when the other side is gone.
        """
        try:
            content, rights, _, _ = self._end.recvmsg(_MOST_BYTES, _RIGHTS_BYTES, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        except ConnectionError:
            raise EOFError from None
        if not content:
            raise EOFError
        fds = array.array("i")
        for level, kind, data in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        word, _, rest = content.decode("utf-8", "surrogateescape").partition(" ")
        return word, rest, list(fds)

    def close(self) -> None:
        """Give the socket back."""
        self._end.close()

    def _send(self, message: tuple[str, ...]) -> None:
        word, *names = message
        rights = []
        if word == Word.KEEP:
            names = [name for name in names if name in self._kept]
            fds = array.array("i", [self._kept[name] for name in names])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
        if names or word != Word.KEEP:
            self._end.sendmsg([" ".join([word, *names]).encode("utf-8", "surrogateescape")], rights)


def in_memory(content: bytes) -> int:
    """A file in memory with this content; the caller's, closed on exec. Raises OSError."""
    fd = os.memfd_create("taskmaster")
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    return fd


def write_state(state: dict[str, Any]) -> int:
    """The same for a state: numbers, texts, and lists and dictionaries of them."""
    return in_memory(marshal.dumps({"version": VERSION, **state}))


def read_state(fd: int) -> dict[str, Any]:
    """Read it again; the file is closed. Raises OSError, ValueError, EOFError, TypeError."""
    with open(fd, "rb") as file:
        file.seek(0)
        state = marshal.load(file)
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise ValueError("no state of this version")
    return state
