"""Starting a program: one function, two ways, the same outcome.

The child gets what its `Launch` says and nothing else: descriptors 0 to 2, default signal dispositions, an empty signal
mask, its own session and process group, and the exact umask, directory, environment, ids, groups, limits and niceness.
A step that fails means that the program is never run, and the parent learns which step and why.

The quick way is `subprocess.Popen` without a user, which takes vfork(2): the address space is not copied, so that a
start costs 0.2 ms however big the daemon is. What vfork cannot do (limits, niceness, ids, a cgroup, a variable with
the pid) takes the full way, a fork(2) that sets the child up in Python; it copies page tables, 3 ms for a daemon of
20 MB.

The order of the full way matters: cgroup, limits and niceness while still privileged, groups before the user (setuid
drops the right to set them), the directory after the user (a directory that only root may enter is refused, not
entered), the program last. All signals are blocked from before the fork until the child has the default dispositions: a
SIGTERM in between kills the child and never runs the daemon's handler in it.

Leaves to others: the words for a step that failed (`daemon.failures`).

Traps: every descriptor of the daemon is close-on-exec (main makes sure of inherited ones), hence `close_fds=False`,
which would cost a system call each. Signals that the daemon ignores would stay ignored: `edge.signals` has
`default_for_child` for the caller. Popen objects are disowned at once: `edge.reap` is the only one who waits. ENOENT
from exec can mean that the `#!` interpreter is missing; E2BIG that one word is over 128 KiB.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import resource
import signal
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import NamedTuple, NoReturn

from tm.core.launch import Launch

Stdio = tuple[int, int, int]

_LOOKUP_FDS = 3
"""A file or a socket of the name service, and what it opens in turn."""


class Failed(NamedTuple):
    """The step that failed (`stage` as in `SpawnFailure`), its errno, and what exactly: a limit, a sentence, or ''."""

    stage: str
    number: int
    detail: str = ""


class Ids(NamedTuple):
    """Who a process becomes."""

    uid: int
    gid: int
    groups: list[int]


def spawn(launch: Launch, stdio: Stdio) -> int | Failed:
    """Start the program with `stdio` as its descriptors 0 to 2 (they stay the caller's); its pid, or why not."""
    if why := _unpassable(launch):
        return Failed("exec", errno.EINVAL, why)
    try:
        if not launch.needs_fork:
            return _quick(launch, stdio)
        return _full(launch, stdio)
    except OSError as error:
        return Failed("fork", error.errno or 0)


def _unpassable(launch: Launch) -> str:
    """What the kernel has no way to hand over, or ''; asked beforehand, so that both ways say the same."""
    texts = [*launch.argv, launch.directory, *launch.environment.keys(), *launch.environment.values()]
    try:
        os.fsencode("".join(texts))
    except UnicodeEncodeError:
        return "a character that has no bytes (a lone surrogate)"
    if any("\0" in text for text in texts):
        return "a NUL byte"
    return "a '=' in a variable's name" if any("=" in name for name in launch.environment) else ""


def _quick(launch: Launch, stdio: Stdio) -> int | Failed:
    try:
        child = subprocess.Popen(
            launch.argv,
            stdin=stdio[0],
            stdout=stdio[1],
            stderr=stdio[2],
            cwd=os.fsencode(launch.directory),
            env=launch.environment,
            umask=launch.umask,
            start_new_session=True,
            close_fds=False,
        )
    except OSError as error:
        # Popen names the directory (bytes, as it was given) when chdir failed, the program when exec did, and nothing
        # when it was a pipe or fork.
        named = error.filename
        stage = "fork" if named is None else "workingDirectory" if isinstance(named, bytes) else "exec"
        return Failed(stage, error.errno or 0)
    child.returncode = 0
    return child.pid


def _full(launch: Launch, stdio: Stdio) -> int | Failed:
    ids = ids_of(launch)
    if isinstance(ids, Failed):
        return ids
    if launch.user is not None:
        launch = replace(launch, environment=_with_user(launch))
    report, result = os.pipe2(os.O_CLOEXEC)
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _child(launch, stdio, ids, result)
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


def _child(launch: Launch, stdio: Stdio, ids: Ids | None, result: int) -> NoReturn:
    """Between fork and exec: set up, step by step, and become the program; else tell the step and the errno."""
    stage, detail, number = "fork", "", 0
    try:
        os.setsid()
        _default_signals()
        _join(launch.cgroup)
        for target, fd in enumerate(_clear_of_stdio(stdio)):
            os.dup2(fd, target, inheritable=True)
        stage = "limits"
        for detail, soft, hard in launch.limits:
            resource.setrlimit(getattr(resource, f"RLIMIT_{detail.upper()}"), (soft, hard))
        detail = ""
        stage = "nice"
        if launch.nice is not None:
            os.setpriority(os.PRIO_PROCESS, 0, launch.nice)
        stage = "user"
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


def _clear_of_stdio(stdio: Stdio) -> list[int]:
    """The same three, none of them below 3, so that no dup2 overwrites what a later one needs."""
    return [os.dup(fd) if fd < 3 else fd for fd in stdio]


def become(ids: Ids) -> None:
    """Give up who we are for good; that it was given up is checked, since going on as root would be the worst.

    Raises OSError."""
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
    """The number of `group`, a name or a number. Raises KeyError."""
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
    _, _, name = _user(user)
    if not name:
        return {"HOME": "/", "USER": user, "LOGNAME": user, "SHELL": "/bin/sh"}
    entry = pwd.getpwnam(name)
    return {"HOME": entry.pw_dir, "USER": name, "LOGNAME": name, "SHELL": entry.pw_shell or "/bin/sh"}
