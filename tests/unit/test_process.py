"""What the table makes of what happens, clause by clause of the contract on states."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.build import died, happen, row, task
from tm.core.counts import Counted, counts
from tm.core.effects import Await, Send, Spawn
from tm.core.launch import SpawnFailure
from tm.core.probe import Probe
from tm.core.process import Impossible, Occurrence, Process, step
from tm.core.task import Hook, Restart, Task
from tm.core.timers import Instant
from tm.core.transitions import TABLE, Action, Edge, Event, Guard, Refused, State

ALWAYS = task(restart=Restart.ALWAYS)
ON_FAILURE = task(restart=Restart.ON_FAILURE)
NEVER = task(restart=Restart.NEVER)
MISSING = SpawnFailure("exec", "command 'run' not found on PATH")
SHORT = SpawnFailure("fork", "the system gives no new process", "raise the limit", shortage=True)


def started(which: Task, at: float = 100.0, pid: int = 7) -> Process:
    process, effects = happen(row(task=which), Event.START, at)
    assert effects == (Spawn(),)
    return happen(process, Event.SPAWNED, at, pid=pid)[0]


def running(which: Task, at: float = 100.0) -> Process:
    return happen(started(which, at), Event.TIMEOUT, at + 5)[0]


def test_every_state_answers_every_event_and_ends_unguarded() -> None:
    for state in State:
        cells = TABLE[state].cells
        assert list(cells) == list(Event)
        for cell in cells.values():
            if isinstance(cell, tuple) and not isinstance(cell, Refused):
                edges = [edge for edge in cell if isinstance(edge, Edge)]
                assert [edge.guard is Guard.ALWAYS for edge in edges] == [False] * (len(edges) - 1) + [True]


def test_a_start_is_running_when_it_stayed_up() -> None:
    process = started(ALWAYS)
    assert (process.state, process.pid, process.deadline) == (State.STARTED, 7, 105.0)
    process, effects = happen(process, Event.TIMEOUT, 105)
    assert (process.state, process.deadline, effects) == (State.RUNNING, None, ())


def test_with_timeout_0_it_runs_at_once() -> None:
    assert started(replace(ALWAYS, successful_start_timeout_s=0)).running


@pytest.mark.parametrize("state", [State.STARTED, State.RUNNING])
def test_start_of_what_is_up_is_refused(state: State) -> None:
    outcome = step(row(state, pid=7), Occurrence(Event.START), Instant(1))
    assert outcome == Refused("Process 'web' is already running")


@pytest.mark.parametrize("state", [State.STOPPED, State.EXITED, State.FATAL])
def test_stop_of_what_is_down_is_refused(state: State) -> None:
    outcome = step(row(state), Occurrence(Event.STOP), Instant(1))
    assert outcome == Refused("Process 'web' is not running")


def test_stop_sends_the_stop_signal_then_kills() -> None:
    process, effects = happen(running(replace(ALWAYS, stop_signal=2, graceful_stop_timeout_s=3)), Event.STOP, 200)
    assert (process.state, process.deadline, effects) == (State.STOPPING, 203.0, (Send(7, 2),))
    process, effects = happen(process, Event.TIMEOUT, 203)
    assert (process.state, process.deadline, effects) == (State.KILLING, None, (Send(7, 9),))
    process, effects = happen(process, Event.REAPED, 203.1, status=died(-9))
    assert (process.state, process.pid, process.wanted_up, effects) == (State.STOPPED, None, False, ())


@pytest.mark.parametrize("policy", list(Restart))
def test_after_a_stop_no_policy_starts_it_again(policy: Restart) -> None:
    process = happen(running(task(restart=policy)), Event.STOP, 200)[0]
    assert happen(process, Event.REAPED, 201, status=died(1))[0].state is State.STOPPED


@pytest.mark.parametrize("wish", [Event.START, Event.RESTART])
@pytest.mark.parametrize("state", [State.STOPPING, State.KILLING])
def test_a_start_while_it_stops_comes_after_the_stop(state: State, wish: Event) -> None:
    process, effects = happen(row(state, pid=7), wish)
    assert (process.state, process.wanted_up, effects) == (state, True, ())
    process, effects = happen(process, Event.REAPED, 101, status=died(0))
    assert (process.state, effects) == (State.STARTED, (Spawn(),))


def test_a_stop_takes_back_a_start_that_waits() -> None:
    process = happen(happen(row(State.STOPPING, pid=7), Event.START)[0], Event.STOP)[0]
    assert happen(process, Event.REAPED, 101, status=died(0))[0].state is State.STOPPED


def test_restart_of_a_stopped_one_starts_it() -> None:
    assert happen(row(), Event.RESTART)[1] == (Spawn(),)


@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_a_program_that_dies_at_once_is_spawned_attempts_plus_one_times(attempts: int) -> None:
    process, spawns, now = started(replace(ON_FAILURE, restarts_attempts=attempts)), 1, 100.0
    while True:
        process = happen(process, Event.REAPED, now, status=died(1))[0]
        if process.state is State.FATAL:
            break
        assert process.deadline is not None
        now = process.deadline
        process, effects = happen(process, Event.TIMEOUT, now)
        spawns += effects.count(Spawn())
        process = happen(process, Event.SPAWNED, now, pid=8)[0]
    assert spawns == attempts + 1
    assert process.restarts == attempts


def test_always_with_0_attempts_never_gives_up() -> None:
    process = started(replace(ALWAYS, restarts_attempts=0))
    for n in range(50):
        process = happen(process, Event.REAPED, n, status=died(1))[0]
        assert process.state is State.BACKOFF
        process = happen(happen(process, Event.TIMEOUT, n)[0], Event.SPAWNED, n, pid=8)[0]


def test_delays_double_from_restart_delay() -> None:
    process, delays = started(replace(ALWAYS, restarts_attempts=9, restart_delay_s=1, restart_delay_max_s=5)), []
    for now in range(5):
        process = happen(process, Event.REAPED, now, status=died(1))[0]
        delays.append((process.deadline or 0) - now)
        process = happen(happen(process, Event.TIMEOUT, now)[0], Event.SPAWNED, now, pid=8)[0]
    for delay, plain in zip(delays, [1, 2, 4, 5, 5], strict=True):
        assert 0.9 * plain <= delay <= min(1.1 * plain, 5)


def test_running_forgets_the_attempts() -> None:
    process = happen(started(ALWAYS), Event.REAPED, 101, status=died(1))[0]
    process = happen(happen(process, Event.TIMEOUT, 102)[0], Event.SPAWNED, 102, pid=8)[0]
    assert process.retries == 1
    process = happen(process, Event.TIMEOUT, 107)[0]
    assert (process.state, process.retries, process.restarts) == (State.RUNNING, 0, 1)


@pytest.mark.parametrize(
    ("policy", "code", "after"),
    [
        (Restart.ALWAYS, 0, State.BACKOFF),
        (Restart.ALWAYS, 1, State.BACKOFF),
        (Restart.ON_FAILURE, 0, State.EXITED),
        (Restart.ON_FAILURE, 1, State.BACKOFF),
        (Restart.NEVER, 0, State.EXITED),
        (Restart.NEVER, 1, State.FATAL),
        (Restart.NEVER, -15, State.FATAL),
    ],
)
@pytest.mark.parametrize("prove", [started, running])
def test_what_follows_an_end(policy: Restart, code: int, after: State, prove: object) -> None:
    assert callable(prove)
    process = happen(prove(task(restart=policy)), Event.REAPED, 106, status=died(code))[0]
    assert process.state is after


def test_a_listed_signal_is_an_expected_end() -> None:
    process = running(task(restart=Restart.NEVER, expected_exit_codes=frozenset({-15})))
    assert happen(process, Event.REAPED, 106, status=died(-15))[0].state is State.EXITED


@pytest.mark.parametrize(
    ("policy", "attempts", "after"),
    [
        (Restart.NEVER, 3, State.FATAL),
        (Restart.ON_FAILURE, 3, State.BACKOFF),
        (Restart.ON_FAILURE, 0, State.FATAL),
        (Restart.ALWAYS, 3, State.BACKOFF),
        (Restart.ALWAYS, 0, State.BACKOFF),
    ],
)
def test_a_spawn_that_fails_is_a_failed_start(policy: Restart, attempts: int, after: State) -> None:
    process = happen(row(task=task(restart=policy, restarts_attempts=attempts)), Event.START)[0]
    process = happen(process, Event.SPAWN_FAILED, failure=MISSING)[0]
    assert (process.state, process.failure, process.pid) == (after, MISSING, None)


@pytest.mark.parametrize(
    ("policy", "attempts", "after"),
    [
        (Restart.NEVER, 3, State.FATAL),
        (Restart.ON_FAILURE, 3, State.BACKOFF),
        (Restart.ON_FAILURE, 0, State.BACKOFF),
        (Restart.ALWAYS, 3, State.BACKOFF),
        (Restart.ALWAYS, 0, State.BACKOFF),
    ],
)
def test_a_spawn_for_which_the_machine_has_too_little_uses_up_no_attempt(
    policy: Restart, attempts: int, after: State
) -> None:
    process = happen(row(task=task(restart=policy, restarts_attempts=attempts)), Event.START)[0]
    process = happen(process, Event.SPAWN_FAILED, failure=SHORT)[0]
    assert (process.state, process.failure, process.retries) == (after, SHORT, 0)


def short(process: Process, now: float) -> Process:
    """The wait is over, and the machine still has too little."""
    return happen(happen(process, Event.TIMEOUT, now)[0], Event.SPAWN_FAILED, now, failure=SHORT)[0]


def test_a_shortage_is_waited_out_for_ever_with_growing_delays() -> None:
    which = replace(ALWAYS, restarts_attempts=1, restart_delay_s=1, restart_delay_max_s=60)
    process = happen(happen(row(task=which), Event.START)[0], Event.SPAWN_FAILED, failure=SHORT)[0]
    delays = []
    for _ in range(50):
        delays.append((process.deadline or 0) - process.since)
        process = short(process, process.deadline or 0)
    assert process.state is State.BACKOFF
    for delay, plain in zip(delays, [1, 2, 4, 8, 16, 32, 60, 60], strict=False):
        assert min(0.9 * plain, 54) <= delay <= min(1.1 * plain, 60)


def test_a_shortage_is_not_asked_about_more_often_than_the_floor() -> None:
    hasty = row(task=replace(ALWAYS, restart_delay_s=0), restart_floor_s=0.5)
    process = happen(happen(hasty, Event.START)[0], Event.SPAWN_FAILED, 100, failure=SHORT)[0]
    assert process.deadline == 100.5


def test_after_a_shortage_the_attempts_are_where_they_were() -> None:
    process = happen(started(replace(ALWAYS, restarts_attempts=2)), Event.REAPED, 101, status=died(1))[0]
    process = short(short(process, 103), 106)
    assert (process.retries, process.shortages) == (1, 2)
    process = happen(happen(process, Event.TIMEOUT, 110)[0], Event.SPAWNED, 110, pid=8)[0]
    assert process.shortages == 0
    process = happen(process, Event.REAPED, 111, status=died(1))[0]
    assert (process.state, process.retries) == (State.BACKOFF, 2)
    process = happen(short(process, 115), Event.TIMEOUT, 118)[0]
    process = happen(process, Event.SPAWN_FAILED, 118, failure=MISSING)[0]
    assert process.state is State.FATAL


def test_another_reason_ends_the_count_of_shortages() -> None:
    process = happen(happen(row(task=ALWAYS), Event.START)[0], Event.SPAWN_FAILED, failure=SHORT)[0]
    process = happen(happen(process, Event.TIMEOUT)[0], Event.SPAWN_FAILED, failure=MISSING)[0]
    assert (process.shortages, process.retries) == (0, 1)
    assert happen(short(process, 200), Event.STOP)[0].shortages == 0


def test_the_first_crash_is_answered_at_once_and_a_loop_is_slowed() -> None:
    process = replace(running(ALWAYS), restart_floor_s=1.0)
    process = happen(process, Event.REAPED, 200, status=died(1))[0]
    assert (process.state, process.deadline, process.retries) == (State.BACKOFF, 200, 0)
    process = happen(happen(process, Event.TIMEOUT, 200)[0], Event.SPAWNED, 200, pid=8)[0]
    process = happen(replace(process, state=State.RUNNING), Event.REAPED, 200.25, status=died(1))[0]
    assert (process.deadline, process.retries) == (201.0, 0)


def test_a_hand_begins_a_new_count() -> None:
    process = replace(running(ALWAYS), retries=0, restarts=4, auto_started_at=Instant(99))
    process = happen(process, Event.RESTART, 200)[0]
    assert (process.restarts, process.auto_started_at) == (0, None)
    waiting = row(State.BACKOFF, task=ALWAYS, retries=3, restarts=3)
    assert happen(waiting, Event.STOP)[0].retries == 0
    assert happen(waiting, Event.START)[0].restarts == 0


def test_start_in_backoff_does_not_wait() -> None:
    assert happen(row(State.BACKOFF, retries=2), Event.START)[1] == (Spawn(),)


def test_a_policy_changed_meanwhile_moves_the_deadline() -> None:
    process = happen(running(ALWAYS), Event.STOP, 200)[0]
    assert replace(process, task=replace(ALWAYS, graceful_stop_timeout_s=1)).deadline == 201


def test_how_long_it_lived() -> None:
    process = started(ALWAYS, at=100)
    assert process.lived_s is None
    assert happen(process, Event.REAPED, 102.5, status=died(1))[0].lived_s == 2.5
    assert row().lived_s is None


def test_what_people_should_look_at() -> None:
    assert [state for state in State if row(state, pid=1).failing] == [State.BACKOFF, State.FATAL]
    assert [state for state in State if row(state, pid=1).gave_up] == [State.FATAL]
    assert [state for state in State if row(state, pid=1).stopping] == [State.STOPPING, State.KILLING]
    assert [state for state in State if row(state, pid=1).killing] == [State.KILLING]
    assert {state for state in State if row(state).at_rest} == {State.STOPPED, State.EXITED, State.FATAL}


def at_fault(process: Process, at: float = 103.0) -> Process:
    process, effects = happen(process, Event.UNHEALTHY, at, hint="it does not answer")
    assert effects == (Send(7, process.task.stop_signal),)
    assert process.stopping
    return process


@pytest.mark.parametrize(
    ("which", "then"), [(ALWAYS, State.BACKOFF), (ON_FAILURE, State.BACKOFF), (NEVER, State.FATAL)]
)
@pytest.mark.parametrize("code", [0, 3, -15])
def test_who_was_up_and_is_ended_for_a_fault_has_ended_unexpectedly_whatever_its_code(
    which: Task, then: State, code: int
) -> None:
    process, effects = happen(at_fault(running(which), 110), Event.REAPED, 111, status=died(code), hint="a fact")
    assert (process.state, process.retries, effects) == (then, 0, ())
    assert (process.hint, process.fault) == ("it does not answer", "it does not answer")


@pytest.mark.parametrize(
    ("which", "attempts", "then"), [(ALWAYS, 3, State.BACKOFF), (ALWAYS, 1, State.FATAL), (NEVER, 3, State.FATAL)]
)
def test_a_fault_before_it_was_up_is_a_failed_start(which: Task, attempts: int, then: State) -> None:
    process = replace(started(replace(which, restarts_attempts=attempts)), retries=1)
    process, _ = happen(at_fault(process), Event.REAPED, 104, status=died(0))
    assert (process.state, process.retries) == (then, 2 if then is State.BACKOFF else 1)


def test_a_fault_ends_with_its_grace() -> None:
    process = at_fault(running(ALWAYS), 110)
    assert process.deadline == 120
    process, effects = happen(process, Event.TIMEOUT, 120)
    assert (process.state, effects) == (State.KILLING, (Send(7, 9),))
    process, _ = happen(process, Event.UNHEALTHY, 121, hint="something else")
    process, _ = happen(process, Event.REAPED, 122, status=died(-9))
    assert (process.state, process.fault) == (State.BACKOFF, "it does not answer")


def test_what_an_operator_asks_for_comes_before_a_fault() -> None:
    stopped, _ = happen(happen(at_fault(running(ALWAYS)), Event.STOP, 104)[0], Event.REAPED, 105, status=died(0))
    assert (stopped.state, stopped.fault) == (State.STOPPED, "")
    again, effects = happen(happen(at_fault(running(NEVER)), Event.START, 104)[0], Event.REAPED, 105, status=died(0))
    assert (again.state, effects) == (State.STARTED, (Spawn(),))


def test_a_new_start_has_no_fault() -> None:
    process, _ = happen(at_fault(running(ALWAYS), 110), Event.REAPED, 111, status=died(0))
    process, _ = happen(process, Event.TIMEOUT, 112)
    assert (process.state, process.fault, process.proven, process.restarts) == (State.STARTED, "", False, 1)


@pytest.mark.parametrize(("state", "then"), [(State.STARTED, State.RUNNING), (State.RUNNING, State.RUNNING)])
def test_who_is_ready_runs(state: State, then: State) -> None:
    process, effects = happen(row(state, pid=7, retries=1), Event.READY)
    assert (process.state, effects) == (then, ())


def asked(**changes: Any) -> Process:
    """One that was just spawned, at 100, and has to become ready."""
    which = task(restart=Restart.ALWAYS, readiness=Probe("tcp"), **changes)
    return happen(happen(row(task=which), Event.START)[0], Event.SPAWNED, pid=7)[0]


def test_who_has_to_become_ready_is_up_when_it_is() -> None:
    process, effects = happen(asked(), Event.READY, 104)
    assert (process.state, process.retries, effects) == (State.RUNNING, 0, ())


def test_not_ready_in_time_is_a_failed_start_through_the_grace() -> None:
    process = asked(successful_start_timeout_s=3, restarts_attempts=1)
    assert process.deadline == 103
    process, effects = happen(process, Event.TIMEOUT, 103, hint="not ready within 3s")
    assert (process.state, process.fault, process.deadline) == (State.STOPPING, "not ready within 3s", 113)
    assert effects == (Send(7, 15),)
    process, _ = happen(process, Event.REAPED, 104, status=died(0))
    assert (process.state, process.retries, process.hint) == (State.BACKOFF, 1, "not ready within 3s")
    process = replace(asked(successful_start_timeout_s=3, restarts_attempts=1), retries=1)
    late, _ = happen(process, Event.TIMEOUT, 103, hint="not ready within 3s")
    assert happen(late, Event.REAPED, 104, status=died(0))[0].state is State.FATAL


def test_without_limit_it_may_take_as_long_as_it_wants_to_become_ready() -> None:
    process = asked(successful_start_timeout_s=0)
    assert (process.state, process.deadline) == (State.STARTED, None)
    assert happen(process, Event.READY, 10_000)[0].state is State.RUNNING


def test_who_is_too_old_is_restarted_whatever_the_policy_and_that_is_counted() -> None:
    never = task(restart=Restart.NEVER)
    up = row(State.RUNNING, task=never, pid=7, wanted_up=True, restarts=2, retries=1, spawned_at=Instant(90))
    process, effects = happen(up, Event.AGED, 100)
    assert (process.state, process.fault, effects) == (State.STOPPING, "", (Send(7, 15),))
    process, effects = happen(process, Event.REAPED, 101, status=died(1))
    assert (process.state, process.restarts, process.retries, effects) == (State.STARTED, 3, 1, (Spawn(),))


def test_a_stop_takes_back_the_restart_of_who_is_too_old() -> None:
    process, _ = happen(running(ALWAYS), Event.AGED, 110)
    process, _ = happen(process, Event.STOP, 111)
    assert happen(process, Event.REAPED, 112, status=died(0))[0].state is State.STOPPED


@pytest.mark.parametrize("state", [State.STOPPING, State.KILLING])
@pytest.mark.parametrize("event", [Event.READY, Event.UNHEALTHY, Event.AGED])
def test_who_is_being_ended_is_that_whatever_is_found(state: State, event: Event) -> None:
    process = row(state, pid=7)
    assert happen(process, event) == (process, ())


def test_the_impossible_is_told_not_done() -> None:
    with pytest.raises(Impossible, match="web: reaped in STOPPED"):
        step(row(), Occurrence(Event.REAPED, status=died(0)), Instant(1))
    with pytest.raises(Impossible, match="without a pid"):
        step(row(State.RUNNING), Occurrence(Event.STOP), Instant(1))


def test_it_is_spawning_until_it_has_a_pid() -> None:
    assert row(State.STARTED).spawning
    assert not row(State.STARTED, pid=7).spawning
    assert not row(State.STOPPED).spawning


# ---- what a start, and a stop signal, wait for

HELD_BACK = task(hooks=(("preStop", Hook("end", (), 7.0)),), graceful_stop_timeout_s=20)


def test_a_stop_before_it_was_spawned_is_a_stop_at_once() -> None:
    begun, _ = happen(row(), Event.START)
    assert happen(begun, Event.STOP) == (replace(begun, state=State.STOPPED, wanted_up=False), ())


def test_a_restart_before_it_was_spawned_begins_anew() -> None:
    begun, _ = happen(row(), Event.START)
    again, effects = happen(begun, Event.RESTART)
    assert (again, effects) == (begun, (Spawn(),))


def test_the_stop_signal_is_held_back_and_the_grace_begins_with_it() -> None:
    held, effects = happen(row(State.RUNNING, task=HELD_BACK, pid=7), Event.STOP, 200.0)
    assert (held.state, held.held, held.deadline, effects) == (State.STOPPING, True, 207.0, (Await(),))
    released, effects = happen(held, Event.TIMEOUT, 203.0)
    assert (released.state, released.held, released.deadline) == (State.STOPPING, False, 223.0)
    assert effects == (Send(7, signal.SIGTERM),)
    killed, effects = happen(released, Event.TIMEOUT, 223.0)
    assert (killed.state, effects) == (State.KILLING, (Send(7, signal.SIGKILL),))


@pytest.mark.parametrize("wish", [Event.START, Event.RESTART, Event.STOP])
def test_it_stays_held_back_whatever_is_wished(wish: Event) -> None:
    held, _ = happen(row(State.STARTED, task=HELD_BACK, pid=7), Event.RESTART)
    after, effects = happen(held, wish)
    assert (after.held, after.deadline, effects) == (True, held.deadline, ())


def test_who_is_at_fault_is_held_back_too_and_who_has_ended_is_not() -> None:
    held, effects = happen(row(State.RUNNING, task=HELD_BACK, pid=7), Event.UNHEALTHY, hint="it is deaf")
    assert (held.held, effects) == (True, (Await(),))
    ended, _ = happen(held, Event.REAPED, status=died(0))
    assert not ended.held


def test_a_hook_that_a_reload_takes_away_holds_nothing_back() -> None:
    held, _ = happen(row(State.RUNNING, task=HELD_BACK, pid=7), Event.STOP, 200.0)
    assert replace(held, task=task()).deadline == 200.0


def test_an_action_that_counts_nothing_is_no_count() -> None:
    with pytest.raises(ValueError, match="send SIGKILL counts nothing"):
        counts(Action.SEND_KILL, Counted(0, 0, 0), Instant(1.0))
