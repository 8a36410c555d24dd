"""A taskmaster as process 1 of a pid namespace of its own, as it is in a container."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.client import Daemon, is_up
from tests.integration.driver import alive, daemons_of
from tests.waiting import until

UNDER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def can_contain() -> bool:
    """Whether a pid namespace can be made here."""
    with suppress(FileNotFoundError):
        return subprocess.run([*UNDER, "true"], capture_output=True, check=False).returncode == 0
    return False


needs_a_namespace = pytest.mark.skipif(not can_contain(), reason="no pid namespace can be made here: needs root")


class Contained(Daemon):
    """`first`: its process 1, as it is called outside; what it is told goes there."""

    under = UNDER

    @property
    def first(self) -> int:
        """Of unshare's children there is one."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return int(until(lambda: children.read_text(), "process 1"))

    @property
    def daemon(self) -> int:
        """The child that process 1 has for a daemon."""
        first = self.first
        return until(lambda: next(iter(daemons_of(first)), 0), "a daemon")

    def has_booted(self) -> bool:
        return any(is_up(pid) for first in _children_of({self.process.pid}) for pid in daemons_of(first))

    def signal(self, signum: signal.Signals) -> None:
        os.kill(self.first, signum)

    def end(self) -> None:
        """Everything in the namespace ends with its process 1."""
        try:
            if self.process.poll() is None:
                os.kill(self.first, signal.SIGKILL)
        finally:
            self.process.kill()
            self.process.wait(20)
            assert self.process.stdin is not None
            self.process.stdin.close()

    def run_inside(self, script: str) -> None:
        """What `docker exec` does: a stranger, who leaves his orphans to process 1."""
        pid = ("-t", str(self.first), "-p")
        subprocess.run(["nsenter", *pid, "sh", "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)

    def inside(self) -> list[int]:
        """All processes of the namespace, zombies as well, as they are called outside."""
        space = os.readlink(f"/proc/{self.first}/ns/pid")
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _space(pid) == space]

    def zombies(self) -> list[int]:
        """Who has ended in it, and was not reaped."""
        return [pid for pid in _children_of({self.first, self.daemon}) if not alive(pid)]


def _space(pid: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


def _children_of(parents: set[int]) -> list[int]:
    found = []
    for parent in parents:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return found
