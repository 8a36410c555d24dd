"""Process groups: who is signalled, who is waited for, and that nobody is left."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.fault.kernel import instances, nothing_left, processes
from tests.integration.driver import Taskmaster, alive
from tests.waiting import until

QUICK, FULL = "", "nice: 0,"
both_ways = pytest.mark.parametrize("way", [QUICK, FULL], ids=["vfork", "fork"])


def pid_in(path: Path) -> int:
    """The pid that a process writes into a file, once it is there."""
    return int(until(lambda: path.exists() and path.read_text().strip(), f"a pid in {path}"))


def test_a_group_is_stopped_whole(tmp_path: Path) -> None:
    config = """
        tasks:
          web:
            command: (sleep 1000 & echo $! > inner; sleep 1000) & echo $! > outer; sleep 1000; true
            autoLaunch: true
            gracefulStopTimeout: 1000
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        kin = [pid_in(tmp_path / "inner"), pid_in(tmp_path / "outer"), taskmaster.pid("web")]
        assert all(alive(pid) for pid in kin)
        taskmaster.type("stop web")
        taskmaster.wait_for(web="STOPPED")
        assert not any(alive(pid) for pid in kin)
        assert "KILLING" not in taskmaster.log


def test_a_process_is_stopped_alone(tmp_path: Path) -> None:
    config = """
        tasks:
          web:
            command: sleep 1000 & echo $! > child; sleep 1001; true
            autoLaunch: true
            killMode: process
            gracefulStopTimeout: 1000
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        child = pid_in(tmp_path / "child")
        try:
            pid = taskmaster.pid("web")
            taskmaster.type("stop web")
            taskmaster.wait_for(web="STOPPED")
            assert not alive(pid)
            assert alive(child), "killMode: process leaves the others"
            taskmaster.type("start web")
            again = until(lambda: taskmaster.status()["web"]["pid"], "started beside what was left")
            assert again != pid
            assert alive(child)
            taskmaster.leave()
        finally:
            for each in processes(tmp_path):
                os.kill(each.pid, signal.SIGKILL)


@both_ways
def test_a_stop_right_after_a_start_never_waits_for_the_kill(tmp_path: Path, way: str) -> None:
    """The signal may find a child anywhere between fork, exec and its first own instruction."""
    config = f"tasks: {{web: {{command: sleep 1000, {way} gracefulStopTimeout: 1000}}}}"
    with Taskmaster(tmp_path, config) as taskmaster:
        for turn in range(1, 31):
            taskmaster.type("start web\nstop web")
            until(lambda wanted=turn: taskmaster.log.count("STOPPING -> STOPPED") == wanted, f"stop number {turn}")
            assert instances(tmp_path) == []
        assert "KILLING" not in taskmaster.log
        assert "ignored" not in taskmaster.log


@both_ways
def test_what_ignores_the_stop_is_killed_at_the_end_of_the_grace_and_never_beside_the_next(
    tmp_path: Path, way: str
) -> None:
    config = f"""
        tasks:
          web:
            command:
              - sh
              - -c
              - |
                [ -e old ] && kill -0 "$(cat old)" && echo beside >> beside
                sh -c 'trap "" TERM; echo $$ > old.new; mv old.new old; exec sleep 1000' &
                exec sleep 1000
            {way.rstrip(",")}
            autoLaunch: true
            gracefulStopTimeout: 300ms
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        for turn in range(1, 4):
            old = pid_in(tmp_path / "old")
            leader = taskmaster.pid("web")
            taskmaster.type("restart web")
            until(lambda last=leader: taskmaster.status()["web"]["pid"] not in (None, last), "started again")
            until(lambda last=old: pid_in(tmp_path / "old") != last, "its own stubborn child")
            assert not alive(old)
            assert instances(tmp_path) == ["web"]
            assert taskmaster.log.count("STOPPING -> KILLING") == turn
        assert not (tmp_path / "beside").exists()
        assert f"SIGKILL to pid {leader}" in taskmaster.log
    nothing_left(tmp_path)


def test_a_group_that_goes_in_peace_after_its_leader_is_not_waited_for_until_the_kill(tmp_path: Path) -> None:
    """The leader ends at once, its child a little later and by itself: the stop ends with the child."""
    os.mkfifo(tmp_path / "gate")
    config = """
        tasks:
          web:
            command:
              - sh
              - -c
              - |
                sh -c 'trap "read word < gate; exit 0" TERM; echo $$ > child; while :; do sleep 0.1; done' &
                exec sleep 1000
            autoLaunch: true
            gracefulStopTimeout: 1000
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        child = pid_in(tmp_path / "child")
        leader = taskmaster.pid("web")
        taskmaster.type("stop web")
        until(lambda: not alive(leader), "the end of the leader")
        assert taskmaster.status()["web"]["status"] == "STOPPING"
        with (tmp_path / "gate").open("w") as gate:
            gate.write("go\n")
        taskmaster.wait_for(web="STOPPED")
        assert not alive(child)
        assert "KILLING" not in taskmaster.log


def test_a_descendant_in_a_session_of_its_own_holds_a_pipe_and_nobody_up(tmp_path: Path) -> None:
    config = """
        tasks:
          web:
            command: (setsid sh -c 'echo $$ > stray; exec sleep 1000' 2> /dev/null &); until [ -e stray ]; do :; done
            autoLaunch: true
            gracefulStopTimeout: 1000
    """
    taskmaster = Taskmaster(tmp_path, config)
    with taskmaster:
        stray = pid_in(tmp_path / "stray")
        try:
            taskmaster.wait_for(web="EXITED")
            shown = taskmaster.ask("show web")
            assert "1 pipe(s) of ended processes are still held by descendants" in shown
            assert taskmaster.leave() == 0
            assert alive(stray), "another session is not its group"
        finally:
            os.kill(stray, signal.SIGKILL)


def test_what_a_held_pipe_still_says_is_in_the_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    config = """
        tasks:
          web:
            command: (setsid sh -c 'read word < gate; echo $word' &); echo first
            stdout: web.log
            autoLaunch: true
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.wait_for(web="EXITED")
        with (tmp_path / "gate").open("w") as gate:
            gate.write("later\n")
        until(lambda: (tmp_path / "web.log").read_text() == "first\nlater\n", "the last words")
        until(lambda: "held by descendants" not in taskmaster.ask("show web"), "the pipe is given back")


def test_a_frozen_process_stops(tmp_path: Path) -> None:
    config = """
        tasks:
          web: {command: sleep 1000 & sleep 1000; true, autoLaunch: true, gracefulStopTimeout: 1000}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: len(processes(tmp_path)) == 3, "shell and two children")
        pid = taskmaster.pid("web")
        os.killpg(pid, signal.SIGSTOP)
        until(lambda: state_of(pid) == "T", "frozen")
        taskmaster.type("stop web")
        taskmaster.wait_for(web="STOPPED")
        assert "KILLING" not in taskmaster.log
        assert processes(tmp_path) == []


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_an_exit_leaves_nothing_whatever_its_children_are_like(tmp_path: Path) -> None:
    config = """
        defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0, gracefulStopTimeout: 300ms}
        tasks:
          good: {command: sleep 1000, instances: 5}
          family: {command: sleep 1000 & sleep 1000 & sleep 1000; true}
          deaf: {command: 'trap "" TERM; sleep 1000 & sleep 1000; true'}
          orphans: {command: "(sleep 1000 &); sleep 1000; true"}
          frozen: {command: 'kill -STOP $$; sleep 1000'}
          crashing: {command: 'sleep 1000 & exit 1', restartsAttempts: 0, restartDelay: 10ms}
          hasty: {command: "false", restartsAttempts: 0, restartDelay: 1h}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: len(re.findall("crashing state: BACKOFF -> STARTED", taskmaster.log)) > 2, "some crashes")
        until(lambda: {"good_5", "family", "deaf", "orphans", "frozen"} <= set(instances(tmp_path)), "all there")
        assert taskmaster.leave() == 0
        assert processes(tmp_path) == []
        assert taskmaster.log.rstrip().endswith("taskmaster end: leaving")


def test_a_second_request_while_the_first_is_still_being_carried_out_kills_the_rest_too(tmp_path: Path) -> None:
    config = """
        tasks:
          stubborn:
            command: ["sh", "-c", "trap '' TERM; echo up; exec sleep 1000"]
            instances: 200
            autoLaunch: true
            gracefulStopTimeout: 1h
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        rows = taskmaster.status()
        until(lambda: taskmaster.ask("logs all").count("up") == len(rows), "all ignore the signal")
        pids = [row["pid"] for row in taskmaster.status().values()]
        taskmaster.signal(signal.SIGTERM)
        until(lambda: "shutdown: asked for" in taskmaster.log, "the first request")
        taskmaster.signal(signal.SIGTERM)
        assert taskmaster.process.wait(30) == 0
        assert not any(alive(pid) for pid in pids)
