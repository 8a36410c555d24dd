"""Boot of 1,000 processes: taskmaster beside the bare loop that only makes pipes and spawns.

Prints both in seconds and their ratio, which is what counts: the two run one after the other, five times, on the same
machine in the same state. The bare loop is the floor of this interpreter; whatever is over it is supervision.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.driver import Taskmaster

COUNT = 1000
ROUNDS = 5
CONFIG = f"tasks: {{quiet: {{command: sleep 100000, instances: {COUNT}, autoLaunch: true}}}}"


def bare() -> float:
    """Seconds for COUNT spawns with two pipes each, as `subprocess` does them at its quickest."""
    began = time.monotonic()
    pids, fds = [], []
    for _ in range(COUNT):
        ends = os.pipe(), os.pipe()
        child = subprocess.Popen(
            ["sleep", "100000"], stdout=ends[0][1], stderr=ends[1][1], close_fds=False, start_new_session=True
        )
        child.returncode = 0
        pids.append(child.pid)
        fds += [ends[0][0], ends[1][0]]
        os.close(ends[0][1])
        os.close(ends[1][1])
    took = time.monotonic() - began
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for fd in fds:
        os.close(fd)
    return took


def boot() -> tuple[float, float]:
    """Seconds from the exec of taskmaster to its prompt behind COUNT starts, and those of `exit`."""
    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        with Taskmaster(Path(home), CONFIG) as taskmaster:
            booted = time.monotonic() - began
            taskmaster.leave()
            return booted, time.monotonic() - began - booted


def main() -> None:
    """Alternate, and print medians."""
    rounds = [(bare(), *boot()) for _ in range(ROUNDS)]
    floor, booted, left = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(each[1] / each[0] for each in rounds)
    print(f"{'bare loop':<28} {floor:7.3f} s for {COUNT}")
    print(
        f"{'taskmaster, exec to prompt':<28} {booted:7.3f} s   {ratio:.2f} x the bare loop (median of {ROUNDS} pairs)"
    )
    print(f"{'taskmaster, exit':<28} {left:7.3f} s")


if __name__ == "__main__":
    main()
