"""What the supervisor needs of the machine, and the real thing behind it.

Guarantees: `Machine.spawn` opens logs and pipes, starts the program and gives everything back when a step fails; a
signal goes to whom `killMode` says.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from tm.core.altered import altered
from tm.core.launch import Failed, Launch, SpawnFailure
from tm.core.saved import Identity
from tm.core.task import KillMode, Task
from tm.daemon import starting
from tm.daemon.failures import explain
from tm.daemon.outputs import Outputs
from tm.daemon.reach import Reach, Way
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
        """Whether something is left of the group that `pid` led, or its tree, and `killMode` makes it ours to end."""
        ...

    def hold(self, task: Task, pid: int) -> int:
        """The number by which to ask for what is left when `pid` has ended: negative where it is a tree."""
        ...

    def way(self, task: Task, pid: int) -> Way | None:
        """How the tree of `pid` is reached; None where `killMode` says otherwise."""
        ...

    def resume(self, pids: Mapping[Key, int | None]) -> Mapping[Key, int]:
        """Know again the trees of the processes on record; the numbers of those that live without theirs."""
        ...

    def living_groups(self) -> set[int] | None:
        """The process groups that have a member that is no zombie; None where the machine does not tell."""
        ...


class Machine:
    """This machine. `intend` is asked before each spawn why it must not be; `marks` tells what the child is known by;
    `keep` is given the pipes of one that is about to be; `listen` gives the sockets that it is to have, and `hear` one
    on which it says something of itself.

    A process that another daemon has started is reached by its pidfd, never by its number, which may be a stranger's
    by now; where there are too few descriptors to hold one for each, it is opened for each signal. Which of their
    groups lived is known from the last look: who was dead then is, and of many that end at once only the first costs a
    look.
    """

    def __init__(self, outputs: Outputs, reach: Reach) -> None:
        self._outputs = outputs
        reap.adopt_orphans()
        open_glass()
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._adopted: dict[int, int | None] = {}
        self._known_by: dict[int, Identity] = {}
        self._disowned: set[int] = set()
        self._alive: set[int] | None = None
        self.reach = reach
        self.intend: Callable[[Key], SpawnFailure | None] = lambda key: None
        self.marks: Callable[[Key], Mapping[str, str]] = lambda key: {}
        self.keep: Callable[[Key, Wiring], None] = lambda key, wiring: None
        self.listen: Callable[[Key, Launch], Sequence[int] | SpawnFailure] = lambda key, launch: ()
        self.hear: Callable[[Key, Launch], Launch | SpawnFailure] = lambda key, launch: launch
        self._leads: dict[int, int] = {}

    def spawn(self, key: Key, launch: Launch) -> int | SpawnFailure:
        """Put it on record, wire its output and start it."""
        if (refused := self.intend(key)) is not None:
            return refused
        point("after-intent")
        environment = {**launch.environment, **self.marks(key), **self.reach.mark}
        heard = self.hear(key, altered(launch, environment=environment))
        if isinstance(heard, SpawnFailure):
            return heard
        launch = heard
        sockets = self.listen(key, launch)
        if isinstance(sockets, SpawnFailure):
            return sockets
        wiring = self._outputs.open(key, launch)
        if isinstance(wiring, SpawnFailure):
            return wiring
        self.keep(key, wiring)
        self._give(launch, wiring)
        launch = self.reach.prepare(key, launch)
        with default_for_child():
            outcome = starting.spawn(launch, (wiring.stdio[0] if launch.tty else self._null, *wiring.stdio), sockets)
        point("after-spawn")
        self.reach.spawned(key, launch, None if isinstance(outcome, Failed) else outcome)
        wiring.close_childs_ends()
        if isinstance(outcome, Failed):
            self._outputs.discard(wiring)
            return explain(launch, outcome)
        self._outputs.attach(key, wiring, outcome)
        return outcome

    def adopt(self, pid: int, fd: int | None, identity: Identity) -> None:
        """Reach this process by its pidfd, which is ours from now on; None: by one that is opened when it is needed."""
        self._alive = None
        self._adopted[pid], self._known_by[pid] = fd, identity

    def adopted(self, pid: int) -> bool:
        """Whether it is no child of ours."""
        return pid in self._adopted

    def pidfd(self, pid: int) -> int | None:
        """Of one that is adopted, held from now on; None where it has ended. Raises OSError."""
        if self._adopted[pid] is None:
            identity = self._known_by[pid]
            with suppress(ProcessLookupError):
                self._adopted[pid] = pidfd.recognized(pid, identity.start, identity.number)
        return self._adopted[pid]

    def disown(self, pid: int) -> None:
        """Nothing that has this number is ours, until a child has."""
        self._disowned.add(pid)
        self.reach.lost(pid)

    def lead(self, pid: int, fd: int | None) -> None:
        """With `killMode: process` let signals to `pid` go to the process of this pidfd, which is ours from now on, as
        the one that matters of its own; None: to `pid` again.
        """
        if (before := self._leads.pop(pid, None)) is not None:
            os.close(before)
        if fd is not None:
            self._leads[pid] = fd

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
        """As `killMode` says; a stopped process is continued so that it can act on its stop signal."""
        sent = self._send(task, pid, signum)
        if sent and signum == task.stop_signal and signum != signal.SIGKILL:
            self._send(task, pid, signal.SIGCONT)
        return sent

    def _send(self, task: Task, pid: int, signum: int) -> bool:
        """A tree of which nobody can be found is signalled as a group, for which nothing has to be read."""
        if self.reach.covers(task, pid) and self.reach.send(pid, signum):
            return True
        if task.kill_mode is KillMode.PROCESS and (fd := self._leads.get(pid)) is not None:
            led = pidfd.send(fd, signum)
            if led and signum != signal.SIGKILL:
                return True
        return pid > 0 and self._deliver(pid, signum, task.kill_mode is not KillMode.PROCESS)

    def _deliver(self, pid: int, signum: int, group: bool) -> bool:
        if pid in self._disowned:
            return False
        if pid not in self._adopted:
            return reap.send(pid, signum, group)
        if (fd := self._adopted[pid]) is not None:
            return self._send_by(fd, pid, signum, group)
        return self._open_and_send(pid, signum, group)

    def _open_and_send(self, pid: int, signum: int, group: bool) -> bool:
        """Where nobody has the number any more, its group may have members, who keep it."""
        identity = self._known_by[pid]
        try:
            fd = pidfd.recognized(pid, identity.start, identity.number)
        except ProcessLookupError:
            return group and reap.send(pid, signum, group)
        except OSError:
            return False
        if fd is None:
            return False
        try:
            return self._send_by(fd, pid, signum, group)
        finally:
            os.close(fd)

    def _send_by(self, fd: int, pid: int, signum: int, group: bool) -> bool:
        try:
            return pidfd.send(fd, signum, group)
        except OSError:  # a kernel that knows no groups of pidfds: the process lives, so the number is its own
            return not pidfd.ended(fd) and reap.send(pid, signum, group)

    def group_left(self, task: Task, pid: int) -> bool:
        """Ask the kernel."""
        if self.reach.covers(task, pid):
            left = self.reach.left(pid)
        else:
            left = pid > 0 and task.kill_mode is not KillMode.PROCESS and self._group_exists(pid)
        if not left:
            self.reach.forget(pid)
            self._release(pid)
        return left

    def hold(self, task: Task, pid: int) -> int:
        """Ask for a tree by a number that no process has."""
        number = self.reach.hold(task, pid)
        if number != pid:
            self._release(pid)
        return number

    def way(self, task: Task, pid: int) -> Way | None:
        """Ask whoever reaches trees."""
        return self.reach.way(task, pid)

    def resume(self, pids: Mapping[Key, int | None]) -> Mapping[Key, int]:
        """Ask whoever reaches trees."""
        return self.reach.resume(pids)

    def _release(self, pid: int) -> None:
        """The number is nobody's whom we know."""
        self._disowned.discard(pid)
        self._known_by.pop(pid, None)
        if (fd := self._adopted.pop(pid, None)) is not None:
            os.close(fd)

    def _group_exists(self, pid: int) -> bool:
        if pid in self._disowned:
            return False
        if pid not in self._adopted:
            return reap.group_exists(pid)
        if not self._deliver(pid, 0, True):
            return False
        if self._alive is None or pid in self._alive:  # whose zombies others have to reap, of which we do not hear
            self._alive = self.living_groups()
        return self._alive is None or pid in self._alive

    def living_groups(self) -> set[int] | None:
        """One look at all processes."""
        return procfs.living_groups()
