"""The journal: what is written comes back, nonsense harms nothing, and compaction keeps the meaning."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.build import died, happen, row, task
from tm.core.exitstatus import UNKNOWN, ExitStatus
from tm.core.journal import (
    Head,
    Intent,
    Ledger,
    compacted,
    ended_line,
    gone_line,
    head_line,
    intent_line,
    replay,
    row_line,
    stopping_line,
)
from tm.core.lasting import restored, saved
from tm.core.launch import SpawnFailure
from tm.core.process import Process
from tm.core.saved import NUMBER_MOST, Identity, Saved
from tm.core.task import INSTANCES_MOST
from tm.core.transitions import TABLE, Event, State

NAMES = st.text(min_size=1, max_size=8)
FEW_NAMES = st.sampled_from(["web", "worker", "db", "ü\udc80\n"])
COUNTS = st.integers(0, 2**64 - 1)
INSTANTS = st.floats(0, 1e10)
STATUSES = st.builds(ExitStatus, st.integers(-127, 255), st.booleans()) | st.just(UNKNOWN)
HEADS = st.builds(Head, st.text(max_size=9), st.text(max_size=9), st.text(max_size=9))
ROW = saved(row(), 1)


@st.composite
def processes(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES) -> Process:
    """Any process that the table allows."""
    state = draw(st.sampled_from(State))
    pids = st.integers(1, 2**31 - 1) if TABLE[state].alive else st.none()
    pid = draw(pids | st.none() if state is State.STARTED else pids)
    return row(
        state,
        task=task(draw(names)),
        n=draw(st.integers(0, 3)),
        since=draw(INSTANTS),
        restart_floor_s=draw(st.floats(0, 10)),
        pid=pid,
        wanted_up=draw(st.booleans()),
        retries=draw(COUNTS),
        restarts=draw(COUNTS),
        spawned_at=draw(INSTANTS if pid else INSTANTS | st.none()),
        auto_started_at=draw(INSTANTS | st.none()),
        exit_status=draw(STATUSES | st.none()),
        hint=draw(st.text(max_size=20)),
        blocked=draw(st.text(max_size=20)),
    )


@st.composite
def rows(draw: st.DrawFn) -> Saved:
    """Any row of few instances, so that they meet."""
    pipes = draw(st.dictionaries(st.sampled_from(["stdout", "stderr"]), COUNTS) | st.none())
    identity = Identity(draw(COUNTS | st.none()), draw(COUNTS))
    return saved(draw(processes(FEW_NAMES)), draw(st.integers(0, 3)), identity, pipes, draw(st.text(max_size=3)))


FEW = st.integers(0, 3)
LINES = st.one_of(
    rows().map(row_line),
    st.builds(intent_line, FEW_NAMES, FEW, st.builds(Intent, FEW, FEW)),
    st.builds(gone_line, FEW_NAMES, FEW),
    NAMES.map(stopping_line),
    HEADS.map(head_line),
)
JOURNALS = st.lists(LINES, max_size=12)
GARBAGE = st.binary(max_size=40).map(lambda some: b"\xff" + some + b"\n") | st.sampled_from(
    [
        b"\n",
        b"\0" * 50 + b"\n",
        b"[" * 20_000 + b"\n",
        b'{"kind":' * 20_000 + b"\n",
        b"null\n",
        b"[]\n",
        b'"row"\n',
        b"{}\n",
        b'{"kind":"comet","task":"web","n":1}\n',
        b'{"kind":["row"]}\n',
        b'{"kind":"gone","task":"web","n":1,"n":2}\n',
        b'{"kind":"gone","task":"w\xc3\xbc","n":1}\n',
        gone_line("web", 1).rstrip(b"\n"),
    ]
)


def read(lines: Iterable[bytes]) -> Ledger:
    """What lines without nonsense come to."""
    ledger, nonsense = replay(lines)
    assert nonsense == []
    return ledger


def changed(line: bytes, **members: Any) -> bytes:
    """The line with other members; one that is ... is left out."""
    content = json.loads(line) | members
    return json.dumps({key: value for key, value in content.items() if value is not ...}).encode() + b"\n"


# ---- rows


@given(processes(), COUNTS)
def test_a_process_comes_back_as_it_was(process: Process, generation: int) -> None:
    row = saved(process, generation)
    assert read([row_line(row)]).rows == {(process.task.name, process.n): row}
    assert restored(row, process.task, process.restart_floor_s) == process


def test_a_failure_is_not_kept() -> None:
    process = row(State.BACKOFF, failure=SpawnFailure("exec", "there is no such file"))
    assert restored(saved(process, 1), process.task, 1.0) == replace(process, failure=None)


@given(rows())
def test_a_row_comes_back_as_it_was_in_one_line_of_ascii(row: Saved) -> None:
    line = row_line(row)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert b": " not in line.replace(json.dumps(row.hint).encode(), b"")
    assert read([line]).rows == {row.key: row}


def test_an_unknown_end_is_not_the_same_as_none() -> None:
    assert read([row_line(ROW._replace(exit_status=UNKNOWN))]).rows[ROW.key].exit_status == UNKNOWN
    assert read([row_line(ROW)]).rows[ROW.key].exit_status is None


def test_the_word_of_a_state_is_the_one_that_people_see() -> None:
    assert json.loads(row_line(saved(row(State.FATAL), 1)))["state"] == "FATAL"


def test_what_is_no_number_is_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        row_line(ROW._replace(since=float("nan")))


def test_an_end_is_read_again() -> None:
    assert read([ended_line(7, died(3)), ended_line(8, died(-9))]).ended == {7: died(3), 8: died(-9)}


def test_a_row_of_an_earlier_taskmaster_has_no_imprint() -> None:
    line = json.loads(row_line(ROW._replace(imprint="abc")))
    assert read([json.dumps(line).encode() + b"\n"]).rows[ROW.key].imprint == "abc"
    del line["imprint"]
    assert read([json.dumps(line).encode() + b"\n"]).rows[ROW.key] == ROW


def test_a_life_as_it_is_written_down() -> None:
    process = row(task=task("web"))
    lines = [head_line(Head("boot", "pid:[1]", "/etc/web.yaml")), intent_line("web", 1, Intent(1, 9))]
    assert read(lines).intents == {("web", 1): Intent(1, 9)}
    process, _ = happen(process, Event.START)
    process, _ = happen(process, Event.SPAWNED, pid=7)
    lines.append(row_line(saved(process, 1, Identity(55, 99), {"stdout": 3}, "abc")))
    ledger = read(lines)
    assert (ledger.intents, ledger.rows["web", 1].pid, ledger.rows["web", 1].pipes) == ({}, 7, {"stdout": 3})
    process, _ = happen(process, Event.STOP)
    process, _ = happen(process, Event.REAPED, status=died(-15))
    lines += [row_line(saved(process, 1)), stopping_line("SIGTERM")]
    ledger = read(lines)
    assert restored(ledger.rows["web", 1], process.task, 1.0) == process
    assert ledger.stopping == "SIGTERM"
    assert read([*lines, gone_line("web", 1)]).rows == {}


# ---- what closes what


def test_only_a_row_of_its_own_start_closes_an_intent() -> None:
    lines = [intent_line("web", 1, Intent(2, 9)), row_line(ROW), row_line(ROW._replace(n=2, generation=2))]
    assert read(lines).intents == {("web", 1): Intent(2, 9)}
    assert read([*lines, row_line(ROW._replace(generation=2))]).intents == {}


def test_what_is_gone_has_no_intent_either() -> None:
    assert read([intent_line("web", 1, Intent(2, 9)), gone_line("web", 1)]) == Ledger()


def test_how_a_process_ended_is_forgotten_with_its_row() -> None:
    lives = saved(row(State.RUNNING, pid=7, spawned_at=row().since), 1)
    assert read([row_line(lives), ended_line(7, died(0)), gone_line("web", 1)]).ended == {}


def test_a_head_begins_anew() -> None:
    head = Head("another boot", "pid:[1]", "/etc/web.yaml")
    assert read([row_line(ROW), intent_line("web", 1, Intent(2, 9)), stopping_line("ada"), head_line(head)]) == Ledger(
        head
    )


# ---- damage


@given(st.lists(LINES, max_size=3), LINES)
@settings(max_examples=50)
def test_a_line_torn_at_any_byte_is_dropped_and_all_before_it_stand(lines: list[bytes], last: bytes) -> None:
    before = read(lines)
    for length in range(1, len(last)):
        assert replay([*lines, last[:length]]) == (before, [len(lines) + 1])


@given(JOURNALS, st.data())
@settings(max_examples=50)
def test_garbage_between_lines_is_skipped_and_reported(lines: list[bytes], data: st.DataObject) -> None:
    expected = read(lines)
    broken, numbers = [], []
    for line in lines:
        for garbage in data.draw(st.lists(GARBAGE, max_size=2)):
            broken.append(garbage)
            numbers.append(len(broken))
        broken.append(line)
    assert replay(broken) == (expected, numbers)


@given(st.lists(GARBAGE | st.binary() | LINES))
@settings(max_examples=50)
def test_no_bytes_raise(lines: list[bytes]) -> None:
    ledger, nonsense = replay(lines)
    assert nonsense == sorted(set(nonsense))
    assert set(nonsense) <= set(range(1, len(lines) + 1))
    assert read(compacted(ledger)) == ledger


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(State).map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@given(LINES, st.data())
def test_any_value_in_any_member_is_taken_or_skipped(line: bytes, data: st.DataObject) -> None:
    member = data.draw(st.sampled_from(sorted(json.loads(line))))
    ledger, nonsense = replay([changed(line, **{member: data.draw(JSON)})])
    assert nonsense in ([], [1])
    assert nonsense == [] or ledger == Ledger()
    assert read(compacted(ledger)) == ledger


@given(rows(), st.sampled_from([name for name in Saved._fields if name not in Saved._field_defaults]))
def test_a_row_that_lacks_a_member_is_skipped(row: Saved, member: str) -> None:
    assert replay([changed(row_line(row), **{member: ...})]) == (Ledger(), [1])


@given(LINES, st.text(min_size=9), JSON)
def test_members_of_a_newer_version_are_ignored(line: bytes, member: str, value: object) -> None:
    content = json.loads(line)
    expected = read([line])
    assert read([changed(line, **({member: value} | content))]) == expected


NONSENSE: list[dict[str, Any]] = [
    {"task": ""},
    {"task": 1},
    {"n": -1},
    {"n": True},
    {"n": 1.0},
    {"n": "1"},
    {"n": 10_001},
    {"n": 2**64},
    {"generation": None},
    {"state": "WALKING"},
    {"state": "running"},
    {"state": ["RUNNING"]},
    {"pid": 0},
    {"pid": 2**31},
    {"pid": 7},
    {"state": "RUNNING"},
    {"state": "RUNNING", "pid": 7},
    {"state": "KILLING", "spawned_at": 1.0},
    {"state": "STARTED", "pid": 7},
    {"start": -1},
    {"identity": None},
    {"pipes": []},
    {"pipes": {"stdout": None}},
    {"pipes": {"": 1}},
    {"wanted_up": 1},
    {"retries": -1},
    {"since": None},
    {"since": True},
    {"since": "1"},
    {"since": -0.5},
    {"since": 1e11},
    {"since": 10**400},
    {"since": float("nan")},
    {"since": float("inf")},
    {"exit_status": 0},
    {"exit_status": [0]},
    {"exit_status": [256, False]},
    {"exit_status": [-128, False]},
    {"exit_status": [None, True]},
    {"exit_status": [0, 1]},
    {"hint": None},
]


@pytest.mark.parametrize("members", NONSENSE, ids=str)
def test_a_row_that_makes_no_sense_is_skipped(members: dict[str, Any]) -> None:
    assert replay([changed(row_line(ROW), **members)]) == (Ledger(), [1])


@pytest.mark.parametrize("number", [b"1" * 5000, b"1e999", b"-1e999", b"NaN", b"Infinity"])
def test_a_number_that_no_clock_shows_is_skipped(number: bytes) -> None:
    line = row_line(ROW)
    assert replay([line.replace(b'"since":100.0', b'"since":' + number)]) == (Ledger(), [1])


@pytest.mark.parametrize(
    "line",
    [
        changed(head_line(Head("a", "b", "c")), version=2),
        changed(head_line(Head("a", "b", "c")), boot=None),
        changed(stopping_line("ada"), by=""),
        changed(intent_line("web", 1, Intent(1, 9)), generation=-1),
        changed(gone_line("web", 1), n=...),
        changed(intent_line("web", 1, Intent(1, 9)), n=10_001),
    ],
)
def test_nonsense_of_other_kinds_leaves_no_trace_but_that_something_is_missing(line: bytes) -> None:
    before = [intent_line("web", 1, Intent(7, 9)), row_line(ROW)]
    assert replay([*before, line]) == (read(before), [3])
    assert replay([*before, line])[0].damaged
    assert not read(before).damaged


def test_a_number_on_record_is_one_that_a_configuration_allows() -> None:
    assert NUMBER_MOST == INSTANCES_MOST


# ---- compaction


@given(JOURNALS)
@settings(max_examples=50)
def test_compaction_keeps_the_meaning(lines: list[bytes]) -> None:
    ledger = read(lines)
    fewer = compacted(ledger)
    assert read(fewer) == ledger
    assert len(fewer) <= len(lines)
    assert compacted(read(fewer)) == fewer
    assert all(read(fewer[:i] + fewer[i + 1 :]) != ledger for i in range(len(fewer)))


@given(JOURNALS, JOURNALS)
@settings(max_examples=50)
def test_a_compacted_journal_goes_on_as_the_whole_one_would(lines: list[bytes], more: list[bytes]) -> None:
    assert read([*compacted(read(lines)), *more]) == read([*lines, *more])
