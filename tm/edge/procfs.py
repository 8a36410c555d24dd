"""What the kernel tells about processes in /proc, where there is one.

Guarantees: facts of this moment or nothing; a process that vanishes while it is read is left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """One process: `session` and `group` ids, CPU seconds used, resident bytes."""

    pid: int
    parent: int
    group: int
    session: int
    state: str
    cpu_s: float
    rss_bytes: int
    command: str


def stat(pid: int) -> Stat | None:
    """Read one process; None when it is gone or there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("utf-8", "replace")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(4096).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
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
        command=command or f"[{name}]",
    )


def session_members(session: int) -> list[Stat]:
    """The processes of a session, as an instance leads one, by pid."""
    try:
        pids = sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())
    except OSError:
        return []
    return [found for pid in pids if (found := stat(pid)) is not None and found.session == session]


def oom_kills() -> int:
    """How many processes the kernel's OOM killer has killed since boot; 0 where it does not say."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0
