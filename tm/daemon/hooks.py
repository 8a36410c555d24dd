"""Hooks, run: what waits for them, which come one after another, and what becomes of them when the daemon dies.

Guarantees: a start waits for the `preStart` of its task, and for a `preStop` that still runs; a stop signal waits for
its `preStop`; a hook runs once for each moment, in its own process group, and is over when that is empty or has got
SIGKILL after its timeout. A stop that comes before the program was started ends its `preStart`. Nothing waits for the
others: those of one instance run one after another, LANE_MOST of them wait at most, what fails is told in the event
log. Each that runs is on record, so that the next daemon goes on with it; a `preStart` of which nobody can tell how it
ended is run again.
Leaves to others: what a hook is given (`core.hook`), running a command (`daemon.errand`), when a signal is held back
and for how long (`core.process`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from tm.core.effects import Send
from tm.core.hook import LANE_MOST, Facts, Moment, facts, hook_launch, hook_of, moments
from tm.core.launch import SpawnFailure
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.core.report import lifetime
from tm.core.task import Hook
from tm.daemon.errand import Errand, Errands, Outcome
from tm.daemon.hook_records import HookRecords, Left
from tm.daemon.supervisor import Supervisor
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog
from tm.edge.loop import Callback


class _Told(NamedTuple):
    """One that nothing waits for."""

    moment: Moment
    row: Process
    facts: Facts


class Hooks:
    """Of one daemon."""

    def __init__(
        self,
        supervisor: Supervisor,
        errands: Errands,
        log: EventLog,
        records: HookRecords,
        environ: Mapping[str, str],
    ) -> None:
        """`environ` is what children inherit where the configuration lets them."""
        self._environ = environ
        self._supervisor = supervisor
        self._errands = errands
        self._log = log
        self._records = records
        self._facts: dict[Key, Facts] = {}
        self._starts: dict[Key, Errand | None] = {}
        self._stops: set[Key] = set()
        self._lanes: dict[Key, deque[_Told]] = {}
        self._running: set[Errand] = set()
        self._left: dict[int, Left] = {}
        self._hurry = False
        self._then: Callback | None = None
        supervisor.gate = self

    # ---- what happens

    def observe(self, before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the supervisor."""
        key = (after.task.name, after.n)
        if before.spawning and not after.spawning:
            self._give_up_start(key)
        if after.at_rest and self._left and (left := self._left_start(key)) is not None:
            self._drop(left)
        if not after.task.hooks or self._hurry:
            return
        known = self._facts[key] = facts(before, what, after)
        for moment in moments(before, what, after):
            if hook_of(after, moment) is not None:
                self._stand_in_line(key, _Told(moment, after, known))

    def dropped(self, key: Key) -> None:
        """The instance is gone for good."""
        self._facts.pop(key, None)

    def before_start(self, row: Process) -> bool:
        """A start is due; whether it has to wait: the supervisor is told when it may go on."""
        key = (row.task.name, row.n)
        self._give_up_start(key)
        if key in self._stops:
            self._starts[key] = None
            return True
        hook = hook_of(row, Moment.PRE_START)
        if hook is not None:
            self._begin_start(key, row, hook)
        return hook is not None

    def before_stop(self, row: Process) -> None:
        """A stop signal is held back: the supervisor is told when it may be sent."""
        key = (row.task.name, row.n)
        hook = hook_of(row, Moment.PRE_STOP)
        if hook is None or self._hurry:
            return
        self._stops.add(key)
        self._run(key, row, Moment.PRE_STOP, partial(self._stop_prepared, key, row.name))

    # ---- a start

    def _begin_start(self, key: Key, row: Process, hook: Hook) -> None:
        if (left := self._left_start(key)) is not None:
            self._starts[key] = None
            left.then = partial(self._left_start_over, key, left)
            return
        self._starts[key] = self._run(key, row, Moment.PRE_START, partial(self._start_prepared, key))

    def _give_up_start(self, key: Key) -> None:
        """Nobody waits for it any more."""
        if key not in self._starts:
            return
        errand = self._starts.pop(key)
        if errand is not None:
            self._end(errand)
        elif (left := self._left_start(key)) is not None:
            self._drop(left)

    def _left_start(self, key: Key) -> Left | None:
        """The `preStart` that an earlier daemon had begun for it, if it still runs."""
        left = [each for each in self._left.values() if (each.key, each.moment) == (key, Moment.PRE_START)]
        return left[0] if left else None

    def _start_prepared(self, key: Key, outcome: Outcome) -> None:
        del self._starts[key]
        row = self._supervisor.rows[key]
        failure = None
        if outcome.trouble:
            failure = SpawnFailure("hooks", f"preStart failed: {outcome.sentence}")
        else:
            self._done(row.name, Moment.PRE_START, outcome)
        self._supervisor.proceed(key, failure)

    def _left_start_over(self, key: Key, left: Left, number: int | None) -> None:
        """The one that an earlier daemon had begun has ended; None: nobody can tell how."""
        del self._left[left.pid]
        del self._starts[key]
        if number is None:
            if not self.before_start(self._supervisor.rows[key]):
                self._supervisor.proceed(key)
            return
        why = f"exit code {number}" if number > 0 else f"signal {-number}"
        failed = SpawnFailure("hooks", f"preStart failed: {why}, begun by an earlier daemon")
        self._supervisor.proceed(key, failed if number else None)

    # ---- a stop

    def _stop_prepared(self, key: Key, name: str, outcome: Outcome) -> None:
        self._stops.discard(key)
        self._done(name, Moment.PRE_STOP, outcome)
        self._stop_over(key)
        self._rest()

    def _stop_over(self, key: Key) -> None:
        self._supervisor.proceed(key)
        if key in self._starts and self._starts[key] is None:  # a start that has waited for this
            del self._starts[key]
            if not self.before_start(self._supervisor.rows[key]):
                self._supervisor.proceed(key)

    # ---- those that nothing waits for

    def _stand_in_line(self, key: Key, told: _Told) -> None:
        lane = self._lanes.setdefault(key, deque())
        if len(lane) > LANE_MOST:
            text = f"{told.moment.value} not run: {LANE_MOST} hooks of it wait already"
            self._log.write(Level.ERROR, told.row.name, "hook", text)
            return
        lane.append(told)
        if len(lane) == 1:
            self._errands.soon(partial(self._next, key))

    def _next(self, key: Key) -> None:
        """Run the first in line, as the configuration has it by now."""
        now = self._supervisor.rows.get(key)
        while lane := self._lanes.get(key):
            row = lane[0].row if now is None else replace(lane[0].row, task=now.task)
            if hook_of(row, lane[0].moment) is not None:
                self._run(key, row, lane[0].moment, partial(self._told, key), lane[0].facts)
                return
            lane.popleft()
        self._lanes.pop(key, None)
        self._rest()

    def _told(self, key: Key, outcome: Outcome) -> None:
        told = self._lanes[key].popleft()
        self._done(told.row.name, told.moment, outcome)
        self._next(key)

    # ---- one run

    def _run(
        self, key: Key, row: Process, moment: Moment, then: Callable[[Outcome], None], told: Facts | None = None
    ) -> Errand:
        hook = hook_of(row, moment)
        assert hook is not None
        base = self._environ if self._supervisor.config.settings.inherit_environment else {}
        start = hook_launch(row, moment, hook, told or self._facts.get(key, Facts()), base)
        errand: Errand

        def over(outcome: Outcome) -> None:
            self._forget(errand)
            then(outcome)

        errand = self._errands.run(start, hook.timeout_s, over)
        self._running.add(errand)
        self._records.begun(errand.pid, key, moment, hook.timeout_s)
        return errand

    def _forget(self, errand: Errand) -> None:
        self._running.discard(errand)
        self._records.ended(errand.pid)

    def _end(self, errand: Errand) -> None:
        self._forget(errand)
        self._errands.end(errand)

    def _drop(self, left: Left) -> None:
        """End it, and hear no more of it."""
        self._left.pop(left.pid, None)
        left.then = lambda number: None
        left.kill()

    def _done(self, name: str, moment: Moment, outcome: Outcome) -> None:
        if outcome.trouble:
            self._log.write(Level.ERROR, name, "hook", f"{moment.value} failed: {outcome.sentence}")
        else:
            self._log.write(Level.INFO, name, "hook", f"{moment.value}: done within {lifetime(outcome.lived_s)}")

    # ---- the daemon's begin and end

    def resume(self) -> set[int]:
        """Go on with those that an earlier daemon has left running, before anything is started; all that were on
        record.
        """
        for left in self._records.resume():
            self._left[left.pid] = left
            left.then = partial(self._left_over, left)
            if left.moment is Moment.PRE_STOP:
                self._stops.add(left.key)
        self._errands.soon(self._release)
        return self._records.known

    def _left_over(self, left: Left, _number: int | None) -> None:
        self._left.pop(left.pid, None)
        if left.moment is Moment.PRE_STOP:
            self._stops.discard(left.key)
            self._stop_over(left.key)
        self._rest()

    def _release(self) -> None:
        """What has ended with an earlier daemon holds nothing back."""
        for key, row in list(self._supervisor.rows.items()):
            if row.held and key not in self._stops:
                self._supervisor.proceed(key)

    def hurry(self) -> None:
        """End all of them, and run none any more."""
        self._hurry = True
        for errand in list(self._running):
            self._end(errand)
        for left in list(self._left.values()):
            self._drop(left)
        self._lanes.clear()
        self._stops.clear()
        self._rest()

    def leave(self, then: Callback) -> None:
        """Call `then` when none of them runs or waits."""
        self._then = then
        self._rest()

    def _rest(self) -> None:
        if self._then is not None and not (self._lanes or self._stops or self._left):
            then, self._then = self._then, None
            then()
