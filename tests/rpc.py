"""A client of the control socket as a test needs it: it speaks in requests or in raw bytes, and reads when told to."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.waiting import until

READ_BYTES = 1024 * 1024


class Rpc:
    """One connection. Every wait has an end."""

    def __init__(self, path: Path | str, timeout_s: float = 30) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.heard: list[Any] = []
        self._rest = bytearray()
        self._last = 0

    def __enter__(self) -> Rpc:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    @property
    def peer(self) -> int:
        """The pid of who serves."""
        return int.from_bytes(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.socket.sendall(data)

    def ask(self, method: str, **params: object) -> int:
        """Send a request; its number."""
        self._last += 1
        self.send(request(self._last, method, **params))
        return self._last

    def call(self, method: str, **params: object) -> Any:
        """Ask and wait for the answer, notifications on the way go to `heard`; the result."""
        number = self.ask(method, **params)
        answer = self.answer()
        assert answer.get("id") == number, answer
        assert "result" in answer, answer
        return answer["result"]

    def answer(self) -> Any:
        """The next answer."""
        while "method" in (message := self.next()):
            self.heard.append(message)
        return message

    def next(self) -> Any:
        """The next message; EOFError where there will be none."""
        return json.loads(self.line())

    def line(self) -> bytes:
        """The next line; EOFError where there will be none."""
        at = 0
        while (end := self._rest.find(b"\n", at)) < 0:
            at = len(self._rest)
            data = self.socket.recv(READ_BYTES)
            if not data:
                raise EOFError(bytes(self._rest))
            self._rest += data
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line

    def ends(self) -> bool:
        """Read to the end of the connection; whether nothing more came."""
        try:
            return self.line() is None
        except (EOFError, ConnectionResetError):
            return True


def listening(path: Path) -> Path:
    """The path, once somebody listens there: a socket has its file a moment earlier."""

    def listens() -> bool:
        with socket.socket(socket.AF_UNIX) as knock:
            return knock.connect_ex(str(path)) == 0

    until(listens, f"somebody listens at {path}")
    return path


def request(number: int | str | None, method: str, **params: object) -> bytes:
    """One line."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"
