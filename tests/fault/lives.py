"""Daemons, one after the other, on one configuration and one state directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.integration.client import Daemon


@contextmanager
def generations(home: Path, config: str) -> Iterator[Life]:
    """Daemons, one after the other, on one configuration; whatever they leave is ended."""
    life = Life(home, config)
    try:
        yield life
    finally:
        life.end()


class Life:
    """`daemon` is the present one."""

    def __init__(self, home: Path, config: str) -> None:
        self._home = home
        self._stack = ExitStack()
        os.mkfifo(home / "coded.fifo")
        self.daemon = self._stack.enter_context(Daemon(home, config))

    def kill(self) -> None:
        """SIGKILL, to the guardian as well."""
        self.daemon.kill()

    def again(self, config: str = "") -> Daemon:
        """The next one."""
        self.daemon = self._stack.enter_context(Daemon(self._home, config or self.daemon.path.read_text()))
        return self.daemon

    def rows(self) -> dict[str, dict[str, object]]:
        """The rows of `status` by name, without what time changes."""
        return self.daemon.rows()

    def end(self) -> None:
        """Leave in order, with what is left."""
        if self.daemon.process.poll() is None:
            self.daemon.ctl("shutdown")
            self.daemon.process.wait(60)
        self._stack.close()


def running(home: Path) -> list[str]:
    """The instances that live, of the daemons that were started here."""
    return list(survivors(home).values())


def survivors(home: Path) -> dict[int, str]:
    """The same by their pids: whatever leads a session."""
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        with suppress(OSError):
            variables = dict(
                each.split("=", 1)
                for each in (process / "environ").read_text(errors="replace").split("\0")
                if "=" in each
            )
            leads = os.getsid(int(process.name)) == int(process.name)
            if leads and variables.get("HOME") == str(home) and "TASKMASTER_INSTANCE" in variables:
                found[int(process.name)] = variables["TASKMASTER_INSTANCE"]
    return found
