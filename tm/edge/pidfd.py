"""A process by a descriptor of its own, for those that are not our children: pidfd_open(2) and what came with it.

A pid is only a number, which the kernel gives to somebody else when its process has been reaped; and the time of its
start, in ticks of 10 ms, does not tell two apart that begin one after the other. A pidfd means one process for ever. It
is readable when that process has ended, all of its threads, reaped or not. Where pidfds live in a file system of their
own (Linux 6.9), the inode is as unique as the process, and can be written down and compared by who opens it again.

Guarantees: nothing here waits, and nobody but the process meant is signalled or told about; an end that nobody can tell
is None and never a guess. Where there are no pidfds (macOS, Linux before 5.3) `open_pidfd` says ENOSYS.
Leaves to others: the descriptor, which belongs to who opened it, and what is remembered of a process
(`core.saved`).

Traps: the kernel tells the end of a stranger in two places, one after the other. While it is a zombie, field 52 of
/proc/PID/stat has it, as a 0 for those who may not look; when it has been reaped, since Linux 6.15, the pidfd has it,
provided that one was open before. Between reading the number of the process and reading its file it may have been
reaped, and the file be a stranger's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
from collections.abc import Callable
from functools import cache
from typing import Final

from tm.core.exitstatus import ExitStatus

_GET_INFO: Final = 0xC040FF0B
"""PIDFD_GET_INFO of linux/pidfd.h, for the 64 bytes of `struct pidfd_info`."""
_INFO_EXIT: Final = 1 << 3
_INFO: Final = struct.Struct("=QQ11Ii")
"""mask, cgroup, pid, tgid, ppid, eight ids, exit_code."""

_TO_GROUP: Final = 1 << 2
"""PIDFD_SIGNAL_PROCESS_GROUP."""

_OVER: Final = ([b"Z"], [b"X"])
"""The states of one that waits to be reaped, or is just being reaped."""
_STAT_BYTES: Final = 4096
"""The kernel gives the line whole, and it is never so long."""
_LOOKS: Final = 2
"""It may be reaped while we look: neither of the two places has its end then, and the first one has it after that."""


def open_pidfd(pid: int) -> int:
    """A descriptor for the process, closed on exec.

    Raises ProcessLookupError when there is none, also where the number is a thread's by now; OSError(ENOSYS) where the
    machine has no pidfds, and any other OSError.
    """
    if not hasattr(os, "pidfd_open"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error
        raise


def recognized(pid: int, start: int | None, number: int) -> int | None:
    """A descriptor for the very process that is on record with this `identity` and `start_time`, ended or not; None
    where it is gone and somebody else has its pid. Raises OSError as `open_pidfd` does.
    """
    fd = open_pidfd(pid)
    now = identity(fd)
    if now == number if now else start is not None and start_time(pid) == start:
        return fd
    os.close(fd)
    return None


def lives(pid: int, start: int | None, number: int) -> bool:
    """Whether the very process that is on record has not ended. Raises OSError where that cannot be seen."""
    try:
        fd = recognized(pid, start, number)
    except ProcessLookupError:
        return False
    if fd is None:
        return False
    try:
        return not ended(fd)
    finally:
        os.close(fd)


def identity(fd: int) -> int:
    """The inode of a pidfd, which no other process of this boot has; 0 where all pidfds share one."""
    status = os.fstat(fd)
    return 0 if status.st_dev == _anonymous_device() else status.st_ino


@cache
def _anonymous_device() -> int:
    """The file system of descriptors without an inode of their own, where pidfds were before they had one."""
    with select.epoll() as some:
        return os.fstat(some.fileno()).st_dev


def ended(fd: int) -> bool:
    """Whether the process has ended, reaped or not."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def send(fd: int, signum: int, group: bool = False) -> bool:
    """Send to the process, or to the group that it leads or, while that has a member, led.

    False when it reached nobody: it has ended, or is one that we may not signal. Raises OSError(EINVAL) for a group
    where the kernel does not know that (Linux before 6.9).
    """
    if not group and ended(fd):  # a zombie takes every signal, and heeds none
        return False
    try:
        signal.pidfd_send_signal(fd, signum, None, _TO_GROUP if group else 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def deliver(pid: int, signum: int, meant: Callable[[int], bool]) -> bool:
    """Send to the process that has this number, if it is `meant`, which is asked when it can be no other any more.

    False when it reached nobody. Without a descriptor (no pidfds here, or none left) it is asked just before.
    """
    try:
        fd = open_pidfd(pid)
    except ProcessLookupError:
        return False
    except OSError:
        return meant(pid) and _send_by_number(pid, signum)
    try:
        return meant(pid) and send(fd, signum)
    finally:
        os.close(fd)


def _send_by_number(pid: int, signum: int) -> bool:
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def start_time(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; None when it is gone or there is no /proc."""
    words = _stat(pid)
    return int(words[19]) if len(words) > 19 else None


def exit_status(fd: int) -> ExitStatus | None:
    """How the process has ended; None while it lives, and where the kernel does not tell. Raises nothing."""
    if not ended(fd):
        return None
    for _ in range(_LOOKS):
        if (status := _of_reaped(fd)) is not None:
            return status
        if (status := _of_zombie(fd)) is not None:
            return status
    return None


def _of_reaped(fd: int) -> ExitStatus | None:
    """What the pidfd itself says."""
    answer = bytearray(_INFO.size)
    _INFO.pack_into(answer, 0, _INFO_EXIT, *[0] * 13)
    try:
        fcntl.ioctl(fd, _GET_INFO, answer)
    except OSError:
        return None
    mask, *_, status = _INFO.unpack(answer)
    return ExitStatus.from_wait(status) if mask & _INFO_EXIT else None


def _of_zombie(fd: int) -> ExitStatus | None:
    """What /proc says, when it was still this process's entry after it was read."""
    if (pid := _pid(fd)) is None:
        return None
    words = _stat(pid)
    shown = int(words[49]) if len(words) > 49 else 0
    known = shown or _may_look(pid)
    if not known or words[:1] not in _OVER or _pid(fd) != pid:
        return None
    return ExitStatus.from_wait(shown)


def _pid(fd: int) -> int | None:
    """The number of its process; None when that was reaped."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
            for line in file:
                if line.startswith(b"Pid:"):
                    pid = int(line[4:])
                    return pid if pid > 0 else None
    except OSError:
        pass
    return None


def _may_look(pid: int) -> bool:
    """Whether the kernel would show us the process's exit status, and not a 0 in its place.

    The link is guarded by the same right, and a zombie still has it."""
    try:
        os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return False
    return True


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third on, after the name, which may hold anything."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return os.read(fd, _STAT_BYTES).rpartition(b")")[2].split()
    except OSError:
        return []
    finally:
        os.close(fd)
