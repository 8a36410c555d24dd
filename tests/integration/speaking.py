"""A daemon with one task, whose program says of itself what a test wants."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from tests.integration.client import Daemon
from tests.integration.driver import ROOT
from tests.waiting import until

SPEAKS = f"{sys.executable} {ROOT / 'tests' / 'programs' / 'speaks.py'}"


class Speaking(Daemon):
    """A daemon with one task, whose program says what a test wants."""

    def __init__(self, home: Path, keys: str, command: str = "", **changes: str) -> None:
        if not (home / "orders").exists():
            os.mkfifo(home / "orders")
        self.orders = os.open(home / "orders", os.O_RDWR)
        command = command or f"{SPEAKS} {home / 'orders'}"
        config = f"tasks: {{web: {{command: '{command}', autoLaunch: true, {keys}}}}}\n"
        flags = ("-l", "taskmaster.log", "--log-level", "debug")
        super().__init__(home, config, *flags, **changes)

    def __exit__(self, kind: object, *rest: object) -> None:
        super().__exit__(kind, *rest)
        os.close(self.orders)

    def say(self, *lines: str) -> None:
        """Let the program say this."""
        os.write(self.orders, "".join(f"{line}\n" for line in lines).encode())

    def row(self) -> dict[str, Any]:
        row = json.loads(self.ctl("--json", "status", "web").stdout)[0]
        assert isinstance(row, dict)
        return row

    def is_in(self, state: str) -> dict[str, Any]:
        return until(lambda: row if (row := self.row())["status"] == state else None, f"{state}: {self.log[-3000:]}")

    def says(self, **members: object) -> None:
        """Wait until it is known to have said this."""
        until(lambda: self.row()["says"].items() >= members.items(), f"{members} in {self.row()}: {self.log[-2000:]}")

    def logged(self, pattern: str) -> re.Match[str]:
        return until(lambda: re.search(pattern, self.log), f"{pattern} in {self.log[-3000:]}")

    @property
    def sockets(self) -> list[Path]:
        return [each for each in (self.home / "state" / "notify").glob("*") if each.is_socket()]
