"""taskmasterctl for a test: the real client on a real daemon."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.integration.driver import ROOT, Taskmaster, environment
from tests.rpc import Rpc
from tests.waiting import until

CLIENT = [sys.executable, "-I", "-S", str(ROOT / "bin" / "taskmasterctl")]


def is_up(pid: int) -> bool:
    """Whether this is a daemon that has begun with its tasks, by its title, which is set then."""
    if not Path("/proc/self").exists():
        return True
    with suppress(FileNotFoundError, ProcessLookupError):
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
        return title.startswith(b"taskmaster: ") and b"guardian" not in title
    return False


class Daemon(Taskmaster):
    """A daemon without a shell, and its clients."""

    def __init__(self, home: Path, config: str, *flags: str, program: Path | None = None, **changes: str) -> None:
        super().__init__(home, config, "-n", *flags, program=program, **changes)
        until(
            lambda: self.process.poll() is not None or (self.has_booted() and self.answers()), "a daemon that answers"
        )
        assert self.process.poll() is None, self.errors

    def command(self, *arguments: str) -> list[str]:
        return [*CLIENT, "-s", "control.sock", *arguments]

    def ctl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """One whole run of the client."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.home,
            env=environment(self.home),
            timeout=60,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """A client that goes on."""
        return subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env=environment(self.home),
        )

    def rows(self) -> dict[str, dict[str, Any]]:
        """What is known of each process, without what time changes."""
        with Rpc(self.home / "control.sock") as client:
            data = client.call("status")["data"]
        return {row["name"]: {key: row[key] for key in ("status", "pid", "restarts")} for row in data}

    def has_booted(self) -> bool:
        """Whether it has begun with its tasks."""
        return is_up(self.daemon)

    def answers(self) -> bool:
        """Whether somebody does."""
        with suppress(OSError, EOFError), Rpc(self.home / "control.sock") as client:
            return int(client.call("pid")["outcome"]) == 0
        return False

    def state(self, name: str) -> str:
        """What a process is in; '' while nobody answers. It costs no process, since many ask again and again."""
        with suppress(OSError, EOFError), Rpc(self.home / "control.sock") as client:
            return str(client.call("status", words=[name])["data"][0]["status"])
        return ""

    def pid(self, name: str) -> int:
        """The pid of a process that lives."""
        with Rpc(self.home / "control.sock") as client:
            return int(client.call("pid", words=[name])["data"][name])
