"""Control groups, version 2: a directory in which the kernel keeps a process together with all its descendants.

A child begins in the cgroup of its parent, and nothing that it does to its session, parent or environment takes it out
of there. Root, and whoever owns both directories, can move a process to another one; nobody else can.

Guarantees: our own cgroup is found wherever it is mounted, beside version 1 as well; a signal reaches members only,
each held by a descriptor before it is asked to what cgroup it belongs (`Deliver`); SIGKILL ends also what is being
forked meanwhile. Cgroups that members have made below theirs count with it, and its memory is that of all of them.
Leaves to others: putting a child into one (`edge.spawn`, before it runs its program), and names (`daemon.reach`).

Traps: a zombie is no member any more, though it holds its pid. `cgroup.kill` is there since Linux 5.14; before, members
are frozen (5.2), so that they fork no more, and killed one by one until no new one is found. A cgroup whose children
have a controller has no processes itself, but for the root's (`weigh`).
"""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import Final, TypeAlias

from tm.core.mounts import places

Deliver: TypeAlias = Callable[[int, int, Callable[[int], bool]], bool]
"""Sends a signal to a pid, if the process that has it now is one that is meant: `edge.pidfd.deliver`."""

_PASSES: Final = 20
_JOINED: Final = "cgroup.procs"
_SELF: Final = "taskmaster-self"
"""Where we are ourselves, below the cgroup that we were given, once that has no processes any more."""
_RESIDENT: Final = ("anon", "file_mapped")
_GONE: Final = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR)


def own() -> tuple[str, str]:
    """The directory of the cgroup that we were given, where new ones can be made below it and entered, else '' and why
    not.
    """
    membership, mounts = _read("/proc/self/cgroup"), _read("/proc/self/mountinfo")
    if membership is None or mounts is None:
        return "", "there is no /proc"
    if not re.search("^0::", membership, re.M):
        return "", "this kernel has no cgroup v2"
    found = [each.removesuffix(f"/{_SELF}") for each in places(mounts, membership)]
    found = [each for each in found if os.path.exists(f"{each}/{_JOINED}")]
    if not found:
        return "", "cgroup v2 is not mounted"
    for each in found:
        if os.access(each, os.W_OK) and os.access(f"{each}/{_JOINED}", os.W_OK):
            return each, ""
    return "", f"{found[0]} cannot be written"


def of(pid: int) -> str:
    """The path of the cgroup that a process is in, from the root that we see; a zombie was in. '' when it is gone."""
    line = re.search("^0::(/.*)$", _read(f"/proc/{pid}/cgroup") or "", re.M)
    return line[1].removesuffix(" (deleted)") if line else ""


def where(pid: int) -> str:
    """The directory of the cgroup that a process is in; '' when it is gone, or that is not mounted."""
    found = places(_read("/proc/self/mountinfo") or "", _read(f"/proc/{pid}/cgroup") or "")
    return next((each for each in found if os.path.isdir(each)), "")


def make(path: str) -> None:
    """Make it, or take the one that is there. Raises OSError."""
    with suppress(FileExistsError):
        os.mkdir(path)
    with suppress(FileNotFoundError):
        _write(f"{path}/cgroup.freeze", "0")


def remove(path: str) -> bool:
    """Remove it with those below it; False when one has members, and then nothing is removed, or cannot be removed."""
    if populated(path):
        return False
    for place, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):
            os.rmdir(place)
    return not os.path.exists(path)


def below(path: str, prefix: str) -> list[str]:
    """The names of the cgroups just below this one that begin so."""
    try:
        return sorted(name for name in os.listdir(path) if name.startswith(prefix))
    except OSError:
        return []


def populated(path: str) -> bool:
    """Whether it, or one below it, has a member that is no zombie; also where that cannot be read, as without a free
    descriptor.
    """
    try:
        with open(f"{path}/cgroup.events", "rb") as file:
            return b"populated 1" in file.read()
    except OSError as error:
        return error.errno not in _GONE


def members(path: str) -> Iterator[int]:
    """The members of it and of those below it, at this moment."""
    for place, _, _ in os.walk(path):
        yield from (pid for pid in _joined(place) if pid)


def _joined(path: str) -> list[int]:
    """Who is in this one itself; 0 for somebody whom we do not see, also where that cannot be read."""
    text = _read(f"{path}/{_JOINED}")
    return [0] if text is None else [int(word) for word in text.split()]


def weigh(path: str, ours: Collection[int]) -> bool:
    """Have the kernel count the memory of the cgroups just below this one; False where that is not for us to say. Where
    nobody else is in it, `ours` move below as well, which it takes for that.
    """
    if "memory" not in (_read(f"{path}/cgroup.controllers") or "").split():
        return False
    if _count_below(path):
        return True
    if not set(_joined(path)) <= set(ours):
        return False
    with suppress(OSError):
        make(f"{path}/{_SELF}")
        for pid in ours:
            _write(f"{path}/{_SELF}/{_JOINED}", str(pid))
    return _count_below(path)


def _count_below(path: str) -> bool:
    with suppress(OSError):
        _write(f"{path}/cgroup.subtree_control", "+memory")
    return "memory" in (_read(f"{path}/cgroup.subtree_control") or "").split()


def memory(path: str) -> int | None:
    """How many bytes its members have in memory, each page once; not what the kernel keeps of files for them and gives
    back when it is needed. None where the kernel does not count it.
    """
    pairs = (line.split() for line in (_read(f"{path}/memory.stat") or "").splitlines())
    found = {name: int(number) for name, number in pairs if name in _RESIDENT}
    return sum(found.values()) if found else None


def send(path: str, signum: int, deliver: Deliver) -> bool:
    """Send to every member, those that are forked meanwhile included; False when it reached nobody."""
    if signum != signal.SIGKILL:
        return _send_each(path, signum, deliver)
    if not populated(path):
        return False
    try:
        _write(f"{path}/cgroup.kill", "1")
    except OSError:
        return kill_each(path, deliver)
    return True


def kill_each(path: str, deliver: Deliver) -> bool:
    """SIGKILL without `cgroup.kill`. It stays frozen, so that nothing of it goes on; `make` thaws it."""
    with suppress(OSError):
        _write(f"{path}/cgroup.freeze", "1")
    return _send_each(path, signal.SIGKILL, deliver)


def _send_each(path: str, signum: int, deliver: Deliver) -> bool:
    name = os.path.basename(path)
    reached, told = False, set[int]()

    for _ in range(_PASSES):
        fresh = [pid for pid in members(path) if pid not in told]
        if not fresh:
            break
        for pid in fresh:
            reached |= deliver(pid, signum, lambda pid: name in of(pid).split("/"))
        told.update(fresh)
    return reached


def _read(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read())
    except OSError:
        return None


def _write(path: str, text: str) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(text.encode())
