"""Starting a program the full way: fork(2), after which the child is set up in Python.

The child gets what its `Launch` says and nothing else: descriptors 0 to 2, and the sockets that it is given from 3 on
(LISTEN_PID is its own pid then, which only a fork knows in time); default signal dispositions, an empty signal mask,
its own session and process group, and the exact umask, directory, environment, ids, groups, limits and niceness.
A step that fails means that the program is never run, and the parent learns which step and why.

It takes 3 ms for a daemon of 20 MB, whose address space is copied, and is for what vfork(2) cannot do (`edge.vfork`):
limits, ids, a terminal, variables with the pid and the like.

The order matters: cgroup, limits and the like while still privileged, groups before the user (setuid
drops the right to set them), the directory after the user (a directory that only root may enter is refused, not
entered), the program last. All signals are blocked from before the fork until the child has the default dispositions: a
SIGTERM in between kills the child and never runs the daemon's handler in it.

Leaves to others: who is started in this way (`daemon.starting`), and the words for a step that failed
(`daemon.failures`).

Traps: every descriptor of the daemon is close-on-exec (main makes sure of inherited ones), so that none is closed here,
which would cost a system call each. Signals that the daemon ignores would stay ignored: `edge.signals` has
`default_for_child` for the caller. ENOENT may be that of `#!`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import grp
import os
import pwd
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple, NoReturn

from tm.core.launch import OPEN_FILES, Failed, Launch

_PR_SET_DUMPABLE = 4
_LOOKUP_FDS = 3
"""A file or a socket of the name service, and what it opens in turn."""


class Ids(NamedTuple):
    """Who a process becomes."""

    uid: int
    gid: int
    groups: list[int]


def spawn(launch: Launch, fds: Sequence[int]) -> int | Failed:
    """Start the program with `fds` as its descriptors from 0 on, which all stay the caller's; its pid, or why not."""
    ids = ids_of(launch)
    if isinstance(ids, Failed):
        return ids
    launch = replace(launch, environment=_with_user(launch)) if launch.user is not None else launch
    report, result = os.pipe2(os.O_CLOEXEC)
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _child(launch, fds, ids, result)
    except OSError as error:
        os.close(report)
        return Failed("fork", error.errno or 0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(result)
    with open(report, "rb") as pipe:
        told = pipe.read()
    if not told:
        return pid
    os.waitpid(pid, 0)
    stage, number, *detail = told.decode().split()
    return Failed(stage, int(number), *detail)


def _child(launch: Launch, fds: Sequence[int], ids: Ids | None, result: int) -> NoReturn:
    """Between fork and exec: set up, step by step, and become the program; else tell the step and the errno."""
    stage, detail, number = "fork", "", 0
    try:
        os.setsid()
        _default_signals()
        _join(launch.cgroup)
        result, *clear = _clear_of(len(fds), (result, *fds))
        for target, fd in enumerate(clear):
            os.dup2(fd, target, inheritable=True)
        if launch.tty:
            os.login_tty(0)
        for bound in _bounds(launch):
            stage, detail, act = bound
            act()
        stage, detail = "user", ""
        if ids is not None:
            become(ids)
        stage = "workingDirectory"
        os.chdir(launch.directory)
        os.umask(launch.umask)
        stage = "exec"
        own = dict.fromkeys(launch.pid_variables, str(os.getpid()))
        os.execvpe(launch.argv[0], launch.argv, {**launch.environment, **own})
    except (OSError, ValueError, OverflowError, AttributeError, MemoryError) as error:
        number = _number(error)
    finally:
        # Nothing may come back from here into the daemon's own code, whatever it was.
        try:
            os.write(result, f"{stage} {number} {detail}".encode())
        finally:
            os._exit(127)


def _bounds(launch: Launch) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """What it is bounded by: each step with its stage and what exactly, done before the next is asked for."""
    if launch.oom_score is not None:
        yield "oomScoreAdjust", str(launch.oom_score), partial(_set_oom_score, b"%d" % launch.oom_score)
    if (given := os.environ.get(OPEN_FILES)) is not None:
        ours = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield "limits", "nofile", partial(resource.setrlimit, resource.RLIMIT_NOFILE, (min(int(given), *ours), ours[1]))
    for name, soft, hard in launch.limits:  # which may leave no descriptor
        number = getattr(resource, f"RLIMIT_{name.upper()}", -1)
        yield "limits", name, partial(resource.setrlimit, number, (soft, hard))
    if launch.nice is not None:
        yield "nice", "", partial(os.setpriority, os.PRIO_PROCESS, 0, launch.nice)
    if launch.cpus is not None:
        yield "cpuAffinity", ",".join(map(str, launch.cpus)), lambda: os.sched_setaffinity(0, launch.cpus or ())
        if missing := sorted(set(launch.cpus) - os.sched_getaffinity(0)):  # the kernel takes those that there are
            yield "cpuAffinity", ",".join(map(str, missing)), partial(os.sched_setaffinity, 0, ())  # which it refuses


def _set_oom_score(value: bytes) -> None:
    """/proc of a daemon that gives no dump of itself is root's, and so is that of its child, until its exec."""
    if os.geteuid() != 0:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(value)


def _number(error: Exception) -> int:
    """The errno; `setrlimit` hides its EPERM in a ValueError, and a limit on memory may leave too little for Python."""
    match error:
        case OSError(errno=int(number)):
            return number
        case MemoryError():
            return errno.ENOMEM
        case _:
            return errno.EPERM if "not allowed to raise" in str(error) else errno.EINVAL


def _default_signals() -> None:
    signal.set_wakeup_fd(-1)
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _join(cgroup: str) -> None:
    """Enter a cgroup. Who cannot runs outside: whoever has asked for it looks where the child is."""
    if cgroup:
        with suppress(OSError):
            fd = os.open(f"{cgroup}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"0")
            os.close(fd)


def _clear_of(count: int, fds: Sequence[int]) -> list[int]:
    """The same, none of them below `count`, so that no dup2 overwrites what a later one needs."""
    return [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, count) if fd < count else fd for fd in fds]


def become(ids: Ids) -> None:
    """Give up who we are for good; that is checked, since going on as root would be the worst. Raises OSError."""
    if os.geteuid() == 0:
        os.setgroups(ids.groups)
    os.setresgid(ids.gid, ids.gid, ids.gid)
    os.setresuid(ids.uid, ids.uid, ids.uid)
    if os.getresuid() != (ids.uid,) * 3 or os.getresgid() != (ids.gid,) * 3:
        raise PermissionError(errno.EPERM, "ids did not change")


def ids_of(launch: Launch) -> Ids | Failed | None:
    """Look up user and group now, so that a change in the password file counts without a reload. Raises OSError where
    there are no descriptors to look with: the C library then knows no user, and leaves out groups.
    """
    if launch.user is None and launch.group is None:
        return None
    _can_open_files()
    uid, gid, name = os.geteuid(), os.getegid(), ""
    try:
        if launch.user is not None:
            uid, gid, name = _user(launch.user)
    except KeyError:
        return Failed("user", errno.ENOENT, f"there is no user '{launch.user}'")
    try:
        if launch.group is not None:
            gid = group_id(launch.group)
    except KeyError:
        return Failed("user", errno.ENOENT, f"there is no group '{launch.group}'")
    return Ids(uid, gid, os.getgrouplist(name, gid) if name else [gid])


def _can_open_files() -> None:
    """Raises OSError where fewer descriptors are left than a look into the databases of users may take."""
    with ExitStack() as stack:
        for _ in range(_LOOKUP_FDS):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


def group_id(group: str) -> int:
    """The number of a group. Raises KeyError."""
    return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid


def _user(user: str) -> tuple[int, int, str]:
    """uid, primary gid and name; a number without an entry is taken as both uid and gid."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if user.isdecimal():
            return int(user), int(user), ""
        raise
    return entry.pw_uid, entry.pw_gid, entry.pw_name


def _with_user(launch: Launch) -> dict[str, str]:
    """The environment with who the user is, where the task does not say otherwise; never with who the daemon is."""
    told = who(launch.user or "")
    return {**launch.environment, **{key: value for key, value in told.items() if key not in launch.given}}


def identity(user: str) -> Ids:
    """Who `user`, a name or a number, is. Raises KeyError."""
    uid, gid, name = _user(user)
    return Ids(uid, gid, os.getgrouplist(name, gid) if name else [gid])


def who(user: str) -> dict[str, str]:
    """The variables that say who `user` is. Raises KeyError."""
    if not (name := _user(user)[2]):
        return {"HOME": "/", "USER": user, "LOGNAME": user, "SHELL": "/bin/sh"}
    entry = pwd.getpwnam(name)
    return {"HOME": entry.pw_dir, "USER": name, "LOGNAME": name, "SHELL": entry.pw_shell or "/bin/sh"}
