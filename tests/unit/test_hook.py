"""Hooks as values: how they are written, when they are due, what they are told; and what `watch` is written like."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from tests.unit.build import died, happen, row
from tests.unit.reading import found, task
from tm.core import interface
from tm.core.hook import Facts, Moment, as_written, facts, hook_launch, hook_of, moments
from tm.core.launch import SpawnFailure
from tm.core.process import Occurrence, Process
from tm.core.task import HOOK_TIMEOUT_S, Hook, Watch
from tm.core.template import Template
from tm.core.transitions import Event, State

ALL = "command: run\nhooks: {preStart: a, postStart: b, preStop: c, postStop: d, onFatal: e, onReady: f}"
WEB = task(ALL)


def hooks(written: str) -> dict[str, Hook]:
    return dict(task(f"command: run\nhooks: {written}").hooks)


def text(*words: str) -> tuple[Template, ...]:
    return tuple(Template((word,)) for word in words)


# ---- how they are written


@pytest.mark.parametrize(
    ("written", "hook"),
    [
        ("run it", Hook("run it", text("run", "it"), 30.0)),
        ("[run, 'it all']", Hook(("run", "it all"), text("run", "it all"), 30.0)),
        ("{command: run it}", Hook("run it", text("run", "it"), 30.0)),
        ("{command: [run], timeout: 500ms, x-why: me}", Hook(("run",), text("run"), 0.5)),
        ("a | b", Hook("a | b", text("/bin/sh", "-c", "a | b"), 30.0)),
    ],
)
def test_a_hook_is_a_command_with_or_without_a_timeout(written: str, hook: Hook) -> None:
    assert hooks(f"{{preStart: {written}}}") == {"preStart": hook}


def test_without_hooks_there_are_none_and_an_empty_one_is_none() -> None:
    assert task("command: run").hooks == ()
    assert hooks("{preStart: , x-free: 1, onFatal: run}") == {"onFatal": Hook("run", text("run"), HOOK_TIMEOUT_S)}


def test_the_order_in_which_they_are_written_means_nothing() -> None:
    assert task("command: run\nhooks: {onReady: a, preStart: b}") == task(
        "command: run\nhooks: {preStart: b, onReady: a}"
    )


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("run", "wrong-shape"),
        ("[run]", "wrong-shape"),
        ("{preStar: run}", "unknown-key"),
        ("{preStart: {}}", "no-command"),
        ("{preStart: {timeout: 3}}", "no-command"),
        ("{preStart: {command: run, limit: 3}}", "unknown-key"),
        ("{preStart: {command: run, timeout: 0}}", "out-of-range"),
        ("{preStart: {command: run, timeout: -1}}", "bad-duration"),
        ("{preStart: {command: {a: b}}}", "wrong-shape"),
        ("{preStart: []}", "bad-command"),
        ("{preStart: 'run \"it'}", "bad-command"),
    ],
)
def test_what_makes_no_hook_is_refused_at_its_place(written: str, problem: str) -> None:
    problems = found(f"tasks:\n  web:\n    command: run\n    hooks: {written}\n")
    assert [each for _, each in problems] == [problem]
    assert problems[0][0].startswith("web.yaml:4:")


def test_all_that_is_wrong_is_told_at_once() -> None:
    problems = found("tasks: {web: {command: run, hooks: {a: b, c: d}}}")
    assert [each for _, each in problems] == ["unknown-key", "unknown-key"]


# ---- when they are due


def due(state: State, event: Event, **facts_: object) -> list[Moment]:
    before = row(state, task=WEB, pid=7 if state not in (State.STOPPED, State.FATAL) else None, wanted_up=True)
    if event is Event.SPAWN_FAILED:
        before = replace(before, pid=None)
    return moments(before, Occurrence(event), happen(before, event, **facts_)[0])


def test_the_moments_come_with_the_changes() -> None:
    assert due(State.STOPPED, Event.START) == []
    assert due(State.STARTED, Event.SPAWNED, pid=7) == [Moment.POST_START]
    assert due(State.STARTED, Event.TIMEOUT) == [Moment.ON_READY]
    assert due(State.RUNNING, Event.READY) == []
    assert due(State.RUNNING, Event.STOP) == []
    assert due(State.RUNNING, Event.REAPED, status=died(0)) == [Moment.POST_STOP]
    assert due(State.RUNNING, Event.REAPED, status=died(1)) == [Moment.POST_STOP, Moment.ON_FATAL]
    assert due(State.STARTED, Event.SPAWN_FAILED, failure=SpawnFailure("exec", "no")) == [Moment.ON_FATAL]


def test_without_hooks_nothing_is_due() -> None:
    before = row(State.STARTED)
    assert moments(before, Occurrence(Event.SPAWNED), happen(before, Event.SPAWNED, pid=7)[0]) == []


# ---- what they are told


def told(before: Process, event: Event, **facts_: object) -> Facts:
    after = happen(before, event, **facts_)[0]
    return facts(before, Occurrence(event, **facts_), after)  # type: ignore[arg-type]


def test_a_wish_is_told_with_whose_it_is() -> None:
    assert told(row(task=WEB), Event.START, by="uid 0") == Facts("", "", "start, by uid 0")
    running = row(State.RUNNING, task=WEB, pid=7)
    assert told(running, Event.STOP) == Facts("7", "", "stop")
    assert told(running, Event.UNHEALTHY, hint="it is deaf") == Facts("7", "", "unhealthy, it is deaf")


def test_an_end_is_told_with_its_code_and_cause() -> None:
    running = row(State.RUNNING, task=WEB, pid=7)
    assert told(running, Event.REAPED, status=died(3)) == Facts("7", "3", "exit code 3")
    stopping = row(State.STOPPING, task=WEB, pid=7, wanted_up=True)
    assert told(stopping, Event.REAPED, status=died(-15)) == Facts("7", "-15", "signal SIGTERM"), "begun anew already"
    started = row(State.STARTED, task=WEB)
    failure = SpawnFailure("hooks", "preStart failed")
    assert told(started, Event.SPAWN_FAILED, failure=failure) == Facts("", "", "preStart failed")


def test_a_hook_runs_as_its_task_but_for_its_command_and_output() -> None:
    web = task(
        "command: run\ninstances: 2\nworkingDirectory: /srv/{n}\nenvironment: {A: '{instance}'}\nuser: www\n"
        "stdout: /log\nstderr: syslog\nlimits: {core: 0}\nnice: 5\nkillMode: tree\n"
        "hooks: {preStop: [end, '{instance}']}"
    )
    process = row(State.STOPPING, task=web, n=2, pid=7)
    hook = hook_of(process, Moment.PRE_STOP)
    assert hook is not None
    start = hook_launch(process, Moment.PRE_STOP, hook, Facts("7", "", "stop, by uid 0"), {"PATH": "/bin"})
    assert (start.argv, start.directory, start.user) == (("end", "web_2"), "/srv/2", "www")
    assert (start.limits, start.nice, start.targets, start.tree) == ((("core", 0, 0),), 5, {"stdout": None}, False)
    assert start.environment == {
        "PATH": "/bin",
        "A": "web_2",
        "TASKMASTER_TASK": "web",
        "TASKMASTER_INSTANCE": "web_2",
        "TASKMASTER_N": "2",
        "TASKMASTER_EVENT": "preStop",
        "TASKMASTER_PID": "7",
        "TASKMASTER_EXIT": "",
        "TASKMASTER_CAUSE": "stop, by uid 0",
    }


def test_the_documents_name_every_variable() -> None:
    named = {name for entry in interface.HOOK_VARIABLES for name in entry.names}
    hook = dict(WEB.hooks)["preStart"]
    given = hook_launch(row(task=WEB), Moment.PRE_START, hook, Facts(), {}).environment
    assert given.keys() - {"TASKMASTER_TASK", "TASKMASTER_INSTANCE", "TASKMASTER_N"} == named


# ---- watch


@pytest.mark.parametrize(
    ("written", "watch"),
    [
        ("src", Watch(text("/start/src"))),
        ("['/etc/*.conf', 'a/../src/**']", Watch(text("/etc/*.conf", "/start/src/**"))),
        ("{paths: src}", Watch(text("/start/src"), 0.5, None)),
        ("{paths: [src], debounce: 2, signal: HUP, x-a: b}", Watch(text("/start/src"), 2.0, signal.SIGHUP)),
        ("{paths: src, debounce: 0}", Watch(text("/start/src"), 0.0, None)),
        ("", None),
    ],
)
def test_what_is_watched(written: str, watch: Watch | None) -> None:
    assert task(f"command: run\nwatch: {written}").watch == watch


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("[]", "wrong-shape"),
        ("{}", "wrong-shape"),
        ("{debounce: 1}", "wrong-shape"),
        ("{paths: []}", "wrong-shape"),
        ("{paths: src, recursive: true}", "unknown-key"),
        ("{paths: src, debounce: soon}", "bad-duration"),
        ("{paths: src, signal: HUPP}", "unknown-signal"),
        ("'src/{n}'", "bad-path"),
        ("'${NOBODY}/src'", "unset-variable"),
    ],
)
def test_what_cannot_be_watched_is_refused(written: str, problem: str) -> None:
    assert [each for _, each in found(f"tasks: {{web: {{command: run, watch: {written}}}}}")] == [problem]


def test_they_are_shown_as_one_would_write_them() -> None:
    assert as_written(task("command: run")) == {"hooks": {}, "watch": None}
    web = task("command: run\nhooks: {onReady: tell it}\nwatch: {paths: 'src/*', signal: HUP}")
    assert as_written(web) == {
        "hooks": {"onReady": {"command": "tell it", "timeout": 30.0}},
        "watch": {"paths": ["/start/src/*"], "debounce": 0.5, "signal": "SIGHUP"},
    }
    assert as_written(task("command: run\nwatch: src"))["watch"] == {"paths": ["/start/src"], "debounce": 0.5}
