"""The client's end of the control socket: requests go out, answers and notifications come in, in their order.

Guarantees: what the daemon tells while an answer is awaited is kept for `heard`, in its order; a daemon that goes away
is `Gone`, never a silent wait; a line has no limit of ours, since the daemon is trusted by whoever asks it.
Imports almost nothing: with `socket`, `json` or `enum` the client would take twice as long to start.
"""

from __future__ import annotations

import _socket
import errno
import os
from time import monotonic

from tm.cli import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Message: TypeAlias = dict[str, Any]

ANSWER_S = 30.0
"""How long an answer may take: the daemon does not wait for anything, so one that is late is stuck."""
SEARCH_S = 1e9
"""The same of `logs`, which may look through any amount; that the daemon ends is heard of in any case."""
PATH_BYTES = 107
READ_BYTES = 256 * 1024
NOT_ALLOWED = -32001
NO_METHOD = -32601


class NoDaemon(Exception):
    """Nobody answers at `path`, or we may not ask (`refused`)."""

    def __init__(self, path: str, reason: str, refused: bool = False) -> None:
        super().__init__(path, reason)
        self.path, self.reason, self.refused = path, reason, refused


class Gone(Exception):
    """The daemon has closed the connection."""


class Late(Gone):
    """The daemon has not answered in time."""


class Failed(Exception):
    """An answer that is an error: the text is for people, `code` that of JSON-RPC."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Client:
    """One connection. Owns its socket."""

    def __init__(self, path: str) -> None:
        """Connect. Raises NoDaemon."""
        self.path = path
        self.heard: list[Message] = []
        self._rest = bytearray()
        self._ids = 0
        if len(os.fsencode(path)) > PATH_BYTES:
            raise NoDaemon(path, f"a socket's path has {PATH_BYTES} bytes at most")
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket.settimeout(ANSWER_S)
        try:
            self._socket.connect(path)
        except TimeoutError:
            raise NoDaemon(path, "it takes no connection") from None
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise NoDaemon(path, reason, error.errno in (errno.EACCES, errno.EPERM)) from None

    def fileno(self) -> int:
        """The descriptor, to be watched by a loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, *requests: tuple[str, Message]) -> list[int]:
        """Send requests in one piece, so that nothing comes between them; their numbers. Raises Gone."""
        numbers, lines = [], []
        for method, params in requests:
            self._ids += 1
            numbers.append(self._ids)
            lines.append(wire.encode({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params}) + "\n")
        data = memoryview("".join(lines).encode())
        self._socket.settimeout(ANSWER_S)
        try:
            while data:
                data = data[self._socket.send(data, _socket.MSG_NOSIGNAL) :]
        except TimeoutError:
            raise Gone(f"the daemon at {self.path} takes no request") from None
        except OSError:
            pass  # it has hung up: what it said before is still to be read, and then that it is Gone
        return numbers

    def call(self, method: str, params: Message, wait_s: float = ANSWER_S) -> Message:
        """Send a request and wait for its answer: the result. Raises Failed, Gone."""
        (number,) = self.send((method, params))
        return self.answer(number, wait_s)

    def answer(self, number: int, wait_s: float = ANSWER_S) -> Message:
        """Wait for the answer to a request: the result. Raises Failed, Gone."""
        until = monotonic() + wait_s
        for heard in self.heard:  # an answer that took long comes behind that to a later request
            if _answers(heard, number):
                self.heard.remove(heard)
                return result(heard)
        while True:
            message = self._next(until - monotonic())
            if message is None:
                raise Late(f"the daemon at {self.path} has not answered within {wait_s:g} s")
            if _answers(message, number):
                return result(message)
            self.heard.append(message)

    def next(self, wait_s: float | None) -> Message | None:
        """The next notification; None when there is none within `wait_s`. Raises Gone."""
        return self.heard.pop(0) if self.heard else self._next(wait_s)

    def arrived(self) -> list[Message]:
        """Every message that is there, without waiting. Raises Gone once there is none before the end."""
        messages, self.heard = self.heard, []
        try:
            while (message := self._next(0)) is not None:
                messages.append(message)
        except Gone:
            if not messages:
                raise
        return messages

    def _next(self, wait_s: float | None) -> Message | None:
        until = None if wait_s is None else monotonic() + max(wait_s, 0.0)
        at = 0
        while (end := self._rest.find(b"\n", at)) < 0:
            at = len(self._rest)
            if not self._receive(None if until is None else max(until - monotonic(), 0.0)):
                return None
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        try:
            return wire.decode(line)
        except ValueError:
            raise Gone(f"what answers at {self.path} is not taskmaster") from None

    def _receive(self, wait_s: float | None) -> bool:
        """Read once; False when nothing has come in time. Raises Gone."""
        self._socket.settimeout(wait_s)
        try:
            data = self._socket.recv(READ_BYTES)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError:
            data = b""
        if not data:
            raise Gone(f"the daemon at {self.path} has gone away")
        self._rest += data
        return True


def _answers(message: Message, number: int) -> bool:
    return "method" not in message and message.get("id") in (number, None)


def result(message: Message) -> Message:
    """The result of an answer. Raises Failed."""
    error = message.get("error")
    if error is None:
        found = message.get("result")
        return found if isinstance(found, dict) else {"data": found}
    text = str(error.get("message", "the daemon refused, without a reason"))
    hint = error.get("data", {}).get("hint") if isinstance(error.get("data"), dict) else None
    raise Failed(f"{text} {hint}" if hint and hint not in text else text, int(error.get("code", 0)))
