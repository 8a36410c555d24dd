"""How long answers take while the daemon is busy: floods, crash loops, 1,000 deaths at once, a reload of 5,000 tasks.

Prints in Markdown the median and the worst in milliseconds of three kinds of answers, in turn: of `version` at the
prompt, and over the control socket of `pid` of one process and `status` of all; and the ratio of the medians to the
idle daemon of the same run. The figures include the way there and back and this program's own looking, the same in
each case. The reload has one change, and is asked for by a client; the answers are those until it is done, and where
all other tasks stand a line further down so many more, since their places are taken over after that.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.driver import OWN, PROGRAM, environment, kill_all
from tests.rpc import Rpc, listening

ASKED = 100
TASKS = 5000
QUIET = "command: sleep 100000, autoLaunch: true, restart: always, successfulStartTimeout: 0"
FLOODS = '  flood: {command: "yes", instances: 8, autoLaunch: true, stdout: "flood_{n}.log"}\n'
CRASHES = (
    "  crash: {command: 'false', instances: 100, autoLaunch: true, restart: always, restartsAttempts: 0,"
    " restartDelay: 20ms, restartDelayMax: 20ms}\n"
)


def tasks(quiet: int, more: str = "") -> str:
    """A configuration with so many processes that do nothing, and others."""
    return f"tasks:\n  quiet: {{{QUIET}, instances: {quiet}}}\n{more}"


def many(changed: str = "") -> str:
    """One of TASKS tasks that are not started, but for the first; of the last something may be changed."""
    lines = [f"  task_{n}: {{command: sleep {n}, environment: {{NUMBER: '{n}'}}}}\n" for n in range(3, TASKS + 1)]
    return tasks(1, "".join(lines) + f"  last: {{command: sleep 1, environment: {{NUMBER: '{changed}'}}}}\n")


class Busy:
    """One daemon with a prompt on two pipes and a client at its socket."""

    def __init__(self, home: Path, config: str) -> None:
        self.path = home / "web.yaml"
        self.path.write_text(config)
        self.process = subprocess.Popen(
            [*PROGRAM, *(word for pair in OWN.items() for word in pair), "web.yaml"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env=environment(home),
        )
        self._seen = b""
        self.socket = home / OWN["--socket"]
        self.prompt()
        self.rpc = Rpc(listening(self.socket))

    def prompt(self) -> None:
        """Type `version` and see its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        os.write(self.process.stdin.fileno(), b"version\n")
        while b"taskmaster 0" not in self._seen:
            select.select([self.process.stdout], [], [])
            self._seen += os.read(self.process.stdout.fileno(), 65536)
        self._seen = b""

    def pid(self) -> None:
        """Ask for one."""
        self.rpc.call("pid", words=["quiet"])

    def status(self) -> None:
        """Ask for all."""
        self.rpc.call("status")

    def end(self) -> None:
        """Leave at once: its children die with a second signal."""
        self.process.terminate()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            kill_all(self.process.pid)
            self.process.wait()

    def children(self) -> list[int]:
        """The pids of its children."""
        words = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(word) for word in words]


def so_often(busy: Busy) -> Iterator[None]:
    """ASKED rounds of answers, with nothing done meanwhile."""
    yield from [None] * ASKED


def deaths(busy: Busy) -> Iterator[None]:
    """Kill every child, then ask."""
    for pid in busy.children():
        os.kill(pid, signal.SIGKILL)
    yield from so_often(busy)


def reload(busy: Busy, first: str = "") -> Iterator[None]:
    """Change one task and have the file read; ask until that is done."""
    busy.path.write_text(first + many("changed"))
    with Rpc(busy.socket) as other:
        other.ask("reload")
        while not select.select([other.socket], [], [], 0)[0]:
            yield
        result = other.answer()["result"]
        assert list(result["data"]["respawn"]) == ["last"], result


def reload_moved(busy: Busy) -> Iterator[None]:
    """The same with all tasks a line further down; then ask on."""
    yield from reload(busy, "# one line more\n")
    yield from so_often(busy)


class Case(NamedTuple):
    """What the daemon keeps, and what happens while it is asked."""

    config: str
    meanwhile: Callable[[Busy], Iterator[None]] = so_often


CASES = {
    "idle, 20 processes": Case(tasks(20)),
    "idle, 300 processes": Case(tasks(300)),
    "8 floods to files": Case(tasks(20, FLOODS)),
    "8 floods to memory": Case(tasks(20, FLOODS.replace(', stdout: "flood_{n}.log"', ""))),
    "100 crash loops": Case(tasks(20, CRASHES)),
    "8 floods to files, 100 crash loops": Case(tasks(20, FLOODS + CRASHES)),
    "1,000 deaths at once": Case(tasks(1000), deaths),
    f"idle, {TASKS:,} tasks": Case(many()),
    f"reload of {TASKS:,} tasks, one changed": Case(many(), reload),
    f"reload of {TASKS:,} tasks, one changed, all moved": Case(many(), reload_moved),
}
ASKS: dict[str, Callable[[Busy], None]] = {
    "version at the prompt": Busy.prompt,
    "pid": Busy.pid,
    "status": Busy.status,
}


def measure(case: Case) -> dict[str, list[float]]:
    """Milliseconds of each kind of answer."""
    times: dict[str, list[float]] = {name: [] for name in ASKS}
    with tempfile.TemporaryDirectory() as home:
        busy = Busy(Path(home), case.config)
        try:
            for _ in case.meanwhile(busy):
                for name, ask in ASKS.items():
                    began = time.monotonic()
                    ask(busy)
                    times[name].append(1000 * (time.monotonic() - began))
        finally:
            busy.end()
    return times


def main() -> None:
    """All cases, each in a daemon of its own."""
    print(f"| | answers | {' | '.join(f'{name}, ms | worst' for name in ASKS)} |")
    print(f"|---|{'--:|' * (1 + 2 * len(ASKS))}")
    idle: dict[str, float] = {}
    for name, case in CASES.items():
        times = measure(case)
        cells = []
        for ask, found in times.items():
            median = statistics.median(found)
            beside = f" ({median / idle[ask]:.1f} x)" if ask in idle else ""
            cells += [f"{median:.2f}{beside}", f"{max(found):.2f}"]
            idle.setdefault(ask, median)
        print(f"| {name} | {len(times['pid'])} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
