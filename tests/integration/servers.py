"""Servers for tests, each in a thread of the test: they answer what they are told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Conversation = Callable[[socket.socket], None]


@contextmanager
def serving(talk: Conversation, path: Path | None = None) -> Iterator[str]:
    """Somebody who listens and does `talk` with each who comes; where: `host:port`, or the path."""
    listener = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
    listener.bind(("127.0.0.1", 0) if path is None else str(path))
    listener.listen()

    def serve() -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                with line, suppress(OSError):
                    line.settimeout(20)
                    talk(line)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield str(path) if path is not None else "{}:{}".format(*listener.getsockname())
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)
        assert not thread.is_alive()


def request_of(line: socket.socket) -> bytes:
    """What a client asks, up to the blank line."""
    asked = b""
    while b"\r\n\r\n" not in asked and (data := line.recv(4096)):
        asked += data
    return asked


def answers(*parts: bytes, asked: list[bytes] | None = None) -> Conversation:
    """Reads a request, which goes to `asked`, and sends the parts."""

    def talk(line: socket.socket) -> None:
        request = request_of(line)
        if asked is not None:
            asked.append(request)
        for part in parts:
            line.sendall(part)

    return talk


def free_port() -> int:
    """A port that nobody has at present."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
