"""The outputs of a daemon without the daemon: a loop, and real writers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.waiting import until
from tm.core.launch import Launch
from tm.core.tail import Tails
from tm.daemon.outputs import Outputs
from tm.daemon.wiring import Key, Wiring
from tm.edge.loop import SOON_S, Loop


def launch_of(stdout: Path | str | None, stderr: Path | str | None = None, merges: bool = False, **more: Any) -> Launch:
    return Launch(
        argv=("true",),
        environment={},
        directory="/",
        umask=0o022,
        stdout=None if stdout is None else str(stdout),
        stderr=None if stderr is None else str(stderr),
        merges_stderr=merges,
        user=None,
        group=None,
        limits=(),
        nice=None,
        **more,
    )


class Place:
    """Outputs on a loop whose clock the test sets, and the writers that were started."""

    def __init__(self) -> None:
        self.time = 0.0
        self.turns = 0
        self.errors: list[BaseException] = []
        self.told: list[str] = []
        self.loop = Loop(self.errors.append, lambda: self.time)
        self.tails = Tails(1 << 20)
        self.outputs = Outputs(self.loop, self.tails, lambda _who, sentence: self.told.append(sentence))
        self.writers: list[subprocess.Popen[bytes]] = []

    def open(self, key: Key, launch: Launch) -> Wiring:
        wiring = self.outputs.open(key, launch)
        assert isinstance(wiring, Wiring), wiring
        return wiring

    def start(self, key: Key, launch: Launch, *argv: str) -> subprocess.Popen[bytes]:
        """A real writer for `key`."""
        wiring = self.open(key, launch)
        out, err = wiring.stdio
        writer = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        self.writers.append(writer)
        wiring.close_childs_ends()
        self.outputs.attach(key, wiring)
        return writer

    def turn(self, wait_s: float = 0.01) -> None:
        self.turns += 1
        self.loop.turn(wait_s)
        assert not self.errors, self.errors

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Turn the loop until `condition` holds."""

        def turned() -> bool:
            self.turn()
            return bool(condition())

        until(turned, what)

    def ended(self, key: Key, writer: subprocess.Popen[bytes]) -> bool:
        """What the daemon does when it finds `writer` dead, and nobody starts it again at once; whether a descendant
        holds a pipe of it.
        """
        self.until(lambda: writer.poll() is not None, "the end of the writer")
        held = self.outputs.process_ended(key)
        self.later(2 * SOON_S)
        return held

    def later(self, seconds: float) -> None:
        """The clock goes on, and the loop sees it."""
        self.time += seconds
        self.turn(0)
