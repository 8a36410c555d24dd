"""Asking what listens: a connection that is begun, and over HTTP one question, without ever waiting.

Guarantees: nothing here blocks; of an answer at most ANSWER_BYTES are read, whatever its server sends; no name is
looked up; a connection that has met itself, which TCP allows on one machine, is none.
Leaves to others: when to go on (`fd` is to be watched, for writing where `writes`), how long to wait, and what an
answer means (`daemon.questions`).

A question is over with the end of the answer, or when enough of it was read, so that its server has no reason to
complain of one that hung up; what its first line says is known before that (`status`).
"""

from __future__ import annotations

import errno
import os
import re
import socket

from tm.core.probe import Address

ANSWER_BYTES = 16 * 1024
_LOCALHOST = ("127.0.0.1", "::1")
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2})(?:[ \r]|$)")
_BEGUN = (0, errno.EINPROGRESS)


class Malformed(OSError):
    """An answer that is not HTTP."""

    def __init__(self) -> None:
        super().__init__(errno.EPROTO, "the answer is not HTTP/1")


class Dial:
    """One connection, and over it one question. Owns its descriptor, which changes where a further address is tried.

    `status`: that of the answer, 0 as long as it is not known.
    """

    def __init__(self, address: Address, request: bytes = b"") -> None:
        """Begin to connect; `request` is sent then, and an answer read. Raises OSError."""
        self._address = address
        self._hosts = list(_LOCALHOST if address.host == "localhost" else [address.host])
        self._unsent = request
        self._asks = bool(request)
        self._connected = False
        self._head = self._body = b""
        self._read = 0
        self._socket: socket.socket | None = None
        self.status = 0
        self._next_host()

    @property
    def fd(self) -> int:
        """The descriptor."""
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def writes(self) -> bool:
        """Whether it waits for being writable."""
        return not self._connected or bool(self._unsent)

    @property
    def said(self) -> bytes:
        """The beginning of what came behind the head of the answer."""
        return self._body

    def go_on(self) -> bool:
        """Do what can be done now; whether it is over. Raises OSError when it has failed."""
        assert self._socket is not None
        if not self._connected and not self._connect(self._socket):
            return False
        if not self._asks:
            return True
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
                return False
            return self._hear(self._socket.recv(ANSWER_BYTES))
        except BlockingIOError:
            return False
        except ConnectionError:
            if not self.status:
                raise
            return True

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _next_host(self) -> None:
        """Begin with the next address. Raises OSError where none can be begun with."""
        self.close()
        host = self._hosts.pop(0)
        family = socket.AF_UNIX if self._address.path else socket.AF_INET6 if ":" in host else socket.AF_INET
        line = self._socket = socket.socket(family, socket.SOCK_STREAM)
        line.setblocking(False)
        number = line.connect_ex(self._address.path or (host, self._address.port))
        if number not in _BEGUN:
            self._failed(number)

    def _failed(self, number: int) -> None:
        """This address takes no connection: on to the next one. Raises OSError where there is none."""
        if self._hosts:
            self._next_host()
            return
        self.close()
        raise OSError(number, os.strerror(number))

    def _connect(self, line: socket.socket) -> bool:
        """Whether the connection stands."""
        if number := line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._failed(number)
            return False
        if line.family != socket.AF_UNIX and line.getsockname() == line.getpeername():
            self._failed(errno.ECONNREFUSED)
            return False
        self._connected = True
        return True

    def _hear(self, data: bytes) -> bool:
        """A part of the answer, b'' at its end; whether it was the last that is wanted."""
        self._read += len(data)
        if self.status:
            self._body += data
        else:
            self._head += data
            self._find_status(not data)
        return not data or self._read >= ANSWER_BYTES

    def _find_status(self, ended: bool) -> None:
        """Read the first line of the answer, behind those that only say that there will be one."""
        while not self.status:
            line, end, _ = self._head.partition(b"\n")
            if not end and not ended and len(self._head) < ANSWER_BYTES:
                return
            if (found := _STATUS.match(line)) is None:
                raise Malformed
            _, blank, rest = self._head.replace(b"\r\n", b"\n").partition(b"\n\n")
            if not blank and not ended and len(self._head) < ANSWER_BYTES:
                return
            if int(found[1]) < 200 and int(found[1]) != 101:
                if not blank:
                    raise Malformed
                self._head = rest
                continue
            self.status, self._body = int(found[1]), rest if blank else b""


def request(method: str, address: Address, path: str) -> bytes:
    """A question over HTTP/1.1, after whose answer the server is to hang up."""
    host = "localhost" if address.path else str(address)
    length = "Content-Length: 0\r\n" if method in ("POST", "PUT") else ""
    lines = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: taskmaster\r\nAccept: */*\r\n{length}"
    return f"{lines}Connection: close\r\n\r\n".encode("ascii", "replace")
