"""What the supervisor needs of the machine, and the real thing behind it.

Guarantees: `Machine.spawn` opens logs and pipes, starts the program and gives everything back when a step fails; a
signal goes to whom `killMode` says.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Protocol

from tm.core.launch import Launch, SpawnFailure
from tm.core.task import KillMode, Task
from tm.daemon.failures import explain
from tm.daemon.outputs import Outputs
from tm.daemon.wiring import Key, Wiring
from tm.edge import procfs, reap, spawn
from tm.edge.pipes import open_glass
from tm.edge.signals import default_for_child


class Platform(Protocol):
    """Processes, as the supervisor sees them."""

    def spawn(self, key: Key, launch: Launch) -> int | SpawnFailure:
        """Start it; its pid or why not."""
        ...

    def send(self, task: Task, pid: int, signum: int) -> bool:
        """Send a signal as the task's `killMode` says; False when nobody is there."""
        ...

    def group_left(self, task: Task, pid: int) -> bool:
        """Whether something is left of the group that `pid` led, and `killMode` makes it ours to end."""
        ...

    def living_groups(self) -> set[int] | None:
        """The process groups that have a member that is no zombie; None where the machine does not tell."""
        ...


class Machine:
    """This machine."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        reap.adopt_orphans()
        open_glass()
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def spawn(self, key: Key, launch: Launch) -> int | SpawnFailure:
        """Wire its output and start it."""
        wiring = self._outputs.open(key, launch)
        if isinstance(wiring, SpawnFailure):
            return wiring
        self._give(launch, wiring)
        with default_for_child():
            outcome = spawn.spawn(launch, (self._null, *wiring.stdio))
        wiring.close_childs_ends()
        if isinstance(outcome, spawn.Failed):
            self._outputs.discard(wiring)
            return explain(launch, outcome)
        self._outputs.attach(key, wiring, outcome)
        return outcome

    def _give(self, launch: Launch, wiring: Wiring) -> None:
        """Let the pipes belong to whom the child becomes, who can then open /dev/stdout like any file of his. What
        cannot be looked up here fails the spawn.
        """
        with suppress(OSError):
            ids = spawn.ids_of(launch)
            if isinstance(ids, spawn.Ids):
                for fd in wiring.childs_ends:
                    os.fchown(fd, ids.uid, ids.gid)

    def send(self, task: Task, pid: int, signum: int) -> bool:
        """To the group or the process; a stopped process is continued so that it can act on its stop signal."""
        group = task.kill_mode is KillMode.GROUP
        sent = reap.send(pid, signum, group)
        if sent and signum == task.stop_signal and signum != signal.SIGKILL:
            reap.send(pid, signal.SIGCONT, group)
        return sent

    def group_left(self, task: Task, pid: int) -> bool:
        """Ask the kernel."""
        return task.kill_mode is KillMode.GROUP and reap.group_exists(pid)

    def living_groups(self) -> set[int] | None:
        """One look at all processes."""
        return procfs.living_groups()
