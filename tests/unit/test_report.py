"""What people read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.build import died, happen, row, task
from tm.core.diagram import page
from tm.core.effects import Send
from tm.core.errors import Place
from tm.core.launch import SpawnFailure
from tm.core.probe import Probe
from tm.core.process import Occurrence, Process
from tm.core.report import (
    ailment,
    cause,
    cells,
    lifetime,
    lingering,
    place,
    ready,
    size,
    table,
    told,
    transition,
    uptime,
)
from tm.core.task import Restart
from tm.core.timers import Instant
from tm.core.transitions import Event, State

NOW = Instant(1135.0)
NGINX = task("nginx", command="/usr/local/bin/nginx")
WORKER = task("worker", command="python3 worker.py", instances=2, restart=Restart.ALWAYS)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m0s"), (135, "2m15s"), (3605, "1h0m5s"), (90061, "1d1h1m1s"), (-1, "0s")],
)
def test_uptime(seconds: float, text: str) -> None:
    assert uptime(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.018, "0.02s"), (4.12, "4.1s"), (135, "2m15s")])
def test_lifetime(seconds: float, text: str) -> None:
    assert lifetime(seconds) == text


def test_the_table_of_the_manual() -> None:
    rows = [
        row(State.RUNNING, task=NGINX, pid=1234, spawned_at=Instant(1000)),
        row(State.RUNNING, task=WORKER, n=1, pid=1235, spawned_at=Instant(1000), restarts=1),
        row(State.STOPPED, task=WORKER, n=2),
    ]
    assert table(rows, [cells(each, NOW) for each in rows], None, False) == [
        "Task      Status   PID   Uptime  Restarts  Command",
        "nginx     RUNNING  1234  2m15s   0         /usr/local/bin/nginx",
        "worker_1  RUNNING  1235  2m15s   1         python3 worker.py",
        "worker_2  STOPPED  -     -       0         python3 worker.py",
    ]


def test_an_empty_table_is_its_header() -> None:
    assert table([], [], None, False) == ["Task  Status  PID  Uptime  Restarts  Command"]


def test_commands_are_cut_to_the_terminal_and_stay_one_line() -> None:
    long = row(task=task("web", command="run \x1b[2J\n" + "x" * 200))
    lines = table([long], [cells(long, NOW)], 80, False)
    assert len(lines) == 2
    assert len(lines[1]) == 80
    assert lines[1].endswith("...")
    assert len(table([long], [cells(long, NOW)], None, False)[1]) == len("web   STOPPED  -    -       0         ") + 100
    assert len(table([long], [cells(long, NOW)], 5, False)[1]) == len("web   STOPPED  -    -       0         ") + 10


def test_colours_by_state_and_a_bold_header() -> None:
    given_up = row(State.FATAL)
    header, line = table([given_up], [cells(given_up, NOW)], 80, True)
    assert header == "\x1b[1;37mTask  Status  PID  Uptime  Restarts  Command\x1b[0m"
    assert line == "web   \x1b[31mFATAL\x1b[0m   -    -       0         run"


def crashed(**changes: object) -> Process:
    process = happen(row(task=replace(WORKER, **changes)), Event.START)[0]  # type: ignore[arg-type]
    return happen(happen(process, Event.SPAWNED, pid=7)[0], Event.REAPED, 100.5, status=died(3), hint="a fact")[0]


def test_what_ails_a_process_that_is_tried_again() -> None:
    process = crashed(places={"command": Place("/etc/web.yaml", 7, 5)}, restart_delay_s=2.0)
    line = ailment(process, Instant(100.5), "Traceback\x07")
    assert line.startswith("worker_1: exit code 3 after 0.50s; attempt 2 of 4; a fact; next attempt in ")
    assert line.endswith("s; stderr: Traceback\\x07; see web.yaml:7; type: logs worker_1 --stderr")


def test_what_ails_a_process_that_could_not_be_started() -> None:
    process = happen(row(task=task(places={"stdout": Place("/etc/web.yaml", 9, 5)})), Event.START)[0]
    failure = SpawnFailure("stdout", "stdout log '/x/y' cannot be opened", "mkdir -p /x")
    process = happen(process, Event.SPAWN_FAILED, failure=failure)[0]
    assert ailment(process, NOW, "") == (
        "web: stdout log '/x/y' cannot be opened; mkdir -p /x; see web.yaml:9; type: start web"
    )


def test_what_is_slow_to_end() -> None:
    killing = row(State.KILLING, task=WORKER, pid=7, since=Instant(88))
    assert lingering(killing, Instant(100), "") == "worker_1: KILLING for 12s, pid 7 is still there"
    assert lingering(killing, Instant(100), "why").endswith(" is still there: why")


def test_endless_attempts_have_no_total() -> None:
    assert "; attempt 2; " in ailment(crashed(restarts_attempts=0), NOW, "")


def test_causes_and_places_where_there_are_none() -> None:
    assert cause(row()) == "never started"
    assert cause(row(State.FATAL, exit_status=died(1))) == "exit code 1"
    assert place(task(places={}), "command") == "defaults"


def says(before: Process, event: Event, at: float = 101.0, **facts: object) -> str | None:
    what = Occurrence(event, **facts)  # type: ignore[arg-type]
    return told(before, what, happen(before, event, at, **facts)[0])


def test_the_words_of_the_shell() -> None:
    up = row(State.RUNNING, task=WORKER, pid=7, spawned_at=Instant(90), wanted_up=True)
    stopping, killing = (
        replace(up, state=State.STOPPING, wanted_up=False),
        replace(up, state=State.KILLING, wanted_up=False),
    )
    assert says(row(State.STARTED), Event.SPAWNED, pid=1240) == "Process 'web' started with PID 1240"
    assert says(stopping, Event.REAPED, status=died(0)) == "Process 'worker_1' stopped gracefully"
    assert says(stopping, Event.TIMEOUT) == "Process 'worker_1' did not stop in time, killing..."
    assert says(killing, Event.REAPED, status=died(-9)) == "Process 'worker_1' was killed"
    assert says(row(State.BACKOFF), Event.STOP) == "Process 'web' stopped gracefully"
    assert says(up, Event.STOP) is None
    assert says(row(), Event.START) is None


def test_the_words_about_an_end_nobody_asked_for() -> None:
    up = row(State.RUNNING, task=WORKER, pid=7, spawned_at=Instant(90))
    assert says(up, Event.REAPED, status=died(1)) == (
        "Process 'worker_1' ended unexpectedly: exit code 1 after 11.0s; starting it again"
    )
    once = replace(up, task=replace(WORKER, restart=Restart.NEVER))
    assert says(once, Event.REAPED, status=died(0)) == "Process 'worker_1' exited: exit code 0 after 11.0s"
    assert says(once, Event.REAPED, status=died(-9), hint="out of memory") == (
        "Process 'worker_1' failed: signal SIGKILL after 11.0s; out of memory; type: status worker_1"
    )
    assert says(once, Event.REAPED, status=died(2)) == (
        "Process 'worker_1' failed: exit code 2 after 11.0s; type: status worker_1"
    )
    early = replace(up, state=State.STARTED, spawned_at=Instant(100), task=replace(WORKER, restart_delay_s=0.5))
    assert str(says(early, Event.REAPED, status=died(1))).startswith(
        "Process 'worker_1' failed to start: exit code 1 after 1.0s; attempt 2 of 4 in 0."
    )


def test_the_words_about_a_fault() -> None:
    up = row(State.RUNNING, task=WORKER, pid=7, spawned_at=Instant(90), wanted_up=True)
    assert says(up, Event.UNHEALTHY, hint="no answer") == "Process 'worker_1' is being ended: no answer"
    ending = happen(up, Event.UNHEALTHY, 101, hint="no answer")[0]
    assert says(ending, Event.UNHEALTHY, hint="no answer") is None
    assert says(ending, Event.REAPED, 102, status=died(0)) == (
        "Process 'worker_1' ended unexpectedly: exit code 0 after 12.0s; no answer; starting it again"
    )
    once = replace(ending, task=replace(WORKER, restart=Restart.NEVER))
    assert says(once, Event.REAPED, 102, status=died(0)) == (
        "Process 'worker_1' failed: exit code 0 after 12.0s; no answer; type: status worker_1"
    )
    what = Occurrence(Event.UNHEALTHY, hint="no answer")
    assert transition(up, what, ending, [Send(7, 15)]) == (
        "RUNNING -> STOPPING (unhealthy), no answer, SIGTERM to pid 7"
    )


def test_the_words_about_one_that_is_not_ready_in_time() -> None:
    which = replace(WORKER, readiness=Probe("tcp"))
    begun = row(State.STARTED, task=which, pid=7, spawned_at=Instant(90), wanted_up=True)
    assert (ready(begun), ready(replace(begun, state=State.RUNNING)), ready(row())) == (False, True, None)
    what = Occurrence(Event.TIMEOUT, hint="not ready within 5s: no answer")
    ending = happen(begun, Event.TIMEOUT, 95, hint=what.hint)[0]
    assert says(begun, Event.TIMEOUT, 95, hint=what.hint) == (
        "Process 'worker_1' is being ended: not ready within 5s: no answer"
    )
    assert transition(begun, what, ending, [Send(7, 15)]) == (
        "STARTED -> STOPPING (it is not ready), not ready within 5s: no answer, SIGTERM to pid 7"
    )


def test_the_words_about_an_age() -> None:
    up = row(State.RUNNING, task=WORKER, pid=7, spawned_at=Instant(90), wanted_up=True)
    what = Occurrence(Event.AGED, hint="maxAge: it is 10s old")
    assert says(up, Event.AGED, hint=what.hint) == "Process 'worker_1' is being restarted: maxAge: it is 10s old"
    ending = happen(up, Event.AGED, hint=what.hint)[0]
    assert says(ending, Event.AGED, hint=what.hint) is None
    assert transition(up, what, ending, [Send(7, 15)]) == (
        "RUNNING -> STOPPING (aged), maxAge: it is 10s old, SIGTERM to pid 7"
    )


@pytest.mark.parametrize(
    ("in_bytes", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1.5KiB"), (500 << 20, "500MiB"), (3 << 29, "1.5GiB")],
)
def test_size(in_bytes: int, text: str) -> None:
    assert size(in_bytes) == text


def test_the_words_about_a_machine_that_has_too_little() -> None:
    which = replace(WORKER, restart_delay_s=3.0, places={"command": Place("/etc/web.yaml", 7, 5)})
    up = happen(row(task=which), Event.START)[0]
    failure = SpawnFailure("fork", "no new process", "raise the limit", shortage=True)
    assert str(says(up, Event.SPAWN_FAILED, failure=failure)).startswith(
        "Process 'worker_1' could not be started: no new process; raise the limit; trying again in "
    )
    bare = replace(failure, hint="")
    assert "started: no new process; trying again in " in str(says(up, Event.SPAWN_FAILED, failure=bare))
    after = happen(replace(up, retries=1), Event.SPAWN_FAILED, 101, failure=failure)[0]
    assert ailment(after, Instant(101), "").startswith("worker_1: no new process; raise the limit; next attempt in ")
    assert transition(up, Occurrence(Event.SPAWN_FAILED, failure=failure), after, []) == (
        "STARTED -> BACKOFF (spawn-failed), no new process, raise the limit"
    )


def test_the_words_of_the_event_log() -> None:
    process = happen(row(State.STARTED), Event.SPAWNED, pid=7)[0]
    assert transition(row(State.STARTED), Occurrence(Event.SPAWNED, pid=7), process, []) == "STARTED (spawned), pid 7"
    up = row(State.RUNNING, task=WORKER, pid=7, spawned_at=Instant(90))
    stopping = happen(up, Event.STOP)[0]
    assert transition(up, Occurrence(Event.STOP), stopping, [Send(7, 15)]) == (
        "RUNNING -> STOPPING (stop), SIGTERM to pid 7"
    )
    ended = Occurrence(Event.REAPED, status=died(1), hint="a fact")
    assert transition(up, ended, happen(up, Event.REAPED, 101, status=died(1), hint="a fact")[0], []) == (
        "RUNNING -> BACKOFF (reaped), pid 7, exit code 1 after 11.0s, a fact"
    )
    cycled = happen(happen(up, Event.RESTART)[0], Event.REAPED, 101, status=died(0))[0]
    assert transition(replace(up, state=State.STOPPING), ended._replace(status=died(0), hint=""), cycled, []) == (
        "STOPPING -> STARTED (reaped), pid 7, exit code 0"
    )
    failed = Occurrence(Event.SPAWN_FAILED, failure=SpawnFailure("exec", "not found"))
    after = happen(row(State.STARTED), Event.SPAWN_FAILED, failure=failed.failure)[0]
    assert transition(row(State.STARTED), failed, after, []) == "STARTED -> FATAL (spawn-failed), not found"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.STARTED, "STARTED -> RUNNING (it stayed up)"),
        (State.BACKOFF, "BACKOFF -> STARTED (the wait is over)"),
        (State.STOPPING, "STOPPING -> KILLING (the grace is over)"),
    ],
)
def test_the_words_of_a_deadline(state: State, words: str) -> None:
    before = row(state, pid=7, spawned_at=Instant(90))
    assert transition(before, Occurrence(Event.TIMEOUT), happen(before, Event.TIMEOUT)[0], []) == words


def test_the_words_of_a_signal_that_was_held_back() -> None:
    before = row(State.STOPPING, pid=7, held=True)
    after, sent = happen(before, Event.TIMEOUT)
    assert transition(before, Occurrence(Event.TIMEOUT), after, [each for each in sent if isinstance(each, Send)]) == (
        "STOPPING (preStop is over), SIGTERM to pid 7"
    )


def test_an_expected_end_that_is_followed_by_a_start_is_no_surprise() -> None:
    up = row(State.RUNNING, task=WORKER, pid=7, spawned_at=Instant(90))
    assert says(up, Event.REAPED, status=died(0)) == (
        "Process 'worker_1' ended: exit code 0 after 11.0s; starting it again"
    )


def test_the_diagram_knows_every_state_and_edge() -> None:
    text = page()
    for state in State:
        assert f"| {state.value} |" in text
    assert "    RUNNING --> BACKOFF: reaped [a restart is due of what is not oneshot]" in text
    assert "| STARTED | yes | yes | start | | refused | Process 'x' is already running |" in text
