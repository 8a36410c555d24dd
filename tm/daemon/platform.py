"""What the supervisor needs of the machine, and the real thing behind it.

Guarantees: `Machine.spawn` opens logs and pipes, starts the program and gives everything back when a step fails; a
signal goes to whom `killMode` says.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from tm.core.launch import Launch, SpawnFailure
from tm.core.task import KillMode, Task
from tm.daemon.failures import explain
from tm.daemon.outputs import Outputs
from tm.daemon.wiring import Key, Wiring
from tm.edge import pidfd, procfs, reap, spawn
from tm.edge.faults import point
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
    """This machine. `intend` is asked before each spawn why it must not be; `marks` tells what the child is known by;
    `keep` is given the pipes of one that is about to be.

    A process that another daemon has started is reached by its pidfd, never by its number, which may be a stranger's
    by now.
    """

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        reap.adopt_orphans()
        open_glass()
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._adopted: dict[int, int] = {}
        self._disowned: set[int] = set()
        self.intend: Callable[[Key], SpawnFailure | None] = lambda key: None
        self.marks: Callable[[Key], Mapping[str, str]] = lambda key: {}
        self.keep: Callable[[Key, Wiring], None] = lambda key, wiring: None

    def spawn(self, key: Key, launch: Launch) -> int | SpawnFailure:
        """Put it on record, wire its output and start it."""
        if (refused := self.intend(key)) is not None:
            return refused
        point("after-intent")
        launch = replace(launch, environment={**launch.environment, **self.marks(key)})
        wiring = self._outputs.open(key, launch)
        if isinstance(wiring, SpawnFailure):
            return wiring
        self.keep(key, wiring)
        self._give(launch, wiring)
        with default_for_child():
            outcome = spawn.spawn(launch, (self._null, *wiring.stdio))
        point("after-spawn")
        wiring.close_childs_ends()
        if isinstance(outcome, spawn.Failed):
            self._outputs.discard(wiring)
            return explain(launch, outcome)
        self._outputs.attach(key, wiring, outcome)
        return outcome

    def adopt(self, pid: int, fd: int) -> None:
        """Reach this process by its pidfd, which is ours from now on."""
        self._adopted[pid] = fd

    def disown(self, pid: int) -> None:
        """Nothing that has this number is ours, until a child has."""
        self._disowned.add(pid)

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
        sent = self._deliver(pid, signum, group)
        if sent and signum == task.stop_signal and signum != signal.SIGKILL:
            self._deliver(pid, signal.SIGCONT, group)
        return sent

    def _deliver(self, pid: int, signum: int, group: bool) -> bool:
        if pid in self._disowned:
            return False
        fd = self._adopted.get(pid)
        if fd is None:
            return reap.send(pid, signum, group)
        try:
            return pidfd.send(fd, signum, group)
        except OSError:  # a kernel that knows no groups of pidfds: the process lives, so the number is its own
            return not pidfd.ended(fd) and reap.send(pid, signum, group)

    def group_left(self, task: Task, pid: int) -> bool:
        """Ask the kernel."""
        if task.kill_mode is KillMode.GROUP and self._group_exists(pid):
            return True
        self._disowned.discard(pid)
        if (fd := self._adopted.pop(pid, None)) is not None:
            os.close(fd)
        return False

    def _group_exists(self, pid: int) -> bool:
        if pid in self._disowned:
            return False
        if pid not in self._adopted:
            return reap.group_exists(pid)
        living = self.living_groups()  # whose zombies others have to reap, of which we do not hear
        return self._deliver(pid, 0, True) and (living is None or pid in living)

    def living_groups(self) -> set[int] | None:
        """One look at all processes."""
        return procfs.living_groups()
