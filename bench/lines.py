"""How soon a line is seen while others flood: of a process that writes one now and then, alone and beside 8 floods.

Prints in Markdown the median, the 99th of 100 and the worst in milliseconds, from the write of the line until a
follower (`taskmasterctl logs -f`) has it on its stdout; and the ratio of the medians to the daemon without floods of
the same run. A pipe from the same writer to this program is the floor: the figures include that all have to be woken.

Logs are in memory (/dev/shm), and in the last row in the directory for temporary files, where the kernel lets who
writes much wait for the disk.

    bench/lines.py [--small]

`--small`: a few lines, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.measures import memory
from tests.integration.client import Daemon
from tests.integration.driver import environment
from tests.rpc import Rpc

LINES, FEW = 300, 10
PAUSE_S = 0.013
WRITER = """
import sys, time
for _ in range(int(sys.argv[1])):
    time.sleep(float(sys.argv[2]))
    print(time.monotonic_ns(), flush=True)
"""
FLOODS = 8


def writer(lines: int) -> list[str]:
    """Writes so many."""
    return [sys.executable, "-c", WRITER, str(lines), str(PAUSE_S)]


def configuration(lines: int, floods: int) -> str:
    """One quiet writer, not started yet, and so many floods."""
    flood = f"  flood: {{command: 'yes', instances: {floods}, autoLaunch: true, stdout: 'flood_{{n}}.log'}}\n"
    return (
        f"tasks:\n  quiet: {{command: {json.dumps(writer(lines))}, autoLaunch: false, restart: never,"
        f" successfulStartTimeout: 0, stdout: quiet.log}}\n{flood if floods else ''}"
    )


def lags(lines: IO[bytes], count: int) -> list[float]:
    """Milliseconds from each line's own time to its arrival."""
    found: list[float] = []
    rest = b""
    while len(found) < count and select.select([lines], [], [], 30)[0]:
        rest += os.read(lines.fileno(), 65536)
        arrived = time.monotonic_ns()
        *whole, rest = rest.split(b"\n")
        found += [(arrived - int(each)) / 1e6 for each in whole if each.isdigit()]  # the others are about the process
    assert len(found) == count, f"only {len(found)} of {count} lines came"
    return found


def measured(lines: int, floods: int, place: Path | None) -> list[float]:
    """One daemon, with its logs in that directory; None: where temporary files are."""
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        home = Path(scratch)
        (home / "quiet.log").touch()
        with Daemon(home, configuration(lines, floods)) as daemon, Rpc(home / "control.sock") as client:
            follow = daemon.command("logs", "-f", "quiet")
            with subprocess.Popen(
                follow, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=home, env=environment(home)
            ) as follower:
                client.call("start", words=["quiet"])
                assert follower.stdout is not None
                found = lags(follower.stdout, lines)
                follower.kill()
            return found


def floor(lines: int) -> list[float]:
    """Without anybody between."""
    with subprocess.Popen(writer(lines), stdout=subprocess.PIPE) as alone:
        assert alone.stdout is not None
        return lags(alone.stdout, lines)


def row(name: str, found: list[float], idle: float | None) -> str:
    """A line of the table."""
    median = statistics.median(found)
    beside = f" ({median / idle:.1f} x)" if idle is not None else ""
    return f"| {name} | {median:.2f}{beside} | {sorted(found)[len(found) * 99 // 100]:.2f} | {max(found):.2f} |"


def main() -> None:
    """The floor, and a follower without floods and beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    lines = FEW if parser.parse_args().small else LINES
    print(f"| {lines} lines | median, ms | 99 of 100 | worst |\n|---|--:|--:|--:|")
    print(row("a pipe, nobody between", floor(lines), None), flush=True)
    place = memory.place()
    idle = measured(lines, 0, place)
    print(row("a follower", idle, None), flush=True)
    beside = measured(lines, FLOODS, place)
    print(row(f"a follower, {FLOODS} floods", beside, statistics.median(idle)), flush=True)
    beside = measured(lines, FLOODS, None)
    print(row(f"a follower, {FLOODS} floods, on {tempfile.gettempdir()}", beside, statistics.median(idle)), flush=True)


if __name__ == "__main__":
    main()
