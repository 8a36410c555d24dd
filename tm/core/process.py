"""A process as a row of values, and `step`: what the table makes of it when something happens.

Guarantees: `step` reads its arguments only and returns a new row with the effects that the caller owes; a row's
deadline is derived from its state, the instant it entered it and its task, so that a policy changed by a reload moves
a running deadline and nothing can be armed twice. Leaves to others: carrying effects out (`daemon.supervisor`).
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any, NamedTuple, assert_never

from tm.core.altered import altered
from tm.core.backoff import delay_s
from tm.core.counts import Counted, counts
from tm.core.effects import Await, Effect, Send, Spawn
from tm.core.exitstatus import ExitStatus
from tm.core.launch import SpawnFailure
from tm.core.task import Restart, Task
from tm.core.timers import Instant
from tm.core.transitions import TABLE, Action, Edge, Event, Guard, Never, Refused, State


class Impossible(Exception):
    """The caller broke its promise: the table calls this cell NEVER."""


class Occurrence(NamedTuple):
    """Something that happened: the event with what came along.

    `pid` goes with SPAWNED, `failure` with SPAWN_FAILED, `status` and `hint` (a fact that explains it, or '') with
    REAPED, `by` (on whose behalf) with START, STOP and RESTART; `hint`, what is wrong, with UNHEALTHY, AGED, TIMEOUT.
    """

    event: Event
    pid: int | None = None
    status: ExitStatus | None = None
    failure: SpawnFailure | None = None
    hint: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One instance. Instants are monotonic; `since` is when it entered its state.

    `restarts` counts automatic starts since the last start by hand, `retries` failed starts (of what is oneshot: runs)
    in a row, `shortages` spawns in a row for which the machine had too little. `exit_status`, `hint`, `failure`: how it
    ended last, with a fact, or why it was not started. `fault`: for what we end it, or ''; `proven`: RUNNING then.
    `blocked`: why what was asked of it waits: a start while it is at rest, a stop while it lives; completes "web ".
    `held`: its stop signal, from which on `since` counts, waits for its preStop.
    """

    task: Task
    n: int
    since: Instant
    restart_floor_s: float = 1.0
    state: State = State.STOPPED
    pid: int | None = None
    wanted_up: bool = False
    retries: int = 0
    shortages: int = 0
    restarts: int = 0
    spawned_at: Instant | None = None
    auto_started_at: Instant | None = None
    exit_status: ExitStatus | None = None
    hint: str = ""
    failure: SpawnFailure | None = None
    fault: str = ""
    proven: bool = False
    blocked: str = ""
    held: bool = False

    @property
    def name(self) -> str:
        """`worker_2`; `worker` where it is the only instance."""
        return self.task.instance(self.n)

    @property
    def alive(self) -> bool:
        """Whether there is, or is about to be, a process of the kernel."""
        return TABLE[self.state].alive

    @property
    def spawning(self) -> bool:
        """Whether it is about to have a pid."""
        return self.state is State.STARTED and self.pid is None

    @property
    def running(self) -> bool:
        """Whether it is up, and has proven it."""
        return self.state is State.RUNNING

    @property
    def stopping(self) -> bool:
        """Whether it is on its way down by request."""
        return self.state in (State.STOPPING, State.KILLING)

    @property
    def killing(self) -> bool:
        """Whether its grace is over."""
        return self.state is State.KILLING

    @property
    def failing(self) -> bool:
        """Whether people should look at it: it gave up, or is trying again."""
        return self.state in (State.FATAL, State.BACKOFF)

    @property
    def gave_up(self) -> bool:
        """Whether it failed and nobody but an operator starts it again."""
        return self.state is State.FATAL

    @property
    def completed(self) -> bool:
        """Whether it has ended as expected, and is not started again."""
        return self.state is State.EXITED

    @property
    def at_rest(self) -> bool:
        """Whether nothing is alive and nothing is due."""
        return not TABLE[self.state].alive and not TABLE[self.state].timed

    @property
    def lived_s(self) -> float | None:
        """Seconds from the last spawn to the end; None while alive, or when it never was."""
        return None if self.alive or self.spawned_at is None else self.since - self.spawned_at

    @property
    def deadline(self) -> Instant | None:
        """When TIMEOUT is due, or None."""
        match self.state:
            case State.STARTED if self.spawned_at is not None and self.task.start_limit_s is not None:
                return Instant(self.spawned_at + self.task.start_limit_s)
            case State.STOPPING:
                task = self.task
                return Instant(self.since + (task.pre_stop_s if self.held else task.graceful_stop_timeout_s))
            case State.BACKOFF:
                return self._next_attempt()
            case _:
                return None

    def _next_attempt(self) -> Instant:
        """After a failed start the growing delay, which is the floor at least where the machine had too little, since
        that has no end; after a run at once, but not within the floor of the last time.
        """
        if attempt := self.shortages or self.retries:
            task = self.task
            delay = delay_s(self.name, attempt, self.since, task.restart_delay_s, task.restart_delay_max_s)
            return Instant(self.since + (max(delay, self.restart_floor_s) if self.shortages else delay))
        if self.auto_started_at is None:
            return self.since
        return Instant(max(self.since, self.auto_started_at + self.restart_floor_s))


def restart_due(process: Process) -> bool:
    """Whether the policy starts it again after this end."""
    match process.task.restart:
        case Restart.ALWAYS:
            return True
        case Restart.ON_FAILURE:
            return not expected(process)
        case Restart.NEVER:
            return False
        case never:
            assert_never(never)


def short_of_means(process: Process) -> bool:
    """Whether it could not be started because the machine had too little."""
    return process.failure is not None and process.failure.shortage


def expected(process: Process) -> bool:
    """Whether it ended as `expectedExitCodes` says; a spawn that failed, an unknown status or a fault never does."""
    ended = process.exit_status is not None and process.exit_status.number in process.task.expected_exit_codes
    return ended and not process.fault


def retries_left(process: Process) -> bool:
    """Whether a further attempt is allowed after a failed start."""
    attempts = process.task.restarts_attempts
    endless = attempts == 0 and process.task.restart is Restart.ALWAYS
    return restart_due(process) and (endless or process.retries < attempts)


def holds(guard: Guard, process: Process) -> bool:
    """Judge a guard on a row that has taken in what happened."""
    match guard:
        case Guard.ALWAYS:
            return True
        case Guard.INSTANT_START:
            return process.task.start_limit_s == 0
        case Guard.SHORTAGE:
            return restart_due(process) and short_of_means(process)
        case Guard.RETRIES_LEFT:
            return retries_left(process)
        case Guard.RESTART_DUE:
            return restart_due(process)
        case Guard.EXPECTED:
            return expected(process)
        case Guard.WANTED_UP:
            return process.wanted_up
        case _:
            return _ended(guard, process)


def _ended(guard: Guard, process: Process) -> bool:
    """Judge one of the guards on what it waits for, had been up, or was ended by taskmaster itself."""
    match guard:
        case Guard.UNBORN:
            return process.spawning
        case Guard.HELD:
            return process.held
        case Guard.GOES_ON:
            return restart_due(process) and not process.task.oneshot
        case Guard.START_FAULTED:
            return bool(process.fault) and not process.proven and retries_left(process)
        case Guard.RUN_FAULTED:
            return bool(process.fault) and process.proven and restart_due(process)
        case Guard.UNREADY:
            return process.task.readiness is not None
        case _:
            return bool(process.fault)


def step(process: Process, what: Occurrence, now: Instant) -> tuple[Process, tuple[Effect, ...]] | Refused:
    """What follows from `what` at `now`: the new row and the effects owed, or the reason for a refusal.

    Raises Impossible for a cell that the table calls NEVER.
    """
    cell = TABLE[process.state].cells[what.event]
    if isinstance(cell, Refused):
        return Refused(cell.reason.format(name=process.name))
    if isinstance(cell, Never):
        raise Impossible(f"{process.name}: {what.event.value} in {process.state.value}")
    row = _take_in(process, what, now)
    edge = next(edge for edge in cell if holds(edge.guard, row))
    return _take(edge, row, what, now)


def _take_in(process: Process, what: Occurrence, now: Instant) -> Process:
    """The row with the facts of the occurrence, before any judgement."""
    match what.event:
        case Event.SPAWNED:
            return altered(process, pid=what.pid, spawned_at=now, shortages=0)
        case Event.SPAWN_FAILED:
            return altered(process, failure=what.failure)
        case Event.REAPED:
            return altered(process, pid=None, exit_status=what.status, hint=process.fault or what.hint, held=False)
        case _:
            return process


def _take(edge: Edge, process: Process, what: Occurrence, now: Instant) -> tuple[Process, tuple[Effect, ...]]:
    """Do the edge's actions in their order and enter its state. Each judges the row as it was before all of them."""
    effects: list[Effect] = []
    changes: dict[str, Any] = {}
    for action in edge.actions:
        changes |= _act(action, process, what, now, effects)
    if edge.to is not process.state:
        changes |= {"state": edge.to, "since": now}
    return (altered(process, **changes) if changes else process), tuple(effects)


def _act(action: Action, process: Process, what: Occurrence, now: Instant, effects: list[Effect]) -> dict[str, Any]:
    """One action: an effect that is owed, or a count, with what it sets in the row."""
    match action:
        case Action.SPAWN:
            effects.append(Spawn())
            return {"spawned_at": None, "exit_status": None, "hint": "", "failure": None, "fault": "", "proven": False}
        case Action.SEND_STOP | Action.RELEASE:
            held = action is Action.SEND_STOP and process.task.pre_stop_s > 0
            effects.append(Await() if held else _send(process, process.task.stop_signal))
            return {"held": held, "since": now}
        case Action.SEND_KILL:
            effects.append(_send(process, signal.SIGKILL))
            return {}
        case Action.FAULT:
            return {"fault": what.hint, "proven": process.running and not process.task.oneshot}
        case _:
            was = Counted(process.retries, process.shortages, process.restarts, process.task.oneshot)
            return counts(action, was, now)


def _send(process: Process, signum: int) -> Send:
    if process.pid is None:
        raise Impossible(f"{process.name}: signal {signum} without a pid in {process.state.value}")
    return Send(process.pid, signum)
