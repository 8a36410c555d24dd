"""What this machine allows, and the limit of open files raised as far as it is needed.

Guarantees: a limit is read where the kernel enforces it: that of the machine, of each cgroup that we are in (version 1
and 2), of our user; what cannot be read is no limit. The soft limit of open files is raised to the hard one at most,
and what it was is noted in a variable, which goes on to the guardian and the daemons after this one, so that the
programs that are started get what taskmaster itself was given (`edge.spawn`).
Leaves to others: how much is needed, and the sentences (`core.demand`).
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath

from tm.core.demand import Bound, Room
from tm.core.launch import OPEN_FILES
from tm.core.mounts import places

_MACHINE = (("kernel.pid_max", "pid_max"), ("kernel.threads-max", "threads-max"))


def room() -> Room:
    """What there is for us."""
    hard, of_a_user = resource.getrlimit(resource.RLIMIT_NOFILE)[1], resource.getrlimit(resource.RLIMIT_NPROC)[0]
    return Room(
        descriptors=None if hard == resource.RLIM_INFINITY else hard,
        bounds=[*_of_the_machine(), *_of_cgroups()],
        of_a_user=None if of_a_user == resource.RLIM_INFINITY else of_a_user,
        root=os.geteuid() == 0,
    )


def provide(descriptors: int, guardian: int) -> None:
    """Let this process and its guardian (its pid, or our own) have so many descriptors, as far as we may. Where the
    limit has to be raised, it is to twice as many, so that clients find room too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= descriptors or soft == hard:
        return
    wanted = 2 * descriptors if hard == resource.RLIM_INFINITY else min(2 * descriptors, hard)
    os.environ.setdefault(OPEN_FILES, str(soft))
    for pid in {os.getpid(), guardian}:
        with suppress(OSError, ValueError):  # it has just ended, or is somebody else's by now
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (wanted, hard))


def left() -> int | None:
    """How many descriptors this process may still open; None where there is no limit, or nobody knows (Linux before
    6.2).
    """
    soft, opened = resource.getrlimit(resource.RLIMIT_NOFILE)[0], 0
    with suppress(OSError):
        opened = os.stat("/proc/self/fd").st_size
    return soft - opened if opened and soft != resource.RLIM_INFINITY else None


def _of_the_machine() -> Iterator[Bound]:
    for name, file in _MACHINE:
        if (most := _number(f"/proc/sys/kernel/{file}")) is not None:
            yield Bound(most, f"{name} of this machine", f"type, as root: sysctl -w {name}={{}}")


def _of_cgroups() -> Iterator[Bound]:
    membership, mounts = _text("/proc/self/cgroup"), _text("/proc/self/mountinfo")
    for controller in ("", "pids"):
        for place in places(mounts, membership, controller)[:1]:
            for each in (place, *map(str, PurePosixPath(place).parents)):
                if (most := _number(f"{each}/pids.max")) is not None:
                    yield Bound(most, f"{each}/pids.max", "write {} into it, or set TasksMax={} in its unit")


def _number(path: str) -> int | None:
    """What a file holds, if that is a number."""
    with suppress(ValueError):
        return int(_text(path))
    return None


def _text(path: str) -> str:
    """What a file holds; '' where it cannot be read."""
    with suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
    return ""
