"""What the kernel tells about processes in /proc, where there is one.

Guarantees: facts of this moment or nothing; a process that vanishes while it is read is left out.
"""

from __future__ import annotations

import os
import stat as stat_module
from functools import cache
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """One process: `session` and `group` ids, CPU seconds used, resident bytes."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    cpu_s: float
    rss_bytes: int
    name: str

    @property
    def deaf(self) -> bool:
        """Whether it waits in the kernel, where no signal is heard."""
        return self.state.startswith("D")


def stat(pid: int) -> Stat | None:
    """Read one process; None when it is gone or there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    words = rest.split()
    return Stat(
        pid=pid,
        parent=int(words[1]),
        group=int(words[2]),
        session=int(words[3]),
        state=words[0],
        cpu_s=(int(words[11]) + int(words[12])) / _TICKS,
        rss_bytes=int(words[21]) * _PAGE,
        name=name,
    )


def owner(pid: int) -> int | None:
    """The uid that it runs as; None when it is gone or there is no /proc."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def command(process: Stat) -> str:
    """Its words as it shows them; its name in brackets where it shows none."""
    try:
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            words = file.read(4096).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        words = ""
    return words or f"[{process.name}]"


def sessions() -> dict[int, list[Stat]]:
    """All processes by session, as an instance leads one, each by pid: one look, which costs with every process."""
    try:
        pids = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except OSError:
        return {}
    found: dict[int, list[Stat]] = {}
    for pid in pids:
        if (process := stat(pid)) is not None:
            found.setdefault(process.session, []).append(process)
    return found


def living_groups() -> set[int] | None:
    """The process groups that have a member which is no zombie; None where there is no /proc."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return None
    groups = set()
    for name in names:
        if name.isdecimal():
            words = _words(int(name))
            if words and words[0] not in (b"Z", b"X"):
                groups.add(int(words[2]))
    return groups


def open_pipes(pid: int, inodes: set[int]) -> dict[int, int]:
    """The reading ends of pipes that a process holds, of these inodes, each opened anew: the caller's, non-blocking."""
    found: dict[int, int] = {}
    try:
        names = sorted(os.listdir(f"/proc/{pid}/fd"), key=int)
    except OSError:
        return found
    for name in names:
        path = f"/proc/{pid}/fd/{name}"
        try:
            seen = os.stat(path)
            if seen.st_ino not in inodes or seen.st_ino in found or not stat_module.S_ISFIFO(seen.st_mode):
                continue
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        if os.path.samestat(seen, os.fstat(fd)):
            found[seen.st_ino] = fd
        else:
            os.close(fd)
    return found


def pipes(pid: int) -> dict[str, int]:
    """The inodes of the pipes that a process has as stdout and stderr; of one that is both, as stdout."""
    found: dict[str, int] = {}
    for name, number in (("stdout", 1), ("stderr", 2)):
        try:
            seen = os.stat(f"/proc/{pid}/fd/{number}")
        except OSError:
            continue
        if stat_module.S_ISFIFO(seen.st_mode) and seen.st_ino not in found.values():
            found[name] = seen.st_ino
    return found


def leaders_with(variables: set[str]) -> dict[int, dict[str, str]]:
    """The leaders of sessions that were started with all these variables, each as `NAME=value`, by pid; and all the
    variables of each. Those of other pid namespaces are left out, where the same words may be somebody else's.
    """
    wanted = {os.fsencode(each) for each in variables}
    found = {}
    for session, members in sorted(sessions().items()):
        if any(each.pid == session for each in members) and _is_near(session):
            given = _environ(session).split(b"\0")
            if wanted <= set(given):
                pairs = [os.fsdecode(each).partition("=") for each in given]
                found[session] = {name: value for name, _, value in pairs}
    return found


def _is_near(pid: int) -> bool:
    """Whether it is in our pid namespace, as far as we may know; always where there are none."""
    if not pid_namespace():
        return True
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
    except OSError:
        return False


def leaders_of(parent: int) -> dict[int, int]:
    """The children of a process that lead a session, each with when it began, in clock ticks since boot."""
    found = {}
    try:
        with open(f"/proc/{parent}/task/{parent}/children", "rb") as file:
            children = list(map(int, file.read().split()))
    except OSError:
        return {}
    for pid in children:
        words = _words(pid)
        if len(words) > 19 and int(words[3]) == pid:
            found[pid] = int(words[19])
    return found


def parent(pid: int) -> int | None:
    """Whose child it is; None when it is gone or there is no /proc."""
    words = _words(pid)
    return int(words[1]) if len(words) > 1 else None


def _words(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third on, after the name, which may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def group_is(pgid: int, variables: set[str]) -> bool:
    """Whether a process group has a member that was started with these variables, each as `NAME=value`."""
    wanted = {os.fsencode(each) for each in variables}
    for members in sessions().values():
        for process in members:
            if process.group == pgid and wanted <= set(_environ(process.pid).split(b"\0")):
                return True
    return False


def started_with(pid: int, variables: set[str]) -> bool:
    """Whether a process was started with these variables, each as `NAME=value`, as far as we may see that."""
    return {os.fsencode(each) for each in variables} <= set(_environ(pid).split(b"\0"))


def _environ(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


def oom_kills() -> int:
    """How many processes the kernel's OOM killer has killed since boot; 0 where it does not say."""
    try:
        with open("/proc/vmstat", "rb") as file:
            _, found, rest = file.read().partition(b"\noom_kill ")
    except OSError:
        return 0
    return int(rest.split(None, 1)[0]) if found else 0


def boot_id() -> str:
    """What names this boot of the machine, and no other; '' where nothing does."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


@cache
def pid_namespace() -> str:
    """What names the namespace in which our pids mean something, as `pid:[4026531836] since 12`; '' where nothing does.

    The number alone is given out again when its namespace has ended, as that of a container does which is started
    again; when its first process began is not. Asked once, since who has given up root may not see that process.
    """
    try:
        return f"{os.readlink('/proc/self/ns/pid')}{_since()}"
    except OSError:
        return ""


def _since() -> str:
    """When the first process of the namespace began, in clock ticks since boot; '' where we may not see it."""
    words = _words(1)
    return f" since {int(words[19])}" if len(words) > 19 else ""
