"""Time that jumps and time that is missing: other wall clocks, a suspended machine, a daemon that was stopped."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fault.kernel import instances, nothing_left, processes
from tests.fault.test_bad_input import is_an_event_log
from tests.fault.test_stress import freeze, thaw
from tests.integration.client import Daemon
from tests.integration.driver import Taskmaster, alive
from tests.waiting import until

LIBRARY = next(iter([*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]), None)
"""What makes a program see another wall clock; the machine's own is not touched."""
DEAF = """'trap "" TERM; echo deaf; while :; do sleep 1000; done'"""
EACH = f"""
        defaults: {{autoLaunch: true, restart: always, successfulStartTimeout: 0, environment: {{LD_PRELOAD: ""}}}}
        taskmaster: {{restartFloor: 10ms}}
        tasks:
          quiet: {{command: sleep 1000}}
          proving: {{command: sleep 1001, successfulStartTimeout: 1h}}
          waiting: {{command: "false", successfulStartTimeout: 1h, restartDelay: 1h, restartDelayMax: 1h}}
          deaf: {{command: {DEAF}, gracefulStopTimeout: 1h}}
          flaps: {{command: [sleep, "0.01"]}}"""
"""One that does nothing, one that waits for each of its deadlines, and one that restarts."""
YEAR = timedelta(days=365)


def heard(taskmaster: Taskmaster, name: str) -> None:
    """Wait until a deaf one ignores its stop signal."""
    until(lambda: taskmaster.ask(f"logs {name}") == "deaf\n", f"{name} is deaf")


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
def test_a_wall_clock_that_jumps_a_year_forth_and_back_changes_nothing_but_the_stamps(tmp_path: Path) -> None:
    config = f"""{EACH}
          killed: {{command: {DEAF}, gracefulStopTimeout: 50ms}}
    """
    clock = tmp_path / "clock"
    set_to(clock, 0)
    began = time.monotonic()
    with Taskmaster(tmp_path, config, **faked(clock)) as taskmaster:
        heard(taskmaster, "deaf")
        taskmaster.type("stop deaf")
        before = taskmaster.wait_for(quiet="RUNNING", proving="STARTED", waiting="BACKOFF", deaf="STOPPING")
        for days in (365, -365, 0):
            set_to(clock, days)
            taskmaster.ask("reload")
            stamp = datetime.fromisoformat(taskmaster.log.splitlines()[-1].split()[0])
            assert abs(stamp - datetime.now(UTC) - days * YEAR / 365) < timedelta(hours=1), "the log goes on"
            rows = taskmaster.status()
            for name in ("quiet", "proving", "waiting", "deaf"):
                facts = ("status", "pid", "restarts", "retries")
                assert [rows[name][fact] for fact in facts] == [before[name][fact] for fact in facts], name
            assert 0 <= rows["quiet"]["uptime"] < time.monotonic() - began
            timers_run(taskmaster)
        os.kill(before["quiet"]["pid"], signal.SIGKILL)
        until(lambda: taskmaster.status()["quiet"]["restarts"] == 1, "quiet is back")
        os.killpg(before["deaf"]["pid"], signal.SIGKILL)
        taskmaster.wait_for(deaf="STOPPED")
        is_an_event_log(taskmaster.log)
    nothing_left(tmp_path)


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
def test_a_machine_that_was_suspended_for_a_day_goes_on_where_it_was(tmp_path: Path) -> None:
    """All stand still, guardian, daemon and what they keep, and a day later all go on. As the kernel has it, that day
    is in the wall clock and not in the time that deadlines are made of.
    """
    clock = tmp_path / "clock"
    set_to(clock, 0)
    with Daemon(tmp_path, EACH, "-l", "taskmaster.log", **faked(clock)) as daemon:
        until(lambda: daemon.ctl("logs", "deaf").stdout == "deaf\n", "it is deaf")
        daemon.ctl("--no-wait", "stop", "deaf")
        states = {"quiet": "RUNNING", "proving": "STARTED", "waiting": "BACKOFF", "deaf": "STOPPING"}
        until(lambda: states.items() <= {n: row["status"] for n, row in daemon.rows().items()}.items(), "all there")
        before, pids = daemon.rows(), (daemon.process.pid, daemon.daemon)
        asleep = [*pids, *(each.pid for each in processes(tmp_path))]
        for pid in asleep:
            with suppress(ProcessLookupError):  # one that flaps
                os.kill(pid, signal.SIGSTOP)
        until(state_is(pids[1], "T"), "standing still")
        set_to(clock, 1)
        for pid in reversed(asleep):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        flapped = before["flaps"]["restarts"]
        until(lambda: daemon.rows()["flaps"]["restarts"] > flapped + 2, "restarts go on")
        assert (daemon.process.pid, daemon.daemon) == pids
        assert {name: daemon.rows()[name] for name in states} == {name: before[name] for name in states}
        os.kill(pids[1], signal.SIGKILL)
        assert {name: daemon.rows()[name] for name in states} == {name: before[name] for name in states}
        stamp = datetime.fromisoformat(daemon.log.splitlines()[-1].split()[0])
        assert abs(stamp - datetime.now(UTC) - timedelta(days=1)) < timedelta(hours=1)
        os.killpg(before["deaf"]["pid"], signal.SIGKILL)
        until(lambda: daemon.rows()["deaf"]["status"] == "STOPPED", "its end")
        is_an_event_log(daemon.log)
    nothing_left(tmp_path)


def faked(clock: Path) -> dict[str, str]:
    """The environment of a program whose wall clock follows the file `clock`, and nothing else of time does."""
    library = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    return library | {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


def set_to(clock: Path, days: int) -> None:
    """At once, since the file is read each time that the program asks for the time."""
    clock.with_suffix(".new").write_text(f"{days:+}d\n")
    clock.with_suffix(".new").replace(clock)


def timers_run(taskmaster: Taskmaster) -> None:
    """A restart and a grace come to their end."""
    flaps = taskmaster.status()["flaps"]["restarts"]
    until(lambda: taskmaster.status()["flaps"]["restarts"] > flaps + 2, "restarts go on")
    heard(taskmaster, "killed")
    taskmaster.type("stop killed")
    taskmaster.wait_for(killed="STOPPED")
    taskmaster.type("clear-logs killed\nstart killed")
    taskmaster.wait_for(killed="RUNNING")


def test_a_daemon_that_was_stopped_itself_knows_what_it_missed_and_wrongs_nobody(tmp_path: Path) -> None:
    """Every deadline passes while it is stopped. Who died before it looks again is dead, not killed or promoted."""
    config = f"""
        defaults: {{autoLaunch: true, restart: always, successfulStartTimeout: 0, gracefulStopTimeout: 3}}
        tasks:
          many: {{command: sleep 1000, instances: 20}}
          quiet: {{command: sleep 1001}}
          done: {{command: sleep 1002, restart: on-failure, expectedExitCodes: [TERM]}}
          goes: {{command: {DEAF}}}
          stays: {{command: {DEAF}}}
          early: {{command: sleep 1003, restart: never, successfulStartTimeout: 3, autoLaunch: false}}
          proven: {{command: sleep 1004, successfulStartTimeout: 3, autoLaunch: false}}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        for name in ("goes", "stays"):
            heard(taskmaster, name)
        taskmaster.type("stop goes stays\nstart early proven")
        rows = taskmaster.wait_for(goes="STOPPING", stays="STOPPING", early="STARTED", proven="STARTED")
        freeze(taskmaster)
        past = time.monotonic() + 3
        missed = [rows[name]["pid"] for name in (*(f"many_{n}" for n in range(1, 21)), "goes", "early")]
        for pid in missed:
            os.killpg(pid, signal.SIGKILL)
        os.kill(rows["done"]["pid"], signal.SIGTERM)
        until(lambda: not any(map(alive, [*missed, rows["done"]["pid"]])), "they are dead")
        taskmaster.signal(signal.SIGHUP)
        until(lambda: time.monotonic() > past, "every deadline is over")
        thaw(taskmaster)
        running = {f"many_{n}": "RUNNING" for n in range(1, 21)}
        states = {"goes": "STOPPED", "stays": "STOPPED", "early": "FATAL", "proven": "RUNNING", "done": "EXITED"}
        after = taskmaster.wait_for(**running, **states, quiet="RUNNING")
        assert {after[name]["restarts"] for name in running} == {1}
        assert (after["quiet"]["pid"], after["proven"]["pid"]) == (rows["quiet"]["pid"], rows["proven"]["pid"])
        assert after["quiet"]["uptime"] > 3
        assert "early state: STARTED -> FATAL (reaped)" in taskmaster.log
        assert "goes state: STOPPING -> STOPPED (reaped)" in taskmaster.log
        assert len(re.findall("-> KILLING", taskmaster.log)) == 1
        assert "stays state: STOPPING -> KILLING (the grace is over)" in taskmaster.log
        assert instances(tmp_path) == sorted([*running, "quiet", "proven"])
    nothing_left(tmp_path)


def test_a_stopped_child_that_is_deaf_as_well_is_killed_after_its_grace(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{command: {DEAF}, autoLaunch: true, gracefulStopTimeout: 200ms, successfulStartTimeout: 0}}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        heard(taskmaster, "web")
        pid = taskmaster.pid("web")
        os.killpg(pid, signal.SIGSTOP)
        until(state_is(pid, "T"), "stopped")
        taskmaster.type("stop web")
        taskmaster.wait_for(web="STOPPED")
        assert f"STOPPING -> KILLING (the grace is over), SIGKILL to pid {pid}" in taskmaster.log
        assert not alive(pid)


def state_is(pid: int, letter: str) -> Callable[[], Any]:
    return lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == letter
