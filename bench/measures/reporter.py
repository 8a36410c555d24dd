"""Who is up, with which pid and since when: what the supervised processes tell of themselves.

Guarantees: a report is seen when it is made, whatever the supervisor knows or says. Leaves to others: who has died.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench.peers.install import Unavailable, compiled

HERE = Path(__file__).parent
RECORD_BYTES = 32
ROOM_BYTES = 1 << 20
F_SETPIPE_SZ = 1031


class Report(NamedTuple):
    """That a process is up: the name it was given, its pid, and when that was heard."""

    name: str
    pid: int
    when_s: float


class Reports:
    """The FIFO into which all of one run report. Owns its descriptor."""

    def __init__(self, home: Path) -> None:
        self.path = home / "fifo"
        os.mkfifo(self.path)
        self.path.chmod(0o666)  # also for whom a supervisor makes of them
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self.fd, F_SETPIPE_SZ, ROOM_BYTES)

    def close(self) -> None:
        """Nobody can report any more."""
        os.close(self.fd)

    def more(self, wait_s: float) -> list[Report]:
        """Those of now, or the first to come within the time."""
        if not select.select([self.fd], [], [], wait_s)[0]:
            return []
        when = time.monotonic()
        data = os.read(self.fd, ROOM_BYTES)
        records = (data[at : at + RECORD_BYTES].split() for at in range(0, len(data), RECORD_BYTES))
        return [Report(name.decode(), int(pid), when) for name, pid in records]


def reporter() -> tuple[tuple[str, ...], str]:
    """The program's first words, and what it is written in."""
    try:
        return (str(compiled(HERE / "reporter.c")),), "C"
    except Unavailable:
        return (sys.executable, "-I", "-S", str(HERE / "reporter_loop.py")), "Python"
