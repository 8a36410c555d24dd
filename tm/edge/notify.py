"""What a service manager wants to hear: lines such as READY=1, a datagram each time, to the socket it named.

Guarantees: nothing waits and nothing fails: a manager that does not listen, or is gone, loses the message; without an
address nothing is sent. Addresses are paths, or abstract names that begin with `@`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """The way to one service manager."""

    def __init__(self, address: str | None) -> None:
        """`address` as in $NOTIFY_SOCKET; None or what is no address: there is nobody to tell."""
        self._address = ""
        self._socket: socket.socket | None = None
        if address is not None and address[:1] in ("/", "@"):
            self._address = "\0" + address[1:] if address.startswith("@") else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def tell(self, *lines: str) -> None:
        """Send these lines as one message."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(errors="replace"), self._address)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._socket is not None:
            self._socket.close()


def watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """How often the manager wants to hear that we live, in seconds; None where it does not, or not from us: from `pid`,
    or from the guardian whose child we are.
    """
    if environ.get("WATCHDOG_PID", str(pid)) not in (str(pid), str(os.getppid())):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isascii() and text.isdecimal() and int(text[:18]) > 0 else None


def reloading() -> tuple[str, str]:
    """That a reload begins, with the instant that a manager wants with it."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"
