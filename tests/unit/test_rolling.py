"""Rolling restarts: what follows for a roll from what happens to the rows."""

from __future__ import annotations

import json

import pytest

from tests.unit.build import died, row, tasks
from tm.core.process import Occurrence, Process
from tm.core.rolling import Roll, Verdict, from_members, judge, members, order, resumed, rolls
from tm.core.transitions import Event, State

ROLL = Roll("web", "uid 0", (2, 3)).turn(row(State.RUNNING, n=2, pid=7))
OURS = Occurrence(Event.RESTART, by=ROLL.mark)


def of(state: State, n: int = 2, pid: int | None = None) -> Process:
    ended = died(1) if pid is None else None
    return row(state, n=n, pid=pid, exit_status=ended)


def test_who_has_its_turn_waits_no_more() -> None:
    assert (ROLL.todo, ROLL.current, ROLL.pid) == ((3,), 2, 7)


def test_the_next_has_its_turn_when_the_one_before_is_up_again() -> None:
    roll, verdict = judge(ROLL, OURS, of(State.STOPPING, pid=7))
    assert (roll.carried, verdict) == (True, Verdict.WAIT)
    for state in (State.STOPPING, State.STARTED):
        assert judge(roll, Occurrence(Event.SPAWNED), of(state, pid=8)) == (roll, Verdict.WAIT)
    assert judge(roll, Occurrence(Event.TIMEOUT), of(State.RUNNING, pid=8)) == (roll, Verdict.NEXT)
    assert roll.through() == Roll("web", "uid 0", (3,), done=(2,))


def test_what_happens_before_it_has_been_asked_means_nothing() -> None:
    assert judge(ROLL, Occurrence(Event.READY), of(State.RUNNING, pid=7)) == (ROLL, Verdict.WAIT)
    assert judge(ROLL, Occurrence(Event.REAPED), of(State.BACKOFF)) == (ROLL, Verdict.WAIT)


@pytest.mark.parametrize("state", [State.BACKOFF, State.FATAL, State.EXITED, State.STOPPED])
def test_who_does_not_come_up_ends_it(state: State) -> None:
    roll, _ = judge(ROLL, OURS, of(State.STOPPING, pid=7))
    assert judge(roll, Occurrence(Event.REAPED), of(state)) == (roll, Verdict.FAILED)


@pytest.mark.parametrize("event", [Event.START, Event.STOP, Event.RESTART])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_somebody_elses_wish_ends_it(event: Event, n: int) -> None:
    assert judge(ROLL, Occurrence(event, by="uid 0"), of(State.RUNNING, n)) == (ROLL, Verdict.TAKEN)


def test_what_happens_to_the_others_does_not() -> None:
    assert judge(ROLL, Occurrence(Event.REAPED), of(State.BACKOFF, 3)) == (ROLL, Verdict.WAIT)


def test_who_is_not_up_comes_first() -> None:
    rows = [of(State.RUNNING, 1, 5), of(State.FATAL, 2), of(State.RUNNING, 3, 6), of(State.STARTED, 4, 8)]
    assert order(rows) == (2, 4, 1, 3)


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (of(State.RUNNING, pid=7), None),
        (of(State.STOPPING, pid=7), Verdict.WAIT),
        (of(State.STARTED, pid=8), Verdict.WAIT),
        (of(State.RUNNING, pid=8), Verdict.NEXT),
        (of(State.FATAL), Verdict.FAILED),
    ],
)
def test_the_next_daemon_sees_how_far_it_had_come(now: Process, verdict: Verdict | None) -> None:
    roll, found = resumed(ROLL, now)
    assert (roll.carried, found) == (verdict is not None, verdict)


def test_it_goes_through_json() -> None:
    assert from_members(json.loads(json.dumps(members(ROLL)))) == ROLL
    rested = Roll("web", "uid 0", (2,)).turn(of(State.STOPPED))
    assert from_members(json.loads(json.dumps(members(rested)))) == rested


@pytest.mark.parametrize(
    "change", [{"task": 3}, {"by": None}, {"todo": ["2"]}, {"todo": 3}, {"current": True}, {"more": 1}]
)
def test_nonsense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        from_members({**members(ROLL), **change})


def test_a_reload_rolls_where_the_instances_stand_in_for_one_another() -> None:
    found = tasks("""
        tasks:
          one: {command: run, sockets: {a: 'unix:///one'}}
          two: {command: run, instances: 2, sockets: {a: 'unix:///two'}}
          ready: {command: run, instances: 2, readiness: {tcp: 'localhost:80{n}'}}
          dry: {command: run, instances: 2}
    """)
    assert [name for name, task in found.items() if rolls(task)] == ["two", "ready"]
