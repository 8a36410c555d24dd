"""Takes memory, and keeps it until it is ended.

Arguments: MiB; who has it: `itself`, `child` (in a session of its own), `orphan` (in this session, nobody's child),
`daemon` (in a session of its own, nobody's child); perhaps a FIFO that is read before.
"""

from __future__ import annotations

import os
import signal
import sys


def _fork() -> bool:
    """Whether this is the child."""
    return os.fork() == 0


def main(mib: str, who: str, fifo: str = "") -> None:
    """Have it."""
    if fifo:
        with open(fifo, encoding="ascii") as file:
            file.read()
    mine = who == "itself"
    if not mine and _fork():
        if who in ("child", "daemon"):
            os.setsid()
        if who in ("orphan", "daemon") and not _fork():
            os._exit(0)
        mine = True
    elif who in ("orphan", "daemon"):
        os.wait()
    kept = b"x" * (int(mib) << 20) if mine else b""
    if kept:
        with open("taken.new", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        os.rename("taken.new", "taken")
    while True:
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
