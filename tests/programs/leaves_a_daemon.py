"""Leaves a process that is nobody's child, in a session of its own, deaf to SIGTERM and with all descriptors closed.

Arguments: the file for its pid, then words: `wiped`, without a variable in its environment; `child`, as a child of this
one after all, which then runs on until SIGTERM; `stays`, run on after it; `fails`, end with 1.
"""

from __future__ import annotations

import os
import signal
import sys


def _daemon(path: str, wiped: bool) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.closerange(0, 100)
    os.rename(f"{path}.new", path)
    os.execve("/bin/sleep", ["sleep", "1000"], {} if wiped else dict(os.environ))


def main(path: str, *words: str) -> int:
    """Leave one, and do as the words say."""
    if os.fork() == 0:
        os.setsid()
        if "child" not in words and os.fork() != 0:
            os._exit(0)
        _daemon(path, "wiped" in words)
    if "child" not in words:
        os.wait()
    while "stays" in words or "child" in words:
        signal.pause()
    return int("fails" in words)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
