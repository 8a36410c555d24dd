"""When the tasks end the daemon, and with which exit code."""

from __future__ import annotations

import pytest

from tests.unit.build import died, happen, row, task
from tm.core.ending import code_of_all, exit_code, nothing_left, over
from tm.core.exitstatus import UNKNOWN, ExitStatus
from tm.core.launch import SpawnFailure
from tm.core.process import Process
from tm.core.task import Restart
from tm.core.transitions import Event, State

ONCE = task(restart=Restart.NEVER, successful_start_timeout_s=0.0)


def ended(status: ExitStatus, **changes: object) -> Process:
    """One that was started, and has ended so."""
    process, _ = happen(row(task=ONCE, **changes), Event.START)
    process, _ = happen(process, Event.SPAWNED, pid=7)
    return happen(process, Event.REAPED, status=status)[0]


@pytest.mark.parametrize(
    ("status", "code"),
    [(died(0), 0), (died(7), 7), (died(-9), 137), (died(-15), 143), (UNKNOWN, 1)],
)
def test_the_code_is_the_one_that_a_shell_would_give(status: ExitStatus, code: int) -> None:
    process = ended(status)
    assert over(process)
    assert exit_code(process) == code


def test_what_failed_is_never_0() -> None:
    assert exit_code(row(State.FATAL, exit_status=died(0))) == 1
    assert exit_code(row(State.EXITED, exit_status=died(0))) == 0
    assert exit_code(row(State.FATAL)) == 1


def test_what_could_not_be_started_has_the_code_of_a_command_that_was_not_found() -> None:
    process, _ = happen(row(task=ONCE), Event.START)
    process, _ = happen(process, Event.SPAWN_FAILED, failure=SpawnFailure("exec", "there is none"))
    assert over(process)
    assert exit_code(process) == 127


def test_an_operators_stop_is_no_end() -> None:
    process, _ = happen(row(task=ONCE), Event.START)
    process, _ = happen(process, Event.SPAWNED, pid=7)
    assert not over(process)
    process, _ = happen(process, Event.STOP)
    process, _ = happen(process, Event.REAPED, status=died(-15))
    assert process.at_rest
    assert not over(process)
    assert not over(row())


def test_nothing_is_left_when_all_are_at_rest() -> None:
    assert nothing_left([])
    assert nothing_left([row(), ended(died(0))])
    assert not nothing_left([row(), row(State.BACKOFF)])
    assert not nothing_left([row(State.RUNNING, pid=3)])


def test_what_is_on_a_schedule_is_left_and_what_waits_in_vain_is_not() -> None:
    scheduled = task(schedule="@daily")
    assert not nothing_left([row(task=scheduled)])
    assert not over(row(State.EXITED, task=scheduled, wanted_up=True))
    waits = row(wanted_up=True, blocked="waits for db (ready): db is FATAL")
    assert not over(waits)
    assert nothing_left([waits])
    assert code_of_all([waits]) == 1


def test_one_failure_among_them_is_told() -> None:
    assert code_of_all([row(), ended(died(0))]) == 0
    assert code_of_all([ended(died(0)), ended(died(3))]) == 1
    assert code_of_all([row(State.FATAL, wanted_up=False)]) == 0
