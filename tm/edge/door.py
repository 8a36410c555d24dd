"""The door of a listening AF_UNIX socket: letting in who knocks, or turning him away, and who he is.

Guarantees: a few descriptors are kept in reserve, so that clients are let in though children have taken all others; who
gets none is told so and hung up on, by means of the last. The kernel says who a peer is, not the peer.
Leaves to others: the socket and its file (`edge.sockets`), watching it, and who is welcome (`faces.hub`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

_SO_PEERGROUPS = 59
_GROUPS_BYTES = 1024
"""As much as `getsockopt` takes: 256 groups."""
_RESERVE = 5
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
_NOBODY = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNABORTED})


class Peer(NamedTuple):
    """Who is at the other end. `pid` is 0 where the kernel does not say it."""

    pid: int
    uid: int
    groups: frozenset[int]


class Door:
    """Lets in one after the other. Owns the reserve. `accept`: the next one who waits, as accept(2) has it; where it
    would block it raises BlockingIOError.
    """

    def __init__(self, accept: Callable[[], socket.socket]) -> None:
        self._accept = accept
        self._closed = False
        self._reserve: list[int] = []
        self.refill()

    def let_in(self, busy: bytes) -> tuple[socket.socket, Peer] | None:
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

    def refill(self) -> None:
        """Take back into reserve what clients have left; to be called when one is gone."""
        with suppress(OSError):
            while len(self._reserve) < _RESERVE and not self._closed:
                self._reserve.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def close(self) -> None:
        """Give the reserve back."""
        self._closed = True
        while self._reserve:
            os.close(self._reserve.pop())

    def _next(self) -> socket.socket | None:
        """Accept, at the expense of the reserve where nothing else is left; None when nobody waits. Raises OSError."""
        try:
            return self._accept()
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
