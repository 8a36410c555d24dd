"""The restart policy with real deaths."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.integration.driver import Taskmaster, alive
from tests.waiting import until


def spawns(home: Path) -> int:
    path = home / "spawns"
    return path.read_text().count("x") if path.exists() else 0


def test_attempts_plus_one_spawns_then_fatal(tmp_path: Path) -> None:
    config = """
        tasks:
          bad:
            command: sh -c 'printf x >> spawns; echo because >&2; exit 3'
            autoLaunch: true
            restart: always
            restartsAttempts: 2
            restartDelay: 10ms
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        row = taskmaster.wait_for(bad="FATAL")["bad"]
        assert spawns(tmp_path) == 3
        assert (row["restarts"], row["exit"]) == (2, 3)
        told = taskmaster.ask("status")
        assert "bad: exit code 3 after " in told
        assert "attempt 3 of 3" in told
        assert "stderr: because" in told
        assert "type: logs bad --stderr" in told
        taskmaster.type("start bad")
        until(lambda: spawns(tmp_path) == 6, "a new count after a start by hand")


def test_a_killed_process_comes_back_at_once(tmp_path: Path) -> None:
    config = "tasks: {web: {command: sleep 1000, autoLaunch: true, restart: on-failure, successfulStartTimeout: 0}}"
    with Taskmaster(tmp_path, config) as taskmaster:
        pid = taskmaster.pid("web")
        os.kill(pid, signal.SIGKILL)
        row = until(lambda: (r := taskmaster.status()["web"])["status"] == "RUNNING" and r["pid"] != pid and r, "back")
        assert row["restarts"] == 1
        assert "ended unexpectedly: signal SIGKILL" in taskmaster.output


def test_never_means_never_whatever_the_end(tmp_path: Path) -> None:
    config = """
        defaults: {autoLaunch: true, restart: never}
        tasks:
          good: {command: "true"}
          expected: {command: sh -c 'exit 3', expectedExitCodes: [0, 3]}
          bad: {command: "false"}
          missing: {command: no-such-program-anywhere}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        rows = taskmaster.wait_for(good="EXITED", expected="EXITED", bad="FATAL", missing="FATAL")
        assert rows["missing"]["cause"] == "command 'no-such-program-anywhere' not found on PATH"
        assert {row["restarts"] for row in rows.values()} == {0}


def test_a_log_that_cannot_be_opened_is_a_failed_start_with_its_reason(tmp_path: Path) -> None:
    config = "tasks: {web: {command: touch ran, autoLaunch: true, stdout: nowhere/web.log}}"
    with Taskmaster(tmp_path, config) as taskmaster:
        row = taskmaster.wait_for(web="FATAL")["web"]
        assert "nowhere/web.log' cannot be opened: No such file or directory" in row["cause"]
        assert row["hint"] == f"mkdir -p {tmp_path}/nowhere"
        assert not (tmp_path / "ran").exists()


def test_a_directory_that_vanishes_between_two_starts(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    config = """
        tasks:
          web:
            command: sleep 1000
            autoLaunch: true
            restart: always
            successfulStartTimeout: 0
            restartDelay: 10ms
            workingDirectory: work
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        pid = taskmaster.pid("web")
        (tmp_path / "work").rmdir()
        os.kill(pid, signal.SIGKILL)
        row = taskmaster.wait_for(web="FATAL")["web"]
        assert row["cause"] == f"working directory '{tmp_path}/work': No such file or directory"
        (tmp_path / "work").mkdir()
        taskmaster.type("start web")
        taskmaster.wait_for(web="RUNNING")


def test_a_group_that_outlives_its_leader_is_ended_by_a_stop(tmp_path: Path) -> None:
    config = """
        tasks:
          tree:
            command: sh -c '(trap "" TERM; echo $$ > child; while :; do read x; done < fifo) & wait'
            autoLaunch: true
            gracefulStopTimeout: 500ms
    """
    os.mkfifo(tmp_path / "fifo")
    with Taskmaster(tmp_path, config) as taskmaster, (tmp_path / "fifo").open("w"):
        members = until(lambda: len(m := group(taskmaster.pid("tree"))) == 2 and m, "two of them")
        taskmaster.type("stop tree")
        taskmaster.wait_for(tree="STOPPED")
        assert not any(alive(pid) for pid in members)
        assert "did not stop in time, killing..." in taskmaster.output


def group(leader: int) -> list[int]:
    """The members of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat.rpartition(")")[2].split()[2]) == leader:
                found.append(int(entry.name))
    return found


def test_what_is_left_of_a_crashed_leader_does_not_live_beside_the_next(tmp_path: Path) -> None:
    config = """
        tasks:
          tree:
            command: sh -c 'sleep 1000; true'
            autoLaunch: true
            restart: always
            successfulStartTimeout: 0
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        pid = taskmaster.pid("tree")
        until(lambda: len(group(pid)) == 2, "sh and sleep")
        os.kill(pid, signal.SIGKILL)
        until(lambda: taskmaster.status()["tree"]["pid"] not in (None, pid), "the next one")
        assert group(pid) == []
