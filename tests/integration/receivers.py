"""Receivers of syslog for tests: a plain socket that shows every byte, and rsyslogd in a directory of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pytest

from tests.waiting import until

RSYSLOGD = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
needs_rsyslogd = pytest.mark.skipif(RSYSLOGD is None, reason="there is no rsyslogd here")

_FRAME = re.compile(rb"<(\d+)>1 (\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}[+-]\d\d:\d\d) - (\S+) (\d+) (\S+) - (.*)", re.DOTALL)


class Message(NamedTuple):
    """One message, taken apart."""

    priority: int
    name: str
    pid: int
    kind: str
    text: bytes


class Receiver:
    """A datagram socket that is read when the test says so. Use as a context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        self.messages: list[Message] = []

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, unlink: bool = True) -> None:
        """Go away; with its file, or without."""
        self._socket.close()
        if unlink:
            self.path.unlink(missing_ok=True)

    def read(self) -> list[Message]:
        """All that has come."""
        while True:
            try:
                found = _FRAME.fullmatch(datagram := self._socket.recv(1 << 17))
            except BlockingIOError:
                return self.messages
            assert found, datagram
            priority, _, name, pid, kind, text = found.groups()
            self.messages.append(Message(int(priority), name.decode(), int(pid), kind.decode(), text))

    def texts(self) -> list[bytes]:
        """The texts of all that has come."""
        return [each.text for each in self.read()]


_CONFIG = """
global(workDirectory="{home}" parser.escapeControlCharactersOnReceive="off")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{socket}" UseSpecialParser="off" CreatePath="off")
template(name="t" type="string" string="%pri%|%timereported:::date-rfc3339%|%app-name%|%procid%|%msgid%|%msg%\\n")
action(type="omfile" file="{out}" template="t" asyncWriting="off" flushOnTXEnd="on")
"""


class Rsyslogd:
    """The real one: its own socket, its own file, nothing of the machine's. Use as a context."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = home / "rsyslog.sock"
        self.out = home / "rsyslog.out"
        (home / "rsyslog.conf").write_text(_CONFIG.format(home=home, socket=self.socket, out=self.out))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Rsyslogd:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Let it listen."""
        assert RSYSLOGD is not None
        argv = [RSYSLOGD, "-n", "-f", str(self.home / "rsyslog.conf"), "-i", str(self.home / "rsyslog.pid")]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.socket.exists, "rsyslogd's socket")

    def stop(self) -> None:
        """Let it write what it has, and end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def messages(self) -> list[Message]:
        """What it has written."""
        data = self.out.read_bytes() if self.out.exists() else b""
        rows = [line.split(b"|", 5) for line in data.split(b"\n")[:-1]]
        return [Message(int(row[0]), row[2].decode(), int(row[3]), row[4].decode(), row[5]) for row in rows]

    def texts(self) -> list[bytes]:
        """The texts of what it has written."""
        return [each.text for each in self.messages()]
