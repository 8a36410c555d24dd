"""What a configuration may say of jobs, and what a reload makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.build import row, task, tasks
from tm.core.errors import ConfigError
from tm.core.reload import cycles, describe, diff, lasting
from tm.core.task import Overlap, Task
from tm.core.transitions import State


def one(text: str) -> Task:
    return tasks(f"tasks: {{web: {{command: run, {text}}}}}")["web"]


def problems(text: str, before: str = "") -> list[tuple[str, str, int]]:
    """Which there are: the kind, the words, and the column."""
    with pytest.raises(ConfigError) as caught:
        tasks(f"{before}tasks: {{web: {{command: run, {text}}}}}")
    return [(each.id, each.message, each.place.column) for each in caught.value.problems]


def test_what_has_a_schedule_is_oneshot() -> None:
    web = one("schedule: '  30   3 * * mon-fri '")
    assert (web.schedule, web.oneshot, web.overlap, web.time_zone) == ("30 3 * * mon-fri", True, Overlap.SKIP, None)
    assert one("schedule: '@daily', oneshot: true, restart: on-failure").oneshot
    assert not one("restart: always").oneshot


def test_a_zone_and_a_deadline_may_stand_in_the_defaults() -> None:
    text = "defaults: {timeZone: UTC, overlap: kill, deadline: 1h}\n"
    both = tasks(f"{text}tasks: {{web: {{command: run}}, job: {{command: run, schedule: '@daily'}}}}")
    assert [(each.time_zone, each.deadline_s) for each in both.values()] == [("UTC", 3600), ("UTC", 3600)]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("schedule: '0 0 30 2 *'", "bad-schedule", "never due"),
        ("schedule: '@reboot'", "bad-schedule", "@reboot"),
        ("schedule: [1]", "wrong-shape", "a list"),
        ("schedule: '@daily', timeZone: Europe/Atlantis", "unknown-zone", "'Europe/Atlantis'"),
        ("schedule: '@daily', oneshot: false", "no-sense", "runs to completion"),
        ("schedule: '@daily', restart: always", "no-sense", "has a schedule, and would never be through"),
        ("oneshot: true, restart: always", "no-sense", "is oneshot, and would never be through"),
        ("timeZone: UTC", "no-sense", "has no schedule"),
        ("overlap: kill", "no-sense", "has no schedule"),
        ("schedule: '@daily', overlap: both", "bad-choice", "'both'"),
        ("deadline: 0", "out-of-range", "no time at all"),
        ("deadline: -1", "bad-duration", "'-1'"),
    ],
)
def test_nonsense_is_refused_with_its_place(text: str, kind: str, words: str) -> None:
    ((found, message, column),) = problems(text)
    assert found == kind
    assert words in message
    assert column > len("tasks: {web: {command: run, ")


def test_a_bad_schedule_is_one_problem() -> None:
    assert len(problems("schedule: nonsense, timeZone: UTC, restart: always")) == 1


def test_a_restart_that_stands_in_the_defaults_is_refused_there() -> None:
    ((kind, _, column),) = problems("oneshot: true", "defaults: {restart: always}\n")
    assert (kind, column) == ("no-sense", len("defaults: {restart: ") + 1)


# ---- a reload

JOB = task(oneshot=True)


def test_a_start_of_a_job_is_no_lasting_wish() -> None:
    assert [lasting(JOB, True), lasting(JOB, False)] == [None, False]
    assert [lasting(task(), True), lasting(task(), False)] == [True, False]


@pytest.mark.parametrize("state", list(State))
def test_only_a_job_that_failed_is_run_again(state: State) -> None:
    failed = state in (State.FATAL, State.BACKOFF)
    assert cycles(row(state), JOB) is failed
    assert not cycles(row(state), replace(JOB, schedule="@daily"))
    assert cycles(row(state), task())


def test_the_plan_says_from_when_on_it_holds() -> None:
    plan = diff({"web": JOB}, {"web": replace(JOB, umask=0)})
    assert describe(plan) == ["update   web: umask changed, from its next run on"]
