"""What the kernel says of a taskmaster and of what it keeps: the only witness that the program cannot talk to."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.integration.driver import Taskmaster, alive
from tests.waiting import until


class Found(NamedTuple):
    """One live process of an instance. `leads`: it leads its own session, as the instance's own process does."""

    pid: int
    instance: str
    leads: bool


def processes(home: Path) -> list[Found]:
    """The processes below the taskmaster of `home`, known by their environment, which all were alive at one instant."""
    found = [each for name in os.listdir("/proc") if name.isdecimal() and (each := _of(int(name), home))]
    return [each for each in found if alive(each.pid)]


def instances(home: Path) -> list[str]:
    """The instances that have a process of their own, one entry for each such process."""
    return sorted(each.instance for each in processes(home) if each.leads)


def nothing_left(home: Path) -> None:
    """Wait until no process of any instance is left."""
    until(lambda: not processes(home), f"nothing left in /proc, but: {processes(home)}")


def descriptors(pid: int) -> int:
    """How many descriptors it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def number(pid: int, key: str) -> int:
    """A number of /proc/PID/status: `Threads`, `VmRSS` (in KiB), `voluntary_ctxt_switches`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1])


def ticks(pid: int) -> int:
    """CPU used so far, in clock ticks."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def killed_by_itself(home: Path, config: str, under: tuple[str, ...] = (), **changes: str) -> None:
    """One that dies by SIGKILL on its way, as its environment says or what it is run under, and stays dead."""

    class Dying(Taskmaster):
        pass

    Dying.under = under
    dying = Dying(home, config, **changes)
    try:
        assert dying.process.wait(60) == -signal.SIGKILL, dying.log
    finally:
        dying.end()


def _of(pid: int, home: Path) -> Found | None:
    with suppress(OSError):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if b"HOME=" + os.fsencode(home) in variables:
            instance = [each for each in variables if each.startswith(b"TASKMASTER_INSTANCE=")]
            return Found(pid, instance[0].decode().partition("=")[2], os.getsid(pid) == pid) if instance else None
    return None
