"""A taskmaster with nothing to do does nothing: the kernel counts no wake-up and no tick."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.fault.kernel import instances, number, processes, ticks
from tests.integration.driver import PROGRAM, Taskmaster, environment
from tests.rpc import Rpc
from tests.waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

QUIET = """
    defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0}
    tasks: {quiet: {command: sleep 100000, instances: 20}}
"""
LOOKED_AT_S = 10
CALM = 20


def wake_ups(pid: int) -> int:
    return number(pid, "voluntary_ctxt_switches")


def is_asleep(pid: int) -> None:
    """Wait until what came before has been digested: in so many looks, one after the other, it has not been awake."""
    looks = [-1]

    def same_as_before() -> bool:
        looks.append(wake_ups(pid))
        return len(looks) > CALM and len(set(looks[-CALM:])) == 1

    until(same_as_before, "asleep")


def begun(guardian: int) -> None:
    """Wait until it is the guardian, which it tells the daemon."""
    title = Path(f"/proc/{guardian}/cmdline")
    until(lambda: title.read_bytes().startswith(b"taskmaster: guardian"), "a guardian")


def sleeps_on(pid: int, seconds: float = LOOKED_AT_S) -> None:
    """Over that time it is not awake once. The only place of these tests where time has to pass."""
    is_asleep(pid)
    before = wake_ups(pid), ticks(pid)
    deadline = time.monotonic() + seconds
    until(lambda: time.monotonic() >= deadline, "the end of looking", timeout_s=2 * seconds)
    assert (wake_ups(pid), ticks(pid)) == before


def all_started(home: Path) -> None:
    until(lambda: len(instances(home)) == 20, "20 children")


def test_with_commands_on_a_pipe(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, QUIET) as taskmaster:
        all_started(tmp_path)
        sleeps_on(taskmaster.daemon)
        woken = wake_ups(taskmaster.daemon)
        taskmaster.ask("status")
        assert wake_ups(taskmaster.daemon) > woken, "the count counts"


def test_without_a_shell(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, QUIET, "-n") as taskmaster:
        all_started(tmp_path)
        begun(taskmaster.process.pid)
        sleeps_on(taskmaster.daemon)
        sleeps_on(taskmaster.process.pid)


def test_with_a_schedule_that_is_due_some_day(tmp_path: Path) -> None:
    leap = "leap: {command: run, schedule: '0 0 29 2 *', autoLaunch: false, restart: never}"
    with Taskmaster(tmp_path, QUIET.replace("tasks: {", f"tasks: {{{leap}, "), "-n") as taskmaster:
        all_started(tmp_path)
        begun(taskmaster.process.pid)
        sleeps_on(taskmaster.daemon)


def test_beside_lines_that_are_not_finished(tmp_path: Path) -> None:
    """They stay in their pipes, which are readable and yet nothing to be woken for; clients are silent."""
    config = """
        defaults: {autoLaunch: true, successfulStartTimeout: 0}
        tasks:
          half: {command: "printf 'half a line'; exec sleep 100000", instances: 10, stdout: shared.log}
          json: {command: "printf 'half a line'; exec sleep 100000", instances: 10, stdout: "{n}.log", logFormat: json}
    """
    with Taskmaster(tmp_path, config, "-n") as taskmaster:
        all_started(tmp_path)
        begun(taskmaster.process.pid)
        with Rpc(tmp_path / "control.sock") as rpc:
            rpc.call("logs.follow", words=["half"])
            sleeps_on(taskmaster.daemon)
        assert (tmp_path / "shared.log").read_bytes() == b""
        taskmaster.signal(signal.SIGTERM)
        assert taskmaster.process.wait(20) == 0
        assert (tmp_path / "shared.log").read_bytes() == b"half a line\n" * 10


def test_beside_children_that_have_closed_their_outputs_and_live_on(tmp_path: Path) -> None:
    """A pipe at its end is readable for ever: into memory, a file, one that is shared, one whose lines have a form."""
    config = """
        defaults: {autoLaunch: true, successfulStartTimeout: 0, command: "echo bye; exec >&- 2>&-; exec sleep 100000"}
        tasks:
          memory: {instances: 5}
          file: {instances: 5, stdout: "{instance}.log"}
          shared: {instances: 5, stdout: shared.log, stderr: stdout}
          json: {instances: 5, stdout: json.log, logFormat: json}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        all_started(tmp_path)
        until(lambda: len(list(Path(f"/proc/{taskmaster.daemon}/fd").iterdir())) < 40, "the pipes are given back")
        sleeps_on(taskmaster.daemon)
        assert {row["status"] for row in taskmaster.status().values()} == {"RUNNING"}
        assert taskmaster.ask("logs memory_3") == "bye\n"
        assert (tmp_path / "shared.log").read_text() == "bye\n" * 5
        assert (tmp_path / "file_5.log").read_text() == "bye\n"


def test_after_its_children_have_been_killed_stopped_and_reloaded(tmp_path: Path) -> None:
    """No timer, no watch and no retry is left over from what happened."""
    with Taskmaster(tmp_path, QUIET) as taskmaster:
        all_started(tmp_path)
        for row in list(taskmaster.status().values())[:5]:
            os.kill(row["pid"], signal.SIGKILL)
        until(lambda: [row["restarts"] for row in taskmaster.status().values()] == [1] * 5 + [0] * 15, "five are back")
        taskmaster.type("stop quiet_3")
        taskmaster.wait_for(quiet_3="STOPPED")
        taskmaster.write(QUIET.replace("20}", "18}"))
        taskmaster.type("reload")
        until(lambda: len(processes(tmp_path)) == 17, "18 less the one that was stopped")
        sleeps_on(taskmaster.daemon)


@contextmanager
def at_a_prompt(home: Path) -> Iterator[pexpect.spawn[str]]:
    """A taskmaster at a terminal of its own, with GNU readline."""
    (home / "web.yaml").write_text(QUIET)
    variables = environment(home) | {"TERM": "xterm", "INPUTRC": "/dev/null"}
    arguments = [*PROGRAM[1:], "--state-dir", str(home / "state"), "--socket", "control.sock", "web.yaml"]
    terminal = pexpect.spawn(
        PROGRAM[0], arguments, cwd=str(home), env=variables, encoding="utf-8", timeout=20, dimensions=(24, 100)
    )
    try:
        yield terminal
    finally:
        terminal.close(force=True)


def test_at_a_prompt_with_a_half_typed_line(tmp_path: Path) -> None:
    with at_a_prompt(tmp_path) as terminal:
        terminal.expect_exact("Taskmaster> ")
        all_started(tmp_path)
        terminal.send("versi")
        terminal.expect_exact("versi")
        sleeps_on(terminal.pid)
        terminal.send("on\r")
        terminal.expect("taskmaster [0-9]")
        terminal.sendline("exit")
        terminal.expect(pexpect.EOF)
        terminal.wait()
        assert terminal.exitstatus == 0
