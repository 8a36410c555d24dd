"""Why a process does not hear a signal: what the kernel says of it, in words.

Guarantees: facts of this moment; where the kernel says nothing, nothing is said.
"""

from __future__ import annotations

import os

from tm.core.process import Process
from tm.core.report import lingering
from tm.core.signal_names import signal_name
from tm.core.task import KillMode
from tm.core.timers import Instant
from tm.edge import procfs, reap


def obstacle(row: Process) -> str:
    """What keeps signals from a process that is being stopped; '' when nothing does, or it is not."""
    if row.pid is None or not row.stopping:
        return ""
    return _refusal(row, row.pid) or (_deaf(row.pid) if row.killing else "")


def unsent(row: Process, signum: int) -> str:
    """The sentence about a signal that reached nobody."""
    name = signal_name(signum)
    why = "it is not running" if row.pid is None else _refusal(row, row.pid) or "it has just ended"
    return f"Process '{row.name}' could not be sent {name}: {why}"


def lines(row: Process, now: Instant) -> list[str]:
    """What `status` tells below the table of a process that is slow to end."""
    why = obstacle(row)
    return [lingering(row, now, why)] if why or row.killing else []


def _refusal(row: Process, pid: int) -> str:
    """That we may not signal it, or ''."""
    if reap.may_send(pid, row.task.kill_mode is KillMode.GROUP):
        return ""
    owner = procfs.owner(pid)
    runs = "it runs as another user" if owner is None else f"it runs as uid {owner}"
    return f"taskmaster (uid {os.geteuid()}) may not signal pid {pid}: {runs}"


def _deaf(pid: int) -> str:
    """That it waits where no signal is heard, or ''."""
    found = procfs.stat(pid)
    if found is None or not found.deaf:
        return ""
    return f"pid {pid} waits in the kernel (state D), where not even SIGKILL is heard: for a disk, a network, a freezer"
