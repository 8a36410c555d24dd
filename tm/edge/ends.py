"""Children that have ended: seen before they are let go, so that how they ended can be put on record in between.

Guarantees: every dead child is seen; nothing waits.

The word of how one ended is that of waitpid(2): the exit code times 256, or the signal, and 128 with it where the
memory was dumped.
"""

from __future__ import annotations

import os

_CORE = 0x80


def look() -> tuple[int, int] | None:
    """A child that has ended, and how; it stays, and its number its own, until `release`. None: there is none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return found.si_pid, found.si_status << 8
    return found.si_pid, found.si_status | (_CORE if found.si_code == os.CLD_DUMPED else 0)


def release(pid: int) -> None:
    """Let a child that has ended go."""
    os.waitpid(pid, 0)


def signal_of(how: int) -> int:
    """The signal that ended it, or 0."""
    return how & ~_CORE & 0xFF


def start_of_leader(pid: int) -> int | None:
    """When a process began, in clock ticks since boot, if it leads a session."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(words[19]) if int(words[3]) == pid else None
