"""The facts of a row: the same whether they are told as values or as JSON, now or again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit import build
from tm.core.exitstatus import ExitStatus
from tm.core.process import Process
from tm.core.report import cells
from tm.core.timers import Instant
from tm.core.transitions import State
from tm.core.utterance import Said
from tm.core.written import Written
from tm.daemon.facts import Facts
from tm.faces import jsonrpc

NOW = Instant(100.0)
UP = build.row(State.RUNNING, task=build.task("web"), pid=10, spawned_at=Instant(50.0))
ROWS = {
    "up": UP,
    "just spawned": replace(UP, spawned_at=NOW),
    "ended": replace(UP, state=State.EXITED, pid=None, exit_status=ExitStatus(0)),
    "never started": build.row(State.STOPPED, task=build.task("web")),
    "stopping": replace(UP, state=State.STOPPING, pid=2**22 + 1),
    "a job": replace(UP, task=replace(UP.task, oneshot=True)),
    "words that are none of ours": replace(UP, blocked='"uptime":0, é\n'),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_they_are_the_same_as_values_and_as_json_however_often_they_are_asked_for(row: Process) -> None:
    facts = Facts()
    for now in (NOW, Instant(NOW + 0.1234), Instant(NOW + 10_000)):
        written = facts.written([row, row], now)
        assert list(written) == [facts.data(row, now)] * 2
        assert json.loads(jsonrpc.result(1, {"data": written, "lines": ["a"]})) == {
            "jsonrpc": "2.0",
            "id": 1,
            "result": {"data": [facts.data(row, now)] * 2, "lines": ["a"]},
        }
        assert facts.cells(row, now) == cells(row, now)


def test_a_row_that_follows_another_one_has_its_own() -> None:
    facts = Facts()
    for pid in (10, 11):
        row = replace(UP, pid=pid)
        assert [each["pid"] for each in facts.written([row], NOW)] == [pid]
        assert facts.cells(row, NOW)[2] == str(pid)
    facts.forget(("web", 1))
    facts.forget(("web", 1))


def test_what_a_process_says_is_asked_for_each_time() -> None:
    facts = Facts()
    assert facts.written([UP], NOW)[0]["says"] is None
    facts.said = lambda row: Said(status="at work")
    assert facts.written([UP], NOW)[0]["says"]["status"] == "at work"


def test_of_none_there_is_an_empty_list() -> None:
    assert (len(Facts().written([], NOW)), Written("[1, 2]")[1:]) == (0, [2])
