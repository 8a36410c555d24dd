"""What is left of process groups, and of trees, whose leaders have ended.

Guarantees: whoever waits for a group hears once, when it is empty; a group is remembered no longer than it has members,
so that its number, used again by a stranger, is not signalled; members that are zombies of a parent that does not wait
count as gone once they were killed.

A tree counts as a group here: it is asked for by a number of its own (`daemon.reach`), and killed again at each look,
since who was being forked may have been missed where it has no cgroup.

The deaths of orphans ring SIGCHLD like any other (`edge.reap`), hence `look` after deaths. Remains that are not our
descendants die unheard: after SIGKILL, and only then, they are looked for with growing waits.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tm.core.once import Once
from tm.core.process import Process
from tm.core.remnant import remnant
from tm.core.task import KillMode, Task
from tm.daemon.platform import Platform
from tm.daemon.wiring import Key
from tm.edge.loop import Loop

_POLL_FIRST_S, _POLL_MOST_S = 0.01, 1.0


@dataclass(slots=True)
class Group:
    """One group. `pid`: its number, of a tree a negative one; `then`: to be called when it is empty; None where nobody
    waits. `killed`: SIGKILL was sent.
    """

    task: Task
    pid: int
    then: Callable[[], None] | None
    killed: bool = False


class Remains:
    """The groups, by the instance whose leader led them."""

    def __init__(self, loop: Loop, platform: Platform) -> None:
        self._loop = loop
        self._platform = platform
        self._groups: dict[Key, Group] = {}
        self._look_soon = Once(loop.first, self._look)
        self._polling = False

    def keep(self, key: Key, task: Task, pid: int, then: Callable[[], None] | None) -> None:
        """Remember a group that has outlived its leader."""
        self._groups[key] = Group(task, self._platform.hold(task, pid), then)
        self.deaths()

    def outlast(self, key: Key, row: Process, again: bool, then: Callable[[], None]) -> bool:
        """The leader of this instance has ended, which is to be started `again` or not; whether `then` is to come when
        its group is empty, and not now.
        """
        if row.pid is None or not self._platform.group_left(row.task, row.pid):
            return False
        waits = row.stopping or again
        self.keep(key, row.task, row.pid, then if waits else None)
        if waits and (row.killing or not row.stopping):
            self.kill(key)
        return waits

    def number(self, key: Key, pid: int) -> int:
        """By which number the instance whose leader is or was `pid` is signalled."""
        return self._groups[key].pid if key in self._groups else pid

    def resume(self, rows: Mapping[Key, Process]) -> None:
        """Remember the trees that an earlier daemon has left; those of instances that nobody knows are killed."""
        for key, number in self._platform.resume({key: row.pid for key, row in rows.items()}).items():
            task = rows[key].task if key in rows else remnant(key[0])
            self._groups[key] = Group(replace(task, kill_mode=KillMode.TREE), number, None)
            if key not in rows:
                self.kill(key)

    def kill(self, key: Key) -> bool:
        """SIGKILL to what is left of this instance; False when nothing is."""
        group = self._groups.get(key)
        if group is None or not self._platform.group_left(group.task, group.pid):
            return False
        self._platform.send(group.task, group.pid, signal.SIGKILL)
        self.killed(key)
        return True

    def killed(self, key: Key) -> None:
        """Somebody has sent SIGKILL to the group of this instance."""
        if key in self._groups:
            self._groups[key].killed = True
            self._poll(_POLL_FIRST_S)

    def kill_then(self, key: Key, then: Callable[[], None]) -> bool:
        """Kill what is left of this instance and do `then` when it is gone; False when nothing is left."""
        if not self.kill(key):
            self._groups.pop(key, None)
            return False
        self._groups[key].then = then
        return True

    def cancel(self, key: Key) -> None:
        """Nobody waits for it any more."""
        if key in self._groups:
            self._groups[key].then = None

    def deaths(self) -> None:
        """Children have died: look in this turn which groups are empty, once for all of them."""
        if self._groups:
            self._look_soon.ask()

    def _look(self) -> None:
        for key, group in list(self._groups.items()):
            if not self._platform.group_left(group.task, group.pid):
                self._gone(key)

    def _gone(self, key: Key) -> None:
        group = self._groups.pop(key)
        if group.then is not None:
            group.then()

    def _poll(self, wait_s: float) -> None:
        """Look again after a while, unless that is arranged."""
        if not self._polling:
            self._polling = True
            self._loop.call_in(wait_s, lambda: self._polled(wait_s))

    def _polled(self, wait_s: float) -> None:
        self._polling = False
        self._look()
        killed = {key: group for key, group in self._groups.items() if group.killed}
        if not killed:
            return
        living = self._platform.living_groups()
        for key, group in killed.items():
            if living is not None and 0 < group.pid not in living:
                self._gone(key)
            else:
                if group.pid < 0:
                    self._platform.send(group.task, group.pid, signal.SIGKILL)
                self._poll(min(2 * wait_s, _POLL_MOST_S))
