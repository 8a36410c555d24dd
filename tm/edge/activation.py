"""The listening socket that a service manager hands over: descriptor 3, said by LISTEN_PID and LISTEN_FDS.

Guarantees: what is meant for another process is not looked at; the variables are out of the environment afterwards, for
whomever they were meant; a descriptor is looked at, and neither changed nor closed.
Leaves to others: serving it (`edge.sockets`).
"""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from typing import Final, NamedTuple

_FIRST: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Unfit(Exception):
    """What was handed over cannot be the control socket; the text is a sentence for people."""


class Given(NamedTuple):
    """A UNIX stream socket that listens at `path`. Whoever takes it owns `fd`."""

    fd: int
    path: str


def take(environ: MutableMapping[str, str], pid: int) -> Given | None:
    """What was handed over to process `pid`; None: nothing. Raises Unfit."""
    whose, count = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    for name in _VARIABLES:
        environ.pop(name, None)
    if whose != str(pid) or count in ("", "0"):
        return None
    if count != "1":
        raise Unfit(
            f"LISTEN_FDS is '{count}', and one socket is taken, the control socket. "
            "Give the socket's unit a single ListenStream=."
        )
    return Given(_FIRST, _path(_FIRST))


def _path(fd: int) -> str:
    """Where the socket listens. Raises Unfit."""
    try:
        given = socket.socket(fileno=fd)
    except OSError:
        raise _unfit("is no socket") from None
    try:
        if given.family != socket.AF_UNIX or given.type != socket.SOCK_STREAM:
            raise _unfit("is no UNIX stream socket")
        if not given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise _unfit("does not listen")
        path = given.getsockname()
    finally:
        given.detach()
    if not isinstance(path, str) or not path:
        raise _unfit("has no path")
    return path


def _unfit(why: str) -> Unfit:
    return Unfit(
        f"LISTEN_FDS hands over descriptor {_FIRST}, which {why}, and cannot be the control socket. "
        "Give the socket's unit a path: ListenStream=/run/taskmaster/taskmaster.sock"
    )
