"""Everything that one run has started, found by whose child it is, and what the kernel counts of it.

Guarantees: after `adopt` nothing that this program starts, however it detaches itself, is out of its reach, and
`end_all` ends all of it and nothing else. Only for Linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36
GONE = (FileNotFoundError, ProcessLookupError)
LOOK_S = 0.005


class Memory(NamedTuple):
    """Sums over some processes."""

    rss_bytes: int
    pss_bytes: int
    private_bytes: int


class Effort(NamedTuple):
    """CPU time, and how often somebody has waited and was woken."""

    cpu_ns: int
    wakes: int


def adopt() -> None:
    """Become the parent of every orphan among what is started from here."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel has no child subreapers")


def descendants() -> set[int]:
    """Pids of those that this program has started, and of theirs; zombies are none."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(*GONE):
                state, parent = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(entry))
    found: set[int] = set()
    due = [os.getpid()]
    while due:
        mine = children.get(due.pop(), [])
        found.update(mine)
        due += mine
    return found


def end_all() -> None:
    """SIGKILL to all of it until there is nobody, and reap what has become ours."""
    while left := descendants():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reap()
        time.sleep(LOOK_S)
    reap()


def reap() -> None:
    """Whoever of our children is dead."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def memory(pids: Iterable[int]) -> Memory:
    """What they hold; what is shared between two of them is in the resident sizes twice."""
    sums: dict[str, int] = {}
    for pid in pids:
        with contextlib.suppress(*GONE):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
                key, size_kib = line.split()[:2]
                sums[key] = sums.get(key, 0) + 1024 * int(size_kib)
    return Memory(sums["Rss:"], sums["Pss:"], sums["Private_Clean:"] + sums["Private_Dirty:"])


def efforts(pids: Iterable[int]) -> dict[str, Effort]:
    """What each of their threads has cost until now."""
    found = {}
    for pid in pids:
        with contextlib.suppress(*GONE):
            for thread in os.listdir(f"/proc/{pid}/task"):
                task = Path(f"/proc/{pid}/task/{thread}")
                words = (task / "status").read_text().split()
                wakes = int(words[words.index("voluntary_ctxt_switches:") + 1])
                found[thread] = Effort(int((task / "schedstat").read_text().split()[0]), wakes)
    return found


def between(before: dict[str, Effort], after: dict[str, Effort]) -> Effort:
    """What all have cost meanwhile; a thread that has ended meanwhile is not counted, one that began is."""
    nothing = Effort(0, 0)
    costs = [(each, before.get(thread, nothing)) for thread, each in after.items()]
    return Effort(sum(now[0] - then[0] for now, then in costs), sum(now[1] - then[1] for now, then in costs))
