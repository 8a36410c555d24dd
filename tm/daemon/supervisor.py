"""The rows and what happens to them: feeds the table, carries out its effects, applies a configuration.

Guarantees: every change of a row goes through `core.process.step`; the effects of one step are done, and what came of
them posted, before anything else of that row; a row's timer is its deadline, no more; a row that the configuration no
longer has is dropped once it is at rest; work on many rows (a start of everything, a boot) is done in slices, so that
the loop goes on meanwhile.

REAPED is posted when the instance is gone. Where its group outlives its leader, and it was being stopped or is to be
started again, that is when the group is empty: the remains are what `_remains` holds. They get SIGKILL with the end of
the grace, or at once when nobody asked for a stop: a new copy is never started beside them.

Leaves to others: reading configurations (`daemon.control`), people (`observers`), logs and pipes (`daemon.outputs`).
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from tm.core.config import Config
from tm.core.exitstatus import ExitStatus
from tm.core.launch import SpawnFailure, inherited, launch
from tm.core.process import Effect, Impossible, Occurrence, Process, Send, Spawn, restart_due, step
from tm.core.reload import Plan, changed_settings, diff
from tm.core.timers import Instant, Timer
from tm.core.transitions import Event, Refused
from tm.daemon.outputs import Key
from tm.daemon.platform import Platform
from tm.edge.loop import SLICE_S, Loop

Observer: TypeAlias = Callable[[Process, Occurrence, Process, Sequence[Send]], None]
"""Hears of every change: the row before, what happened, the row after, the signals sent."""

Answer: TypeAlias = Callable[[Process, Refused | None], None]
"""Hears what became of a wish."""

_POLL_FIRST_S, _POLL_MOST_S = 0.01, 1.0


class Supervisor:
    """All processes of one daemon. `rows` are in the order of the configuration."""

    def __init__(self, loop: Loop, platform: Platform, config: Config, environ: Mapping[str, str]) -> None:
        """Begin with `config` and no rows; `environ` is what children inherit where the configuration lets them."""
        self._loop = loop
        self._platform = platform
        self._environ = inherited(environ)
        self._timers: dict[Key, Timer[Callable[[], None]]] = {}
        self._by_pid: dict[int, Key] = {}
        self._remains: dict[Key, tuple[int, Occurrence]] = {}
        self._waiting: deque[Callable[[], None]] = deque()
        self._granting = False
        self._turn, self._began = Instant(-1.0), loop.now
        self.config = config
        self.rows: dict[Key, Process] = {}
        self.left: dict[Key, int] = {}
        self.observers: list[Observer] = []
        self.on_bug: Callable[[str], None] = _raise
        self.on_dropped: Callable[[Key], None] = _ignore
        self.on_applied: Callable[[Config], None] = _ignore

    def ask(self, key: Key, event: Event, answer: Answer | None = None) -> None:
        """An operator's wish, or the configuration's; carried out now, or soon where many wait, in their order."""
        self.then(partial(self._wish, key, Occurrence(event), answer))

    def then(self, work: Callable[[], None]) -> None:
        """Do `work` when everything that was asked before has been carried out: now, if nothing waits."""
        self._waiting.append(work)
        if not self._granting:
            self._granting = True
            self._grant()

    def reaped(self, pid: int, status: ExitStatus, hint: str = "") -> None:
        """A child has ended. One that is nobody's leader may still have been the last of its group."""
        key = self._by_pid.pop(pid, None)
        if key is not None:
            self._leader_ended(key, pid, Occurrence(Event.REAPED, status=status, hint=hint))
        for waiting, (group, what) in list(self._remains.items()):
            if not self._platform.group_left(self.rows[waiting].task, group):
                del self._remains[waiting]
                self._post(waiting, what)

    def key_of(self, pid: int) -> Key | None:
        """Whose leader `pid` is."""
        return self._by_pid.get(pid)

    def apply(self, config: Config, wishes: Mapping[Key, bool]) -> Plan:
        """Carry out the difference between the present configuration and `config`.

        `wishes` are the operators' (up or down), which count for instances that are new here.
        """
        old, plan = self.config, plan_for(self.config, config)
        self.config = config
        self.on_applied(config)
        keys, had = keys_of(config), keys_of(old)
        with_siblings = {name for name, _ in had}
        up = {name for (name, _), row in self.rows.items() if row.wanted_up}
        doomed = [key for key in self.rows if key not in keys]
        respawn = {change.new.name for change in plan.respawn}
        cycled = [key for key in keys if key[0] in respawn and key in self.rows and self.rows[key].wanted_up]
        self.rows = {key: self._row(key) for key in keys} | {key: self.rows[key] for key in doomed}
        for key in keys:
            self._arm(key)
        for key in reversed(doomed):
            self._take_down(key)
        for key in cycled:
            self.ask(key, Event.RESTART)
        fresh = [key for key in keys if key not in had]
        for key in sorted(fresh, key=lambda each: config.tasks[each[0]].priority):
            task = config.tasks[key[0]]
            if wishes.get(key, key[0] in up if key[0] in with_siblings else task.auto_launch):
                self.ask(key, Event.START)
        return plan

    def end_grace(self) -> None:
        """Kill now whatever is on its way down."""
        for key, row in list(self.rows.items()):
            if row.stopping and not row.killing:
                self._post(key, Occurrence(Event.TIMEOUT))

    def send(self, key: Key, signum: int) -> bool:
        """An operator's signal; False when the process is not alive."""
        row = self.rows[key]
        return row.pid is not None and self._platform.send(row.task, row.pid, signum)

    def _grant(self) -> None:
        """Carry out waiting wishes, for a slice of time in each turn of the loop."""
        if self._turn != self._loop.now:
            self._turn, self._began = self._loop.now, self._loop.sample()
        try:
            while self._waiting and self._loop.sample() - self._began <= SLICE_S:
                self._waiting.popleft()()
        finally:
            self._granting = bool(self._waiting)
            if self._waiting:
                self._loop.call_at(self._loop.now, self._grant)

    def _wish(self, key: Key, what: Occurrence, answer: Answer | None) -> None:
        if key in self.rows:
            refused = self._removed(key, what) or self._post(key, what)
            if answer is not None and key in self.rows:
                answer(self.rows[key], refused)

    def _post(self, key: Key, first: Occurrence) -> Refused | None:
        """Feed the table with `first` and with what its effects bring about; the refusal, if it was refused."""
        waiting = deque([first])
        while waiting:
            what = waiting.popleft()
            before = self.rows[key]
            try:
                outcome = step(before, what, self._loop.sample())
            except Impossible as bug:
                self.on_bug(str(bug))
                return None
            if isinstance(outcome, Refused):
                return outcome
            self.rows[key], effects = outcome
            sent = [each for each in effects if isinstance(each, Send)]
            for observer in self.observers:
                observer(before, what, self.rows[key], sent)
            waiting.extend(result for each in effects if (result := self._carry_out(key, each)))
        self._arm(key)
        self._drop_if_over(key)
        return None

    def _carry_out(self, key: Key, effect: Effect) -> Occurrence | None:
        match effect:
            case Spawn():
                return self._spawn(key)
            case Send(pid, signum):
                self._platform.send(self.rows[key].task, pid, signum)
                if signum == signal.SIGKILL and key in self._remains:
                    self._poll_remains(key, _POLL_FIRST_S)
                return None

    def _spawn(self, key: Key) -> Occurrence:
        row = self.rows[key]
        self._kill_left(key)
        base = self._environ if self.config.settings.inherit_environment else {}
        outcome = self._platform.spawn(key, launch(row.task, row.n, base))
        if isinstance(outcome, SpawnFailure):
            return Occurrence(Event.SPAWN_FAILED, failure=outcome)
        self._by_pid[outcome] = key
        return Occurrence(Event.SPAWNED, pid=outcome)

    def _leader_ended(self, key: Key, pid: int, what: Occurrence) -> None:
        row = self.rows[key]
        if self._platform.group_left(row.task, pid):
            again = restart_due(replace(row, exit_status=what.status))
            if row.stopping or again:
                self._remains[key] = (pid, what)
                if row.killing or not row.stopping:
                    self._platform.send(row.task, pid, signal.SIGKILL)
                    self._poll_remains(key, _POLL_FIRST_S)
                return
            self.left[key] = pid
        self._post(key, what)

    def _poll_remains(self, key: Key, wait_s: float) -> None:
        """Killed remains that are not our descendants die unheard: look, ever more rarely, until they are gone."""
        if key not in self._remains:
            return
        pid, what = self._remains[key]
        if not self._platform.group_left(self.rows[key].task, pid):
            del self._remains[key]
            self._post(key, what)
            return
        again = partial(self._poll_remains, key, min(2 * wait_s, _POLL_MOST_S))
        self._loop.call_at(Instant(self._loop.now + wait_s), again)

    def _kill_left(self, key: Key) -> None:
        """What an earlier process of this instance left in its group when it ended by itself."""
        pid = self.left.pop(key, None)
        if pid is not None and self._platform.group_left(self.rows[key].task, pid):
            self._platform.send(self.rows[key].task, pid, signal.SIGKILL)

    def _take_down(self, key: Key) -> None:
        """The configuration no longer has it."""
        self._kill_left(key)
        if self.rows[key].at_rest:
            self._drop_if_over(key)
        else:
            self.ask(key, Event.STOP)

    def _row(self, key: Key) -> Process:
        """The row of a key that the configuration has: the one there is under the new policy, or a new one."""
        task = self.config.tasks[key[0]]
        floor_s = self.config.settings.restart_floor_s
        row = self.rows.get(key) or Process(task, key[1], self._loop.now)
        return replace(row, task=task, restart_floor_s=floor_s)

    def keeps(self, key: Key) -> bool:
        """Whether the configuration has it; the row of one that it has not lives until it is at rest."""
        task = self.config.tasks.get(key[0])
        return task is not None and key[1] <= task.instances

    def _removed(self, key: Key, what: Occurrence) -> Refused | None:
        """Why what is on its way out is not started again, if it is that."""
        if self.keeps(key) or what.event is Event.STOP:
            return None
        return Refused(f"Process '{self.rows[key].name}' is being removed: the configuration no longer has it")

    def _drop_if_over(self, key: Key) -> None:
        if not self.keeps(key) and self.rows[key].at_rest:
            del self.rows[key]
            self._disarm(key)
            self.on_dropped(key)

    def _arm(self, key: Key) -> None:
        """Let the row's timer be its deadline."""
        deadline = self.rows[key].deadline
        timer = self._timers.get(key)
        if timer is not None and timer.item is not None and timer.deadline == deadline:
            return
        self._disarm(key)
        if deadline is not None:
            self._timers[key] = self._loop.call_at(deadline, partial(self._timeout, key))

    def _disarm(self, key: Key) -> None:
        if timer := self._timers.pop(key, None):
            self._loop.cancel(timer)

    def _timeout(self, key: Key) -> None:
        self._post(key, Occurrence(Event.TIMEOUT))


def plan_for(old: Config, new: Config) -> Plan:
    """The plan from one configuration to another, settings included."""
    return replace(diff(old.tasks, new.tasks), settings=changed_settings(old.settings, new.settings))


def keys_of(config: Config) -> dict[Key, None]:
    """The instances of a configuration, in its order."""
    return {(task.name, n): None for task in config.tasks.values() for n in range(1, task.instances + 1)}


def _raise(text: str) -> None:
    raise AssertionError(text)


def _ignore(_what: object) -> None:
    pass
