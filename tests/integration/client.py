"""taskmasterctl for a test: the real client on a real daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.driver import ROOT, Taskmaster, environment
from tests.rpc import Rpc
from tests.waiting import until

CLIENT = [sys.executable, "-I", "-S", str(ROOT / "bin" / "taskmasterctl")]


class Daemon(Taskmaster):
    """A daemon without a shell, and its clients."""

    def __init__(self, home: Path, config: str, *flags: str, program: Path | None = None, **changes: str) -> None:
        super().__init__(home, config, "-n", *flags, program=program, **changes)
        until(lambda: self.process.poll() is not None or self.ctl("pid").returncode == 0, "a daemon that answers")
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

    def state(self, name: str) -> str:
        return str(json.loads(self.ctl("--json", "status", name).stdout)[0]["status"])

    def pid(self, name: str) -> int:
        return int(self.ctl("pid", name).stdout)
