"""How long the prompt takes to answer while the daemon is busy: idle, flooded, crash loops, 1,000 deaths at once.

Prints the median and the worst of the answers in milliseconds, and the ratio to the idle daemon of the same run. The
figures include the pipe to the program and back and this program's own looking, the same in each case.
"""

from __future__ import annotations

import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.driver import PROGRAM, environment

ASKED = 100
CASES = {
    "idle": "tasks: {quiet: {command: sleep 100000, instances: 20, autoLaunch: true}}",
    "300 tasks": "tasks: {quiet: {command: sleep 100000, instances: 300, autoLaunch: true}}",
    "8 floods to files": 'tasks: {flood: {command: "yes", instances: 8, autoLaunch: true, stdout: "flood_{n}.log"}}',
    "8 floods to memory": 'tasks: {flood: {command: "yes", instances: 8, autoLaunch: true}}',
    "100 crash loops": (
        "tasks: {crash: {command: 'false', instances: 100, autoLaunch: true, restart: always, restartsAttempts: 0,"
        " restartDelay: 20ms, restartDelayMax: 20ms}}"
    ),
    "1,000 deaths at once": (
        "tasks: {quiet: {command: sleep 100000, instances: 1000, autoLaunch: true, restart: always,"
        " successfulStartTimeout: 0}}"
    ),
}


class Prompt:
    """One daemon on two pipes."""

    def __init__(self, home: Path, config: str) -> None:
        (home / "web.yaml").write_text(config)
        self.process = subprocess.Popen(
            [*PROGRAM, "--state-dir", "state", "web.yaml"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env=environment(home),
        )
        self._seen = b""
        self.answer_ms()

    def answer_ms(self) -> float:
        """Milliseconds from a typed `version` to its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        began = time.monotonic()
        os.write(self.process.stdin.fileno(), b"version\n")
        while b"taskmaster 0" not in self._seen:
            select.select([self.process.stdout], [], [])
            self._seen += os.read(self.process.stdout.fileno(), 65536)
        self._seen = b""
        return 1000 * (time.monotonic() - began)

    def children(self) -> list[int]:
        """The pids of its children."""
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def end(self) -> None:
        """Leave at once."""
        self.process.terminate()
        self.process.terminate()
        self.process.wait()


def measure(home: Path, config: str, before: Callable[[Prompt], None]) -> tuple[float, float]:
    """The median and the worst of ASKED answers."""
    prompt = Prompt(home, config)
    try:
        before(prompt)
        answers = [prompt.answer_ms() for _ in range(ASKED)]
        return statistics.median(answers), max(answers)
    finally:
        prompt.end()


def kill_all(prompt: Prompt) -> None:
    """Every child at once."""
    for pid in prompt.children():
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """All cases, each in a daemon of its own."""
    idle: float | None = None
    for name, config in CASES.items():
        with tempfile.TemporaryDirectory() as home:
            median, worst = measure(Path(home), config, kill_all if "deaths" in name else lambda prompt: None)
        idle = idle or median
        print(f"{name:<22} median {median:7.2f} ms ({median / idle:5.1f} x idle), worst {worst:7.2f} ms")


if __name__ == "__main__":
    main()
