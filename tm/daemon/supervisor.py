"""The rows and what happens to them: feeds the table, carries out its effects, applies a configuration.

Guarantees: every change of a row goes through `core.process.step`; the effects of one step are done, and what came of
them posted, before anything else of that row; a row's timer is its deadline, no more; a row that the configuration no
longer has is dropped once it is at rest; work on many rows (a start of everything, a boot) is done in slices, so that
the loop goes on meanwhile.

REAPED is posted when the instance is gone: where its group or tree outlives its leader, and it was being stopped or is
to be started again, when that is empty (`daemon.remains`). What is left where no restart was due stays, until the
instance is started again or its task goes.

Leaves to others: reading configurations (`daemon.control`), people (`observers`), logs and pipes (`daemon.outputs`).
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from tm.core.altered import altered
from tm.core.config import Config
from tm.core.effects import Await, Effect, Send, Spawn
from tm.core.exitstatus import ExitStatus
from tm.core.launch import SpawnFailure, inherited, launch
from tm.core.process import Impossible, Occurrence, Process, restart_due, step
from tm.core.reload import Plan, keys_of, launched, plan_for, restated, to_cycle
from tm.core.task import Task
from tm.core.transitions import Event, Refused
from tm.daemon.gate import OPEN, Gate
from tm.daemon.order import Hands, Held
from tm.daemon.platform import Platform
from tm.daemon.reach import Way
from tm.daemon.remains import Remains
from tm.daemon.row_timers import RowTimers
from tm.daemon.slices import Slices
from tm.daemon.wiring import Key
from tm.edge.loop import Loop

Observer: TypeAlias = Callable[[Process, Occurrence, Process, Sequence[Send]], None]
"""Hears of every change: the row before, what happened, the row after, the signals sent."""

Answer: TypeAlias = Callable[[Process, Refused | None], None]
"""Hears what became of a wish."""

CONFIGURATION = "the configuration"
"""Who wishes what nobody asked for."""
_AT_ONCE = 50
Tasks: TypeAlias = Mapping[str, Task]
_NONE: Tasks = {}
_BUG = SpawnFailure("spawn", "a bug of taskmaster kept it from being started; the event log has the details")


class Supervisor:
    """All processes of one daemon: `rows` as the configuration has them, `timers` of deadlines, `wishes` that wait."""

    def __init__(self, loop: Loop, platform: Platform, config: Config, environ: Mapping[str, str]) -> None:
        """Begin with `config` and no rows; `environ` is what children inherit where the configuration lets them."""
        self._loop, self._platform = loop, platform
        self.environ = inherited(environ)
        self.timers = RowTimers(loop, self._due)
        self._by_pid: dict[int, Key] = {}
        self._remains = Remains(loop, platform)
        self._outdated: set[Key] = set()
        self._hurry, self.wishes = False, Slices(loop)
        self.config = config
        self.rows: dict[Key, Process] = {}
        self.held = Held(loop, Hands(lambda: self.rows, self._become, self.then, self._wish))
        self.gate: Gate = OPEN
        self.observers: list[Observer] = [self.held.observe]
        self.cycle: Callable[[Sequence[Key], str], None] = self._cycle
        self.on_bug: Callable[[str], None] = _raise
        self.on_unsent: Callable[[Process, int], None] = lambda row, signum: None
        self.on_dropped: Callable[[Process], None] = lambda row: None
        self.on_applied: Callable[[Config], None] = lambda config: None
        self.why_late: Callable[[Process], str] = lambda row: "not ready in time"

    def ask(self, key: Key, event: Event, answer: Answer | None = None, by: str = CONFIGURATION) -> None:
        """What somebody wishes, `by` whom; carried out now, or soon where many wait, in their order."""
        self.then(partial(self._wish, key, Occurrence(event, by=by), answer))

    def then(self, work: Callable[[], None]) -> None:
        """Do `work` when everything that was asked before has been carried out: now, if nothing waits."""
        self.wishes.then(work)

    def reaped(self, pid: int, status: ExitStatus, hint: str = "") -> None:
        """A child has ended. One that is nobody's leader may still have been the last of its group."""
        if (key := self._by_pid.pop(pid, None)) is not None:
            self._leader_ended(key, Occurrence(Event.REAPED, status=status, hint=hint))
        self._remains.deaths()

    def key_of(self, pid: int) -> Key | None:
        """Whose leader `pid` is."""
        return self._by_pid.get(pid)

    def found(self, pid: int, event: Event, what: str = "") -> None:
        """A check says that the process is READY, or UNHEALTHY and what is wrong; it may be late, and that one gone."""
        if (key := self._by_pid.get(pid)) is not None:
            self._post(key, Occurrence(event, hint=what))

    def take_over(self, config: Config, rows: Mapping[Key, Process], outdated: Collection[Key] = ()) -> None:
        """Begin with rows that another daemon has left, under `config`, for which the `outdated` need a new process."""
        self._outdated, self.config, self.rows = set(outdated), config, dict(rows)
        self._by_pid = {row.pid: key for key, row in rows.items() if row.pid is not None}
        self._remains.resume(rows)
        self.held.applied(config)

    def apply(self, config: Config, wishes: Mapping[Key, bool], by: str = CONFIGURATION, moved: Tasks = _NONE) -> Plan:
        """Carry out the difference between the present configuration and `config`.

        `wishes` are the operators' (up or down), which count for instances that are new here; `by`: who wants it. The
        plan names what is started by it. `moved`: tasks that only stand elsewhere in their files now; rows follow soon.
        """
        plan, old, had = plan_for(self.config, config), self.config, self.rows
        self.config, keys = config, keys_of(config)
        self.on_applied(config)
        wanted = {key: row for key, row in had.items() if row.wanted_up and wishes.get(key, True)}
        doomed = [key for key in had if key not in keys]
        cycled = to_cycle(config, plan, wanted, self._outdated)
        self._outdated.clear()
        self.rows = {key: self._row(key) for key in keys} | {key: had[key] for key in doomed}
        self.held.applied(config)
        for key in [key for key in keys if self.rows[key] is not had.get(key)]:
            self.timers.arm(key, self.rows[key].deadline)
        for key in reversed(self.held.ordered(doomed)):
            self._take_down(key, by)
        launches = self.held.with_needed(launched(old, config, {name for name, _ in wanted}, wishes), wishes)
        self.cycle(cycled, by)
        for key in launches:
            self.ask(key, Event.START, by=by)
        self._move(moved)
        return altered(plan, starts=tuple(self.rows[key].name for key in (*cycled, *launches)))

    def end_grace(self) -> None:
        """Kill now whatever is on its way down, and whatever is still to be stopped as soon as it is."""
        self._hurry = True
        self.held.hurry()
        for key in list(self.rows):
            self._end_grace_of(key)

    def proceed(self, key: Key, failure: SpawnFailure | None = None) -> None:
        """What its start, or its stop signal, waits for is done; or has failed, which keeps a start from being made."""
        if (row := self.rows.get(key)) is not None and row.held:
            self._due(key)
        elif row is not None and row.spawning:
            self._post(key, Occurrence(Event.SPAWN_FAILED, failure=failure) if failure else self._spawn(key))

    def send(self, key: Key, signum: int) -> bool:
        """A signal; False when the process is not alive."""
        row = self.rows[key]
        number = self._number(row)
        return number is not None and self._platform.send(row.task, number, signum)

    def way(self, row: Process) -> Way | None:
        """How its tree is reached, where it has one that lives."""
        number = self._number(row)
        return None if number is None else self._platform.way(row.task, number)

    def _number(self, row: Process) -> int | None:
        """By which number it is signalled: what is left of it has its own."""
        return None if row.pid is None else self._remains.number((row.task.name, row.n), row.pid)

    def _wish(self, key: Key, what: Occurrence, answer: Answer | None) -> None:
        """One wish. A start waits until what an earlier process has left is gone; a stop takes such a start back."""
        if key not in self.rows:
            return
        resting = self.rows[key].at_rest and self.keeps(key)
        if resting and what.event is Event.STOP:
            self._remains.cancel(key)
        elif resting and self._remains.kill_then(key, partial(self._wish, key, what, answer)):
            return
        if (refused := self._removed(key, what)) is None and not self.held.holds(key, what):
            refused = self._post(key, what)
        if self._hurry:
            self._end_grace_of(key)
        if answer is not None and key in self.rows:
            answer(self.rows[key], refused)

    def _end_grace_of(self, key: Key) -> None:
        if key in self.rows and self.rows[key].held:
            self.proceed(key)
        if key in self.rows and self.rows[key].stopping and not self.rows[key].killing:
            self._post(key, Occurrence(Event.TIMEOUT))

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
            after, effects = outcome
            self._become(key, what, after, [each for each in effects if isinstance(each, Send)])
            waiting.extend(result for each in effects if (result := self._carry_out(key, each)))
        self.timers.arm(key, self.rows[key].deadline)
        self._drop_if_over(key)
        return None

    def _become(self, key: Key, what: Occurrence, after: Process, sent: Sequence[Send] = ()) -> None:
        before, self.rows[key] = self.rows[key], after
        for observer in self.observers:
            observer(before, what, self.rows[key], sent)

    def _carry_out(self, key: Key, effect: Effect) -> Occurrence | None:
        match effect:
            case Spawn():
                return None if self.gate.before_start(self.rows[key]) else self._spawn(key)
            case Await():
                self.gate.before_stop(self.rows[key])
                return None
            case Send(_, signum):
                if not self.send(key, signum):
                    self.on_unsent(self.rows[key], signum)
                if signum == signal.SIGKILL:
                    self._remains.killed(key)
                return None

    def _spawn(self, key: Key) -> Occurrence:
        row = self.rows[key]
        self._outdated.discard(key)
        base = self.environ if self.config.settings.inherit_environment else {}
        outcome: int | SpawnFailure | None = None
        try:
            outcome = self._platform.spawn(key, launch(row.task, row.n, base))
        finally:
            if outcome is None:  # a bug, on its way to the loop, which logs it: the row must not wait for it
                failed = Occurrence(Event.SPAWN_FAILED, failure=_BUG)
                self._loop.soon(partial(self._happened, key, failed))
        if isinstance(outcome, SpawnFailure):
            return Occurrence(Event.SPAWN_FAILED, failure=outcome)
        self._by_pid[outcome] = key
        return Occurrence(Event.SPAWNED, pid=outcome)

    def _leader_ended(self, key: Key, what: Occurrence) -> None:
        again = restart_due(altered(self.rows[key], exit_status=what.status))
        if not self._remains.outlast(key, self.rows[key], again, partial(self._happened, key, what)):
            self._post(key, what)

    def _take_down(self, key: Key, by: str) -> None:
        """The configuration no longer has it."""
        if not self.rows[key].at_rest:
            self.ask(key, Event.STOP, by=by)
        elif not self._remains.kill_then(key, partial(self._drop_if_over, key)):
            self._drop_if_over(key)

    def _row(self, key: Key) -> Process:
        """The row of a key that the configuration has: the one there is under the new policy, or a new one."""
        task, floor_s = self.config.tasks[key[0]], self.config.settings.restart_floor_s
        row = self.rows.get(key) or Process(task, key[1], self._loop.now, floor_s)
        same = row.task is task and row.restart_floor_s == floor_s
        return row if same else altered(row, task=task, restart_floor_s=floor_s)

    def _move(self, tasks: Tasks) -> None:
        self.config = restated(self.config, tasks)
        keys = [key for key in self.rows if key[0] in tasks]
        for at in range(0, len(keys), _AT_ONCE):
            self.then(partial(self._renew, keys[at : at + _AT_ONCE]))
        if tasks:
            self.then(lambda: self.held.applied(self.config))

    def _renew(self, keys: Sequence[Key]) -> None:
        self.rows.update({key: self._row(key) for key in keys if key in self.rows and self.keeps(key)})

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
            self.timers.disarm(key)
            self.on_dropped(self.rows.pop(key))

    def _cycle(self, keys: Sequence[Key], by: str) -> None:
        for key in keys:
            self.ask(key, Event.RESTART, by=by)

    def _due(self, key: Key) -> None:
        self._post(key, Occurrence(Event.TIMEOUT, hint=self.why_late(self.rows[key])))

    def _happened(self, key: Key, what: Occurrence) -> None:
        self._post(key, what)


def _raise(text: str) -> None:
    raise AssertionError(text)
