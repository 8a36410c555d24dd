"""What `floor.c` does, as Python does it at its quickest: `subprocess` with two pipes, and nothing that watches.

Usage: floor_loop.py COUNT PROGRAM [WORD...]; each gets its number as a last word.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress


def start(number: int, words: list[str]) -> tuple[int, int, int]:
    """Its pid, and our ends of its pipes."""
    out, err = os.pipe(), os.pipe()
    child = subprocess.Popen(
        [*words, str(number)], stdout=out[1], stderr=err[1], close_fds=False, start_new_session=True
    )
    child.returncode = 0
    os.close(out[1])
    os.close(err[1])
    return child.pid, out[0], err[0]


def main() -> None:
    """Start all, replace who dies, end all when told to."""
    count, words = int(sys.argv[1]), sys.argv[2:]
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    for signum in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signum, lambda signum, _: None)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    children = {}
    for number in range(1, count + 1):
        pid, *fds = start(number, words)
        children[pid] = number, fds
    while signal.SIGTERM not in os.read(told, 4096):
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
                number, fds = children.pop(pid)
                for fd in fds:
                    os.close(fd)
                pid, *fds = start(number, words)
                children[pid] = number, fds
    for pid in children:
        os.kill(pid, signal.SIGTERM)
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
