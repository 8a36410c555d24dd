"""Whether what was asked for has come true: the outcomes, from changes in every order."""

from __future__ import annotations

from typing import Any

import pytest

from tm.cli.waiting import Waiting, noted, progress, why


def change(state: str, event: str, name: str = "web", **rest: Any) -> dict[str, Any]:
    return {"name": name, "task": name, "instance": 1, "state": state, "event": event, **rest}


def row(status: str, name: str = "web") -> dict[str, Any]:
    return {"name": name, "task": name, "instance": 1, "status": status, "pid": None}


def asked(verb: str, status: str, *before: dict[str, Any]) -> Waiting:
    waiting = Waiting(verb)
    for each in before:
        waiting.hear(each)
    waiting.answered(["web"], [row(status)])
    return waiting


def test_nothing_is_over_before_the_answer() -> None:
    waiting = Waiting("start")
    assert waiting.hear(change("RUNNING", "spawned"))
    assert not waiting.over


@pytest.mark.parametrize(
    ("verb", "status", "over"),
    [
        ("start", "RUNNING", True),
        ("start", "STARTED", False),
        ("start", "FATAL", False),
        ("start", "STOPPED", False),
        ("restart", "RUNNING", False),
        ("restart", "STOPPING", False),
        ("stop", "STOPPED", True),
        ("stop", "EXITED", True),
        ("stop", "FATAL", True),
        ("stop", "RUNNING", False),
        ("stop", "STOPPING", False),
    ],
)
def test_an_old_state_counts_only_where_it_can_be_the_outcome(verb: str, status: str, over: bool) -> None:
    waiting = asked(verb, status)
    assert waiting.over is over
    assert not waiting.failed


@pytest.mark.parametrize("state", ["BACKOFF", "FATAL", "EXITED", "STOPPED"])
@pytest.mark.parametrize("verb", ["start", "restart"])
def test_a_start_that_was_carried_out_and_failed(verb: str, state: str) -> None:
    waiting = asked(verb, "STARTED", change("STARTED", verb))
    assert not waiting.over
    assert waiting.hear(change(state, "reaped"))
    assert waiting.over
    assert waiting.failed["web", 1]["state"] == state


def test_it_may_have_failed_before_the_answer() -> None:
    assert asked("start", "FATAL", change("STARTED", "start"), change("FATAL", "reaped")).failed


def test_a_restart_is_done_when_it_runs_again() -> None:
    waiting = asked("restart", "STOPPING", change("STOPPING", "restart"))
    for each in (change("STARTED", "reaped"), change("STARTED", "spawned")):
        waiting.hear(each)
        assert not waiting.over
    waiting.hear(change("RUNNING", "timeout"))
    assert (waiting.over, waiting.done, waiting.failed) == (True, {("web", 1): "web"}, {})


def test_another_restart_in_between_is_waited_for_too() -> None:
    waiting = asked("restart", "STOPPING", change("STOPPING", "restart"))
    for state, event in (("STARTED", "spawned"), ("STOPPING", "restart"), ("STARTED", "spawned")):
        waiting.hear(change(state, event))
        assert not waiting.over
    waiting.hear(change("RUNNING", "timeout"))
    assert waiting.over


def test_a_stop_that_somebody_undoes() -> None:
    waiting = asked("stop", "STOPPING", change("STOPPING", "stop"))
    waiting.hear(change("STOPPING", "start"))
    assert not waiting.over
    waiting.hear(change("STARTED", "reaped", pid=7))
    assert waiting.over
    assert why("stop", waiting.failed["web", 1]) == [
        "Process 'web' was stopped, and somebody started it again meanwhile (pid 7)"
    ]


def test_others_do_not_concern_it() -> None:
    waiting = asked("start", "STARTED", change("STARTED", "start"))
    assert not waiting.hear(change("FATAL", "reaped", "db"))
    assert not waiting.failed


def test_changes_that_were_lost_are_made_up_for() -> None:
    waiting = asked("restart", "STOPPING")
    waiting.look_again([row("RUNNING"), row("FATAL", "db")])
    assert (waiting.over, waiting.failed) == (True, {})


@pytest.mark.parametrize(("verb", "status"), [("start", "STOPPED"), ("restart", "RUNNING")])
def test_what_was_asked_for_may_still_be_to_come_after_a_loss(verb: str, status: str) -> None:
    """Of thousands the last are started long after the answer, and a client that is slow misses some changes."""
    waiting = Waiting(verb)
    stand = [row(status, name) | {"pid": 7, "instance": n} for n, name in enumerate(("one", "two"), 1)]
    waiting.answered(["one", "two"], stand)
    waiting.look_again(stand)
    assert (len(waiting.pending), waiting.doubtful) == (2, True)
    moved = [row("RUNNING", "one") | {"pid": 8, "instance": 1}, stand[1]]
    waiting.look_again(moved)
    assert (list(waiting.done.values()), waiting.doubtful) == (["one"], True)
    waiting.look_again(moved)
    assert (waiting.over, waiting.doubtful) == (True, False), "nothing moves any more: it has been carried out"
    assert [each["state"] for each in waiting.failed.values()] == (["STOPPED"] if verb == "start" else [])


def test_a_reload_waits_for_starts_that_are_still_to_come() -> None:
    waiting = Waiting("reload")
    rows = [{**row("STOPPED", f"new_{n}"), "task": "new", "instance": n} for n in (1, 2)]
    waiting.answered_plan({"add": ["new"], "starts": ["new_2"]}, rows)
    assert set(waiting.pending) == {("new", 2)}
    for state, event in (("STARTED", "start"), ("STARTED", "spawned"), ("RUNNING", "timeout")):
        assert not waiting.over
        waiting.hear({**change(state, event, "new_2"), "task": "new", "instance": 2})
    assert (waiting.over, waiting.failed) == (True, {})


@pytest.mark.parametrize("verb", ["start", "restart", "stop"])
def test_what_is_removed_meanwhile_is_not_waited_for(verb: str) -> None:
    waiting = asked(verb, "STOPPING" if verb == "stop" else "STOPPED")
    if verb == "stop":
        assert not waiting.over
    waiting.hear(change("STOPPED", "dropped"))
    assert waiting.over
    assert bool(waiting.failed) is (verb != "stop")
    if waiting.failed:
        removed = "Process 'web' was removed meanwhile: the configuration no longer has it"
        assert why(verb, waiting.failed["web", 1]) == noted(waiting) == [removed]


def test_a_start_that_somebody_takes_back_before_it_is_carried_out() -> None:
    waiting = asked("start", "STOPPED")
    waiting.hear(change("STOPPED", "stop"))
    assert (waiting.over, set(waiting.failed)) == (True, {("web", 1)})


def test_a_process_that_gets_another_name_is_still_waited_for() -> None:
    waiting = asked("stop", "STOPPING")
    waiting.hear(change("STOPPED", "reaped", "web_1", task="web"))
    assert (waiting.over, waiting.done) == (True, {("web", 1): "web_1"})


def test_what_is_no_longer_there_after_a_loss_will_not_come() -> None:
    waiting = asked("start", "STARTED")
    waiting.look_again([])
    assert (waiting.over, set(waiting.failed)) == (True, {("web", 1)})


PLAN = {"respawn": {"web": ["command"]}, "add": ["new"], "scale": {}, "remove": ["old"], "adopt": {}}


def reloaded(*rows: dict[str, Any]) -> Waiting:
    waiting = Waiting("reload")
    waiting.answered_plan(PLAN, rows)
    return waiting


def test_a_reload_waits_for_what_it_moves() -> None:
    waiting = reloaded(row("STOPPING"), row("STARTED", "new"), row("STOPPED", "idle"), row("STOPPING", "old"))
    assert set(waiting.pending) == {("web", 1), ("new", 1), ("old", 1)}
    for name, state in (("web", "STARTED"), ("web", "RUNNING"), ("old", "STOPPED"), ("new", "RUNNING")):
        waiting.hear(change(state, "timeout", name))
    assert (waiting.over, waiting.failed) == (True, {})


def test_a_reload_knows_that_a_respawn_is_still_to_begin() -> None:
    waiting = Waiting("reload")
    waiting.answered_plan(PLAN | {"starts": ["web"]}, [row("RUNNING")])
    assert set(waiting.pending) == {("web", 1)}


def test_a_reload_tells_what_does_not_come_up_but_not_what_was_down() -> None:
    assert reloaded(row("FATAL")).over
    waiting = reloaded(row("STARTED", "new"))
    waiting.hear(change("BACKOFF", "reaped", "new"))
    assert waiting.failed


@pytest.mark.parametrize(
    ("state", "rest", "lines"),
    [
        ("FATAL", {}, ["Process 'web' is FATAL"]),
        (
            "BACKOFF",
            {"cause": "exit code 1 after 0.1s", "attempt": "attempt 2 of 4", "hint": "because", "place": "a.yaml:3"},
            ["Process 'web' is BACKOFF: exit code 1 after 0.1s, attempt 2 of 4", "  because", "  see a.yaml:3"],
        ),
        (
            "EXITED",
            {"cause": "exit code 0 after 0.1s"},
            ["Process 'web' ended as expected, and is not up: exit code 0 after 0.1s"],
        ),
        ("STOPPED", {}, ["Process 'web' was stopped by somebody else meanwhile"]),
    ],
)
def test_why_a_start_failed(state: str, rest: dict[str, Any], lines: list[str]) -> None:
    assert why("start", change(state, "reaped", **rest)) == lines


def test_what_is_noted_when_a_wait_is_over() -> None:
    assert noted(asked("start", "RUNNING")) == ["Process 'web' is RUNNING"]
    assert noted(asked("stop", "STOPPED")) == []
    assert noted(asked("start", "FATAL", change("STARTED", "start"))) == []
    assert noted(asked("start", "STOPPED", change("STARTED", "start"), change("STOPPED", "reaped"))) == [
        "Process 'web' was stopped by somebody else meanwhile"
    ]


def test_the_live_line() -> None:
    pending = {
        ("a", 1): change("STOPPING", "stop", "a", pid=1),
        ("b", 1): change("STARTED", "spawned", "b", pid=2),
    }
    assert progress({}, {}, 0.0) == ""
    assert (
        progress(pending, {("a", 1): 106.6}, 100.0)
        == "Waiting for 'a' (pid 1, SIGKILL in 7s), 'b' (pid 2, STARTED) ..."
    )
    rolling = {("a", 1): change("RUNNING", "spawned", "a", pid=1)}
    assert progress(rolling, {}, 0.0) == "Waiting for 'a' (pid 1, its turn is to come) ..."
    many = {name: change("KILLING", "timeout", name) for name in "abcde"}
    assert progress(many, {}, 0.0).endswith("'c' (KILLING), and 2 more ...")


class Many(dict[tuple[str, int], dict[str, Any]]):
    """So many that nobody should go through all of them at each change."""

    def items(self) -> Any:
        for n, each in enumerate(super().items()):
            assert n < 3
            yield each


def test_the_live_line_costs_the_same_for_any_number() -> None:
    many = Many({("web", n): change("STARTED", "spawned", f"web_{n}", pid=n) for n in range(1, 10001)})
    assert progress(many, {}, 0.0).endswith("'web_3' (pid 3, STARTED), and 9997 more ...")


def test_who_is_left_as_it_is_by_a_rolling_restart_has_failed_with_why() -> None:
    spared = change("RUNNING", "spared", why="'web_1' is FATAL: exit code 3")
    waiting = asked("restart", "RUNNING")
    waiting.hear(spared)
    assert (waiting.over, list(waiting.failed.values())) == (True, [spared])
    assert why("restart", spared) == ["Process 'web' was left as it is: 'web_1' is FATAL: exit code 3"]
    assert noted(waiting) == why("restart", spared)


def test_who_is_left_as_it_is_by_a_reload_has_failed_also_before_the_answer() -> None:
    for before in ([], [change("RUNNING", "spared", why="it")]):
        waiting = Waiting("reload")
        for each in before:
            waiting.hear(each)
        waiting.answered_plan({"respawn": {"web": ["command"]}, "starts": ["web"]}, [row("RUNNING")])
        assert waiting.over is bool(before)
        waiting.hear(change("RUNNING", "spared", why="it"))
        assert waiting.over and waiting.failed


WAITS = {"blocked": "waits for db (ready): db is STARTED"}


@pytest.mark.parametrize("verb", ["start", "restart"])
@pytest.mark.parametrize("state", ["STOPPED", "EXITED", "FATAL"])
def test_a_start_that_waits_for_others_is_waited_for_while_they_may_come(verb: str, state: str) -> None:
    waiting = asked(verb, state, change(state, verb, **WAITS))
    assert progress(waiting.pending, {}, 0.0) == "Waiting for 'web' (waits for db (ready): db is STARTED) ..."
    waiting.hear(change(state, verb, blocked="waits for db (ready): db is FATAL", stuck=True))
    assert waiting.over
    assert why(verb, waiting.failed["web", 1]) == ["Process 'web' waits for db (ready): db is FATAL"]
    assert noted(waiting) == [], "it has been told"


def test_a_start_that_has_waited_comes_true() -> None:
    waiting = asked("start", "STOPPED", change("STOPPED", "start", **WAITS))
    waiting.hear(change("STARTED", "start"))
    waiting.hear(change("RUNNING", "timeout"))
    assert (waiting.over, waiting.failed) == (True, {})


def test_a_start_that_waits_and_is_taken_back_has_failed() -> None:
    waiting = asked("start", "STOPPED", change("STOPPED", "start", **WAITS))
    waiting.hear(change("STOPPED", "stop"))
    assert why("start", waiting.failed["web", 1]) == ["Process 'web' was stopped by somebody else meanwhile"]


def test_a_stop_that_waits_for_others_is_waited_for() -> None:
    waiting = asked("stop", "RUNNING", change("RUNNING", "stop", blocked="is stopped after web"))
    assert progress(waiting.pending, {}, 0.0) == "Waiting for 'web' (is stopped after web) ..."
    waiting.hear(change("STOPPED", "reaped"))
    assert waiting.over


def test_a_reload_waits_for_what_it_starts_while_that_may_come() -> None:
    waiting = Waiting("reload")
    waiting.hear(change("STOPPED", "start", **WAITS))
    waiting.answered_plan({"add": ["web"], "starts": ["web"]}, [{**row("STOPPED"), **WAITS}])
    assert list(waiting.pending) == [("web", 1)]
    waiting.hear(change("STOPPED", "start", blocked="waits for db (ready): db is FATAL", stuck=True))
    assert (waiting.over, list(waiting.failed)) == (True, [("web", 1)])
