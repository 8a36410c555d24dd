"""The invariants of the table, held against any sequence of wishes, deaths and deadlines."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.build import died, row, task
from tm.core.effects import Await, Effect, Send, Spawn
from tm.core.launch import SpawnFailure
from tm.core.probe import Probe
from tm.core.process import Occurrence, Process, step
from tm.core.task import Hook, Restart
from tm.core.timers import Instant
from tm.core.transitions import TABLE, Event, Refused, State


class Life(RuleBasedStateMachine):
    """One process and the kernel under it: a spawn succeeds or fails as drawn, a kill leads to a death sometime."""

    @initialize(
        restart=st.sampled_from(Restart),
        attempts=st.integers(0, 3),
        proof_s=st.sampled_from([0.0, 5.0]),
        readiness=st.sampled_from([None, Probe("tcp")]),
        hooks=st.sampled_from([(), (("preStop", Hook("end", (), 3.0)),)]),
        waits=st.booleans(),
    )
    def begin(
        self,
        restart: Restart,
        attempts: int,
        proof_s: float,
        readiness: Probe | None,
        hooks: tuple[tuple[str, Hook], ...],
        waits: bool,
    ) -> None:
        """`waits`: a start waits for something before it."""
        self.task = task(
            restart=restart,
            restarts_attempts=attempts,
            successful_start_timeout_s=proof_s,
            readiness=readiness,
            hooks=hooks,
        )
        self.waits = waits
        self.process: Process = row(task=self.task, since=Instant(0))
        self.now = 0.0
        self.pids = 0
        self.failed_in_a_row = 0
        self.automatic: list[float] = []
        self.spawn_works = True
        self.short = False
        self.ready = False

    def post(self, what: Occurrence) -> None:
        before = self.process
        outcome = step(before, what, Instant(self.now))
        if isinstance(outcome, Refused):
            assert what.event in (Event.START, Event.STOP)
            return
        self.process, effects = outcome
        for effect in effects:
            if isinstance(effect, Send):
                assert before.pid == effect.pid
                assert not self.process.held
            elif isinstance(effect, Await):
                assert self.process.held
            else:
                self.spawn(before, what, effect)

    def spawn(self, before: Process, what: Occurrence, effect: Effect) -> None:
        assert isinstance(effect, Spawn)
        assert before.pid is None or what.event is Event.REAPED
        assert self.process.pid is None
        if what.event is Event.TIMEOUT and before.retries == 0 and self.automatic:
            assert self.now >= self.automatic[-1] + self.process.restart_floor_s
        self.automatic = [*self.automatic, self.now] if what.event is Event.TIMEOUT else []
        if what.event is not Event.TIMEOUT:
            self.failed_in_a_row = 0
        if not self.waits:
            self.come_about()

    def come_about(self) -> None:
        if self.spawn_works:
            self.pids += 1
            self.ready = False
            self.post(Occurrence(Event.SPAWNED, pid=self.pids))
        else:
            self.failed_in_a_row += not self.short
            self.post(Occurrence(Event.SPAWN_FAILED, failure=SpawnFailure("exec", "not found", "", self.short)))

    @rule(wish=st.sampled_from([Event.START, Event.STOP, Event.RESTART]), works=st.booleans())
    def wish(self, wish: Event, works: bool) -> None:
        self.spawn_works = works
        self.post(Occurrence(wish))

    @rule(short=st.booleans())
    def the_machine_has_too_little(self, short: bool) -> None:
        self.short = short

    @precondition(lambda self: self.process.spawning)
    @rule(works=st.booleans())
    def what_comes_before_is_done(self, works: bool) -> None:
        self.spawn_works = works
        self.come_about()

    @precondition(lambda self: self.process.held)
    @rule()
    def what_comes_before_the_signal_is_done(self) -> None:
        self.post(Occurrence(Event.TIMEOUT))
        assert not self.process.held

    @precondition(lambda self: self.process.pid is not None)
    @rule(code=st.sampled_from([0, 1, -9, -15]), works=st.booleans(), after_s=st.sampled_from([0.0, 0.3, 2.0]))
    def die(self, code: int, works: bool, after_s: float) -> None:
        deadline = self.process.deadline
        self.now += after_s if deadline is None else min(after_s, max(0.0, deadline - self.now))
        if self.process.state is State.STARTED or (self.process.fault and not self.process.proven):
            self.failed_in_a_row += 1
        self.spawn_works = works
        self.post(Occurrence(Event.REAPED, status=died(code)))

    @precondition(lambda self: self.process.pid is not None)
    @rule(
        what=st.sampled_from(
            [Occurrence(Event.READY), Occurrence(Event.UNHEALTHY, hint="slow"), Occurrence(Event.AGED)]
        )
    )
    def somebody_looks(self, what: Occurrence) -> None:
        self.ready = self.ready or what.event is Event.READY
        if what.event is Event.AGED and self.process.state is State.STARTED:
            return
        self.post(what)
        if self.process.running:
            self.failed_in_a_row = 0

    @precondition(lambda self: self.process.deadline is not None)
    @rule(works=st.booleans())
    def time_passes(self, works: bool) -> None:
        assert self.process.deadline is not None
        self.now = max(self.now, self.process.deadline)
        self.spawn_works = works
        self.post(Occurrence(Event.TIMEOUT, hint="not ready"))
        if self.process.running:
            self.failed_in_a_row = 0

    @invariant()
    def a_pid_if_and_only_if_alive(self) -> None:
        if hasattr(self, "process"):
            born = self.process.pid is not None or (self.waits and self.process.spawning)
            assert born == TABLE[self.process.state].alive

    @invariant()
    def a_deadline_if_and_only_if_the_state_has_one(self) -> None:
        if hasattr(self, "process"):
            endless = self.process.state is State.STARTED and self.task.start_limit_s is None
            timed = TABLE[self.process.state].timed and not endless and not self.process.spawning
            assert (self.process.deadline is not None) == timed

    @invariant()
    def up_is_who_is_ready(self) -> None:
        if hasattr(self, "process") and self.process.running and self.task.readiness:
            assert self.ready

    @invariant()
    def a_signal_is_held_back_only_from_who_is_being_stopped(self) -> None:
        if hasattr(self, "process") and self.process.held:
            assert self.process.stopping and not self.process.killing

    @invariant()
    def at_fault_is_who_is_ended_for_it_or_was(self) -> None:
        if hasattr(self, "process") and self.process.fault:
            assert self.process.wanted_up
            assert self.process.stopping or self.process.failing

    @invariant()
    def attempts_are_bounded(self) -> None:
        if hasattr(self, "process") and not (self.task.restarts_attempts == 0 and self.task.restart is Restart.ALWAYS):
            assert self.process.retries <= self.task.restarts_attempts
            assert self.failed_in_a_row <= self.task.restarts_attempts + 1

    @invariant()
    def a_stop_leads_to_rest(self) -> None:
        if not hasattr(self, "process"):
            return
        process, now = self.process, Instant(self.now)
        outcome = step(process, Occurrence(Event.STOP), now)
        process = process if isinstance(outcome, Refused) else outcome[0]
        while process.deadline is not None:
            outcome = step(process, Occurrence(Event.TIMEOUT), Instant(max(now, process.deadline)))
            assert not isinstance(outcome, Refused)
            process = outcome[0]
        if process.pid is not None:
            outcome = step(process, Occurrence(Event.REAPED, status=died(-9)), now)
            assert not isinstance(outcome, Refused)
            process = outcome[0]
        assert process.at_rest


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestLife = Life.TestCase


def test_floor_between_automatic_starts_of_a_flapping_service() -> None:
    """Up, dead, up, dead: however fast, automatic starts are a floor apart from the second on."""
    process, now, starts = row(task=task(restart=Restart.ALWAYS, successful_start_timeout_s=0)), 0.0, []
    outcome = step(process, Occurrence(Event.START), Instant(now))
    assert not isinstance(outcome, Refused)
    process = replace(outcome[0])
    for pid in range(1, 6):
        for what in (Occurrence(Event.SPAWNED, pid=pid), Occurrence(Event.REAPED, status=died(1))):
            outcome = step(process, what, Instant(now))
            assert not isinstance(outcome, Refused)
            process = outcome[0]
            now += 0.0078125
        assert process.deadline is not None
        now = max(now, process.deadline)
        starts.append(now)
        outcome = step(process, Occurrence(Event.TIMEOUT), Instant(now))
        assert not isinstance(outcome, Refused)
        process = outcome[0]
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(starts))
