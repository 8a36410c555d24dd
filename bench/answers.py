"""How long answers take while the daemon is busy: floods, crash loops, 1,000 deaths at once, a reload of 5,000 tasks.

Prints in Markdown the median and the worst in milliseconds of three kinds of answers, in turn: of `version` at the
prompt, and over the control socket of `pid` of one process and `status` of all; and the ratio of the medians to the
idle daemon of the same run. The figures include the way there and back and this program's own looking, the same in
each case. The reload has one change, and is asked for by a client; the answers are those until it is done, and where
all other tasks stand a line further down so many more, since their places are taken over after that.

    bench/answers.py [--small]

`--small`: a few of everything, to see that it works.
"""

from __future__ import annotations

import argparse
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

QUIET = "command: sleep 100000, autoLaunch: true, restart: always, successfulStartTimeout: 0"


class Sizes(NamedTuple):
    """How many there are of everything, and how often is `asked`."""

    asked: int = 100
    some: int = 20
    more: int = 300
    floods: int = 8
    crashes: int = 100
    dying: int = 1000
    tasks: int = 5000


SMALL = Sizes(2, 2, 3, 1, 2, 3, 10)


def floods(sizes: Sizes) -> str:
    """Tasks that write without end, into a file each."""
    return f'  flood: {{command: "yes", instances: {sizes.floods}, autoLaunch: true, stdout: "flood_{{n}}.log"}}\n'


def crashes(sizes: Sizes) -> str:
    """Tasks that end again and again."""
    return (
        f"  crash: {{command: 'false', instances: {sizes.crashes}, autoLaunch: true, restart: always, "
        "restartsAttempts: 0, restartDelay: 20ms, restartDelayMax: 20ms}\n"
    )


def tasks(quiet: int, more: str = "") -> str:
    """A configuration with so many processes that do nothing, and others."""
    return f"tasks:\n  quiet: {{{QUIET}, instances: {quiet}}}\n{more}"


def many(count: int, changed: str = "") -> str:
    """So many tasks that are not started, but for the first; of the last something may be changed."""
    lines = [f"  task_{n}: {{command: sleep {n}, environment: {{NUMBER: '{n}'}}}}\n" for n in range(3, count + 1)]
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


def so_often(busy: Busy, sizes: Sizes) -> Iterator[None]:
    """Rounds of answers, with nothing done meanwhile."""
    yield from [None] * sizes.asked


def deaths(busy: Busy, sizes: Sizes) -> Iterator[None]:
    """Kill every child, then ask."""
    for pid in busy.children():
        os.kill(pid, signal.SIGKILL)
    yield from so_often(busy, sizes)


def reload(busy: Busy, sizes: Sizes, first: str = "") -> Iterator[None]:
    """Change one task and have the file read; ask once at least, and until that is done."""
    busy.path.write_text(first + many(sizes.tasks, "changed"))
    with Rpc(busy.socket) as other:
        other.ask("reload")
        yield
        while not select.select([other.socket], [], [], 0)[0]:
            yield
        result = other.answer()["result"]
        assert list(result["data"]["respawn"]) == ["last"], result


def reload_moved(busy: Busy, sizes: Sizes) -> Iterator[None]:
    """The same with all tasks a line further down; then ask on."""
    yield from reload(busy, sizes, "# one line more\n")
    yield from so_often(busy, sizes)


class Case(NamedTuple):
    """What the daemon keeps, and what happens while it is asked."""

    config: str
    meanwhile: Callable[[Busy, Sizes], Iterator[None]] = so_often


def cases(sizes: Sizes) -> dict[str, Case]:
    """All of them, by name."""
    to_files = floods(sizes)
    to_memory = to_files.replace(', stdout: "flood_{n}.log"', "")
    return {
        f"idle, {sizes.some} processes": Case(tasks(sizes.some)),
        f"idle, {sizes.more} processes": Case(tasks(sizes.more)),
        f"{sizes.floods} floods to files": Case(tasks(sizes.some, to_files)),
        f"{sizes.floods} floods to memory": Case(tasks(sizes.some, to_memory)),
        f"{sizes.crashes} crash loops": Case(tasks(sizes.some, crashes(sizes))),
        f"{sizes.floods} floods to files, {sizes.crashes} crash loops": Case(
            tasks(sizes.some, to_files + crashes(sizes))
        ),
        f"{sizes.dying:,} deaths at once": Case(tasks(sizes.dying), deaths),
        f"idle, {sizes.tasks:,} tasks": Case(many(sizes.tasks)),
        f"reload of {sizes.tasks:,} tasks, one changed": Case(many(sizes.tasks), reload),
        f"reload of {sizes.tasks:,} tasks, one changed, all moved": Case(many(sizes.tasks), reload_moved),
    }


ASKS: dict[str, Callable[[Busy], None]] = {
    "version at the prompt": Busy.prompt,
    "pid": Busy.pid,
    "status": Busy.status,
}


def measure(case: Case, sizes: Sizes) -> dict[str, list[float]]:
    """Milliseconds of each kind of answer."""
    times: dict[str, list[float]] = {name: [] for name in ASKS}
    with tempfile.TemporaryDirectory() as home:
        busy = Busy(Path(home), case.config)
        try:
            for _ in case.meanwhile(busy, sizes):
                for name, ask in ASKS.items():
                    began = time.monotonic()
                    ask(busy)
                    times[name].append(1000 * (time.monotonic() - began))
        finally:
            busy.end()
    return times


def main() -> None:
    """All cases, each in a daemon of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    sizes = SMALL if parser.parse_args().small else Sizes()
    print(f"| | answers | {' | '.join(f'{name}, ms | worst' for name in ASKS)} |")
    print(f"|---|{'--:|' * (1 + 2 * len(ASKS))}")
    idle: dict[str, float] = {}
    for name, case in cases(sizes).items():
        times = measure(case, sizes)
        cells = []
        for ask, found in times.items():
            median = statistics.median(found)
            beside = f" ({median / idle[ask]:.1f} x)" if ask in idle else ""
            cells += [f"{median:.2f}{beside}", f"{max(found):.2f}"]
            idle.setdefault(ask, median)
        print(f"| {name} | {len(times['pid'])} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
