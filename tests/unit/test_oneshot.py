"""What is oneshot: an expected end is its success, however soon, and any other a failed attempt, however late."""

from __future__ import annotations

import pytest

from tests.unit.build import died, happen, row, task
from tm.core.process import Process, Spawn
from tm.core.task import Restart
from tm.core.transitions import Event, State

JOB = task(oneshot=True, restart=Restart.ON_FAILURE, restarts_attempts=2)


def run(job: Process, at: float, number: int, lived_s: float) -> Process:
    """From a spawn to its end; longer than the start timeout it is RUNNING meanwhile."""
    job, _ = happen(job, Event.SPAWNED, at, pid=7)
    if lived_s > job.task.successful_start_timeout_s:
        job, _ = happen(job, Event.TIMEOUT, at + job.task.successful_start_timeout_s)
        assert job.running
    job, _ = happen(job, Event.REAPED, at + lived_s, status=died(number))
    return job


@pytest.mark.parametrize("restart", [Restart.ON_FAILURE, Restart.NEVER])
@pytest.mark.parametrize("lived_s", [0.0, 4.0, 3600.0])
def test_an_expected_end_is_its_success(restart: Restart, lived_s: float) -> None:
    job, _ = happen(row(task=task(oneshot=True, restart=restart)), Event.START)
    assert run(job, 100, 0, lived_s).state is State.EXITED


@pytest.mark.parametrize("lived_s", [0.0, 3600.0])
def test_any_other_end_uses_up_an_attempt(lived_s: float) -> None:
    job, _ = happen(row(task=JOB), Event.START)
    at = 100.0
    for attempt in (1, 2):
        job = run(job, at, 3, lived_s)
        assert (job.state, job.retries) == (State.BACKOFF, attempt)
        at += lived_s + 100
        job, effects = happen(job, Event.TIMEOUT, at)
        assert effects == (Spawn(),)
    assert run(job, at, 3, lived_s).state is State.FATAL


def test_what_is_not_oneshot_is_started_again_without_end() -> None:
    job, _ = happen(row(task=task(restart=Restart.ON_FAILURE, restarts_attempts=0)), Event.START)
    job = run(job, 100, 3, 3600)
    assert (job.state, job.retries) == (State.BACKOFF, 0)


def test_a_deadline_is_an_attempt_too() -> None:
    job, _ = happen(row(task=JOB), Event.START)
    for attempt in (1, 2):
        job, _ = happen(job, Event.SPAWNED, pid=7)
        job, _ = happen(job, Event.TIMEOUT)
        job, _ = happen(job, Event.UNHEALTHY, hint="its deadline of 5s is over")
        job, _ = happen(job, Event.REAPED, status=died(0))
        assert (job.state, job.retries) == (State.BACKOFF, attempt)
        job, _ = happen(job, Event.TIMEOUT, 1000)
    job, _ = happen(job, Event.SPAWNED, pid=7)
    job, _ = happen(job, Event.UNHEALTHY, hint="its deadline of 5s is over")
    job, _ = happen(job, Event.REAPED, status=died(-15))
    assert (job.state, job.hint) == (State.FATAL, "its deadline of 5s is over")
