"""`watch`: what follows when a file that a task names has changed.

Guarantees: changes are answered once they have stopped for the task's `debounce`, or after MOST_DEBOUNCES of that; a
process that is wanted up is restarted then, also one that had failed or ended by itself, or gets its signal where it
lives; one that an operator has stopped stays so. The logs of tasks, rotated ones too, are never a change, whosever they
are. A task that is changed again right after each of LOOP answers is let alone until nothing has changed for QUIET_S,
and that is told.
Leaves to others: which files there are (`daemon.watched_tree`, imported only where a task asks for it).

What changes while no daemon runs is not heard of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tm.core.config import Config
from tm.core.launch import launch
from tm.core.lines import plain
from tm.core.records import Level
from tm.core.signal_names import signal_name
from tm.core.task import Task, Watch
from tm.core.timers import Instant, Timer
from tm.core.transitions import Event
from tm.daemon.supervisor import Supervisor
from tm.edge.eventlog import EventLog
from tm.edge.loop import Callback, Loop

if TYPE_CHECKING:
    from tm.daemon.watched_tree import WatchedTree

MOST_DEBOUNCES: Final = 10
LOOP: Final = 5
LOOP_S: Final = 2.0
QUIET_S: Final = 10.0
_ROTATED: Final = re.compile(r"\.[0-9]+$")


@dataclass(slots=True)
class _Watched:
    """One task. `path`: what has changed first, `since` when; `answered`: when that was last; `again`: how many changes
    in a row came right after an answer; `paused`: no change counts until they stop.
    """

    watch: Watch
    path: str = ""
    since: Instant | None = None
    timer: Timer[Callback] | None = None
    answered: Instant | None = None
    again: int = 0
    paused: bool = False


class Watching:
    """For all tasks of one daemon."""

    def __init__(self, loop: Loop, supervisor: Supervisor, log: EventLog) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._log = log
        self._tree: WatchedTree | None = None
        self._watched: dict[str, _Watched] = {}
        self._logs: frozenset[str] = frozenset()

    def apply(self, config: Config) -> None:
        """This configuration holds from now on."""
        wanted = {task.name: task for task in config.tasks.values() if task.watch is not None}
        for name in [name for name in self._watched if name not in wanted]:
            self._drop(name)
        if wanted:
            self._logs = frozenset(path for task in config.tasks.values() for path in _logs(task))
        for task in wanted.values():
            self._put(task)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._tree is not None:
            self._tree.close()
            self._tree = None

    def _put(self, task: Task) -> None:
        assert task.watch is not None
        known = self._watched.get(task.name)
        if known is not None and known.watch.paths == task.watch.paths:
            known.watch = task.watch
            return
        if known is not None:
            self._drop(task.name)
        if (tree := self._open(task.name)) is not None:
            from tm.core.globs import Globs

            self._watched[task.name] = _Watched(task.watch)
            tree.put(task.name, Globs(path.fill(task.name, "", "") for path in task.watch.paths))

    def _open(self, name: str) -> WatchedTree | None:
        """The tree, which is there from the first task on that wants it."""
        from tm.daemon.watched_tree import WatchedTree

        if self._tree is None:
            try:
                self._tree = WatchedTree(self._loop, self._changed, self._say)
            except OSError as error:
                why = f"nothing is watched: this machine gives no inotify ({os.strerror(error.errno or 0)})"
                self._say(name, f"{why}; see sysctl fs.inotify.max_user_instances")
        return self._tree

    def _drop(self, name: str) -> None:
        watched = self._watched.pop(name)
        if watched.timer is not None:
            self._loop.cancel(watched.timer)
        if self._tree is not None:
            self._tree.drop(name)

    # ---- changes

    def _changed(self, name: str, path: str) -> None:
        if path in self._logs or _ROTATED.sub("", path) in self._logs:
            return
        watched = self._watched[name]
        now = self._loop.now
        if watched.since is None:
            watched.since, watched.path = now, path
            self._count(name, watched, now)
        wait_s = QUIET_S if watched.paused else watched.watch.debounce_s
        until = now + wait_s
        if not watched.paused:
            until = min(until, watched.since + MOST_DEBOUNCES * wait_s)
        if watched.timer is not None:
            self._loop.cancel(watched.timer)
        watched.timer = self._loop.call_at(Instant(until), partial(self._settled, name, watched))

    def _count(self, name: str, watched: _Watched, now: Instant) -> None:
        """The first of some changes: whether it has come right after the answer to the last ones."""
        soon = watched.answered is not None and now - watched.answered < LOOP_S
        watched.again = watched.again + 1 if soon else 0
        if watched.again >= LOOP and not watched.paused:
            watched.paused = True
            why = f"answered {LOOP} changes in a row, and {watched.path or 'something'} has changed again at once"
            text = f"{why}: does it write that itself? Nothing is done until it has been quiet for {QUIET_S:g} s"
            self._say(name, f"{text}; leave that file out of 'watch'")

    def _settled(self, name: str, watched: _Watched) -> None:
        """The changes have stopped."""
        path = watched.path
        watched.timer, watched.since, watched.path = None, None, ""
        if watched.paused:
            watched.paused, watched.again, watched.answered = False, 0, None
            return
        watched.answered = self._loop.now
        by = f"watch: {plain(path)} changed" if path else "watch: more has changed than the kernel could tell"
        for key, row in list(self._supervisor.rows.items()):
            if row.task.name != name or not row.wanted_up:
                continue
            if watched.watch.signal is None or row.at_rest:
                self._supervisor.ask(key, Event.RESTART, by=by)
            elif self._supervisor.send(key, watched.watch.signal):
                text = f"{signal_name(watched.watch.signal)} sent, by {by}"
                self._log.write(Level.INFO, row.name, "signal", text)

    def _say(self, name: str, text: str) -> None:
        self._log.write(Level.WARNING, name, "watch", text)


def _logs(task: Task) -> Iterator[str]:
    """The log files of all its instances."""
    for n in range(1, task.instances + 1):
        start = launch(task, n, {})
        yield from (path for path in (start.stdout, start.stderr) if path is not None)
