"""A taskmaster in the background for a test, everything of it in one directory.

No test may take the pid in the pidfile for the process that keeps the tasks: it is the one to signal, no more.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tests.integration.driver import alive, kill_all, run
from tests.waiting import until

CONFIG = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}\n"


class Pair(NamedTuple):
    """Who keeps the tasks at present. `daemon` None: nobody, until the guardian has started one."""

    guardian: int
    daemon: int | None


class Background:
    """`start` is what a person types. At the end of the context whatever was started is told to leave, and must."""

    def __init__(self, home: Path, config: str = CONFIG) -> None:
        self.home = home
        self.config = home / "web.yaml"
        self.config.write_text(config)
        self.pidfile = home / "web.pid"
        self.socket = home / "control.sock"
        self._seen: set[int] = set()

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (pair := self.pair()) is not None and pair.daemon is not None:  # who took the place of a guardian
            self._seen.add(pair.guardian)
        pids = {pid for pid in self._seen if alive(pid)}
        try:
            for pid in pids:
                self.end(pid)
        finally:
            for pid in pids:
                kill_all(pid)

    def start(self, *flags: str, config: str = "web.yaml", **changes: str) -> subprocess.CompletedProcess[str]:
        """Type `taskmaster -d`; what came of it."""
        done = run(self.home, "-d", *self.flags(), *flags, config, **changes)
        if self.socket.exists() and self.pidfile.exists():
            self._seen.add(self.pid)
        return done

    def up(self, *flags: str, **changes: str) -> int:
        """Start it; the pid in its pidfile."""
        done = self.start(*flags, **changes)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
        return self.pid

    def flags(self) -> list[str]:
        """Its own places."""
        return ["-p", "web.pid", "-l", "web.log"]

    @property
    def pid(self) -> int:
        """What the pidfile says."""
        return int(self.pidfile.read_text())

    def pair(self) -> Pair | None:
        """Who is there, by the pidfile and the kernel; None while that changes."""
        with suppress(OSError, ValueError):
            guardian = self.pid
            children = Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split()
            daemons = [int(pid) for pid in children if self._is_daemon(guardian, int(pid))]
            return Pair(guardian, daemons[0] if daemons else None)
        return None

    def _is_daemon(self, guardian: int, pid: int) -> bool:
        """Whether a child of the guardian's is it, and not what the last one has left."""
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            begun = b"bin/taskmaster\0" in words or words.startswith(b"taskmaster: web.yaml")
            return begun and os.getsid(pid) == os.getsid(guardian) and alive(pid)
        return False

    @property
    def log(self) -> str:
        """Its event log."""
        path = self.home / "web.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def children(self) -> list[int]:
        """The pids of the processes it has started, by its log."""
        return [int(pid) for pid in re.findall(r"\(spawned\), pid (\d+)", self.log)]

    def logged(self, pattern: str) -> re.Match[str]:
        """Wait until its log matches."""
        return until(lambda: re.search(pattern, self.log), f"{pattern!r} in {self.log[-2000:]}")

    def end(self, pid: int, signum: signal.Signals = signal.SIGTERM) -> None:
        """Tell it to leave and wait until it has."""
        os.kill(pid, signum)
        until(lambda: not alive(pid), f"the end of {pid}")
