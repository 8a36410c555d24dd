"""What somebody outside is told, as values."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.build import died, row, task
from tests.unit.reading import config, found, problems
from tm.core import interface
from tm.core.errors import ConfigError, Place, Problem
from tm.core.launch import SpawnFailure
from tm.core.lines import decoded
from tm.core.notification import (
    MOST_WAITING,
    STDERR_BYTES,
    STDERR_LINES,
    TEXT_CHARACTERS,
    Kind,
    Notification,
    Sender,
    Waiting,
    gave_up,
    launch,
    log_changed,
    reload_refused,
)
from tm.core.process import Process
from tm.core.settings import Settings
from tm.core.timers import Instant
from tm.core.transitions import State

WHEN = "2026-01-31T12:00:00.123+01:00"
SENDER = Sender({"PATH": "/bin"}, "/start", "/etc/web.yaml", 77)
COMMAND = Settings(on_event=("tell", "it"))
WORKER = task("worker", instances=3, restarts_attempts=3)


def failed(**changes: object) -> Process:
    given = {"task": WORKER, "n": 2, "spawned_at": Instant(99.5), "exit_status": died(3), "retries": 3}
    return row(State.FATAL, **{**given, **changes})


def test_a_process_that_gave_up_is_told_with_everything_about_it() -> None:
    told = gave_up(failed(hint="a fact"), WHEN, ["one", "two"])
    assert told == Notification(
        Kind.FATAL,
        "worker_2",
        "Process 'worker_2' failed: exit code 3 after 0.50s, attempt 4 of 4; a fact",
        WHEN,
        task="worker",
        instance="worker_2",
        exit="3",
        stderr="one\ntwo",
    )
    assert str(told) == "fatal of worker_2"


def test_a_signal_is_a_negative_number_and_what_never_ran_has_none() -> None:
    assert gave_up(failed(exit_status=died(-9)), WHEN, []).exit == "-9"
    never_ran = failed(exit_status=None, retries=0, failure=SpawnFailure("exec", "command 'x' not found", "see PATH"))
    told = gave_up(never_ran, WHEN, [])
    assert (told.exit, told.text) == ("", "Process 'worker_2' failed: command 'x' not found; see PATH")


def test_a_failure_without_hint_or_attempt_is_no_more_than_its_cause() -> None:
    assert gave_up(failed(retries=0), WHEN, []).text == "Process 'worker_2' failed: exit code 3 after 0.50s"


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, " (and 2 more)")])
def test_a_refused_reload_is_told_with_its_first_problem(count: int, more: str) -> None:
    problem = Problem("unknown-key", Place("web.yaml", 3, 5), 1, "  cmmand: x", "unknown key 'cmmand'", "a key")
    told = reload_refused("SIGHUP", ConfigError([problem] * count), WHEN)
    assert (told.kind, told.who) == (Kind.RELOAD_REFUSED, "taskmaster")
    assert told.text == (
        "The reload was refused and nothing was changed, asked for by SIGHUP: "
        f"web.yaml:3:5: unknown key 'cmmand' [unknown-key]{more}"
    )


@pytest.mark.parametrize(("refuses", "kind"), [(True, Kind.LOG_REFUSED), (False, Kind.LOG_RECOVERED)])
def test_a_log_is_told_by_its_path(refuses: bool, kind: Kind) -> None:
    told = log_changed("/var/log/web", "log /var/log/web takes nothing", refuses, WHEN)
    assert told == Notification(kind, "/var/log/web", "log /var/log/web takes nothing", WHEN)


def test_a_text_is_one_line_without_control_characters_and_bounded() -> None:
    assert log_changed("x", "one\ntwo\x1b[2J\0", True, WHEN).text == "one two\\x00"
    long = log_changed("x", "y" * 5000, True, WHEN).text
    assert len(long) == TEXT_CHARACTERS
    assert long.endswith("y...")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("x" * STDERR_BYTES, "x" * STDERR_BYTES),
        ("x" * 100_000, "x" * STDERR_BYTES),
        ("cut\n" + "y" * (STDERR_BYTES - 1) + "\n\n", "y" * (STDERR_BYTES - 1) + "\n"),
        ("cut\n" + "y" * 3000 + "\n" + "z" * 2000, "z" * 2000),
        ("é" * 4000, "é" * (STDERR_BYTES // 2)),
        ("x" + "é" * 4000 + "x", "é" * (STDERR_BYTES // 2 - 1) + "x"),
        ("\x1b[31mred\x1b[0m\r\n\a", "red\n\\x07"),
        ("\n".join(map(str, range(100))), "\n".join(map(str, range(100 - STDERR_LINES, 100)))),
    ],
)
def test_of_stderr_the_last_whole_lines_are_kept(said: str, kept: str) -> None:
    assert gave_up(failed(), WHEN, said.removesuffix("\n").split("\n")).stderr == kept


@given(st.binary(max_size=2 * STDERR_BYTES))
def test_no_output_is_too_long_or_steers_a_terminal(said: bytes) -> None:
    stderr = gave_up(failed(), WHEN, [decoded(line) for line in said.split(b"\n")]).stderr
    assert len(stderr.encode()) <= STDERR_BYTES
    assert not {"\0", "\x1b", "\a"} & set(stderr)


def test_the_command_gets_what_a_task_would_inherit_and_the_event() -> None:
    run = launch(gave_up(failed(), WHEN, ["why"]), COMMAND, SENDER)
    assert (run.argv, run.directory, run.user, run.stdout) == (("tell", "it"), "/start", None, None)
    assert run.environment == {
        "PATH": "/bin",
        "TASKMASTER_EVENT": "fatal",
        "TASKMASTER_WHO": "worker_2",
        "TASKMASTER_TEXT": "Process 'worker_2' failed: exit code 3 after 0.50s, attempt 4 of 4",
        "TASKMASTER_TIME": WHEN,
        "TASKMASTER_CONFIG": "/etc/web.yaml",
        "TASKMASTER_PID": "77",
        "TASKMASTER_TASK": "worker",
        "TASKMASTER_INSTANCE": "worker_2",
        "TASKMASTER_EXIT": "3",
        "TASKMASTER_STDERR": "why",
    }


def test_nothing_is_inherited_where_tasks_inherit_nothing() -> None:
    run = launch(log_changed("x", "y", True, WHEN), replace(COMMAND, inherit_environment=False), SENDER)
    assert all(name.startswith("TASKMASTER_") for name in run.environment)


def test_every_variable_is_set_for_every_event_and_listed_in_the_manual() -> None:
    of_a_log = launch(log_changed("x", "y", True, WHEN), Settings(), replace(SENDER, environ={})).environment
    assert list(of_a_log) == [name for entry in interface.EVENT_VARIABLES for name in entry.names]
    assert {name for name, value in of_a_log.items() if not value} == {
        "TASKMASTER_TASK", "TASKMASTER_INSTANCE", "TASKMASTER_EXIT", "TASKMASTER_STDERR",
    }  # fmt: skip


def test_every_event_and_every_limit_is_in_the_manual() -> None:
    assert [name for entry in interface.EVENTS for name in entry.names] == [kind.value for kind in Kind]
    text = " ".join(entry.doc for entry in interface.EVENT_VARIABLES)
    assert f"at most {TEXT_CHARACTERS} characters" in text
    assert f"at most {STDERR_LINES} lines and {STDERR_BYTES} bytes" in text


def test_what_waits_is_bounded_and_what_finds_no_place_is_counted_and_not_even_made() -> None:
    waiting = Waiting()
    made: list[int] = []

    def make(number: int) -> Notification:
        made.append(number)
        return log_changed(str(number), "", True, WHEN)

    assert [waiting.put(partial(make, number)) for number in range(150)] == [True] * MOST_WAITING + [False] * 50
    assert made == list(range(MOST_WAITING))
    assert (len(waiting), waiting.dropped) == (MOST_WAITING, 50)
    first = waiting.take()
    assert first is not None
    assert first.who == "0"
    waiting.clear()
    assert waiting.take() is None


# ---- its keys


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("tell it", ("tell", "it")),
        ("[tell, 'it all']", ("tell", "it all")),
        ("[tell, '{here}']", ("tell", "/start")),
        ("tell > file", ("/bin/sh", "-c", "exec tell > file")),
        ("'tell \"$TASKMASTER_TEXT\"'", ("/bin/sh", "-c", 'exec tell "$TASKMASTER_TEXT"')),
        ("", None),
    ],
)
def test_the_command_is_read_as_one_of_a_task(written: str, words: tuple[str, ...] | None) -> None:
    assert config(f"tasks: {{}}\ntaskmaster:\n  onEvent: {written}\n").settings.on_event == words


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        ("onEvent: ''", "bad-command"),
        ("onEvent: 'tell \"it'", "bad-command"),
        ("onEvent: {a: b}", "wrong-shape"),
        ("onEvent: [tell, [it]]", "wrong-shape"),
        ("onEvent: tell {task}", "bad-command"),
        ("onEventTimeout: 0", "out-of-range"),
        ("onEventTimeout: 0s", "out-of-range"),
        ("onEventTimeout: soon", "bad-duration"),
    ],
)
def test_what_is_no_command_or_no_time_is_refused(written: str, identity: str) -> None:
    assert [each[1] for each in found(f"tasks: {{}}\ntaskmaster:\n  {written}\n")] == [identity]


def test_a_word_that_only_a_task_has_is_refused_with_the_variable() -> None:
    (told,) = problems("tasks: {}\ntaskmaster:\n  onEvent: [tell, '{instance}']\n")
    assert told.message.startswith("'onEvent' of taskmaster: '{instance}' means nothing here")
    assert told.suggestion == "what it is about is in $TASKMASTER_INSTANCE"
