"""Probes over the death of the daemon, and its replacement."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

from tests.fault.test_guardian import back, kill_daemon
from tests.integration.client import Daemon
from tests.integration.driver import alive
from tests.waiting import until

QUIET = "command: sleep 1000, autoLaunch: true, restart: never"


def up(home: Path, config: str) -> Daemon:
    return Daemon(home, config, "-l", "taskmaster.log")


def becomes(daemon: Daemon, name: str, state: str) -> None:
    until(lambda: daemon.rows()[name]["status"] == state, f"{name} {state}, but: {daemon.log[-2000:]}")


def test_what_was_ready_stays_so_and_is_asked_on(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{{QUIET}, successfulStartTimeout: 0, readiness: {{exec: "echo >> ready.asked", period: 50ms}},
                 liveness: {{exec: "echo >> asked; test ! -e ill", period: 50ms, failures: 2}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "RUNNING")
        before = daemon.rows()
        back(daemon, kill_daemon(daemon))
        assert daemon.rows() == before
        assert (tmp_path / "ready.asked").read_text() == "\n", "once, by the first daemon"
        asked = (tmp_path / "asked").stat().st_size if (tmp_path / "asked").exists() else 0
        until(lambda: (tmp_path / "asked").exists() and (tmp_path / "asked").stat().st_size > asked, "another question")
        (tmp_path / "ill").touch()
        becomes(daemon, "web", "FATAL")
        assert "liveness: 2 failures in a row, the last: exit code 1" in daemon.log


def test_who_was_not_ready_yet_has_the_rest_of_its_time(tmp_path: Path) -> None:
    config = f"""
        tasks:
          late: {{{QUIET}, successfulStartTimeout: 3, readiness: {{exec: "exit 9", period: 50ms}}}}
          slow: {{{QUIET}, successfulStartTimeout: 60, readiness: {{exec: test -e ok, period: 50ms}}}}
          says: {{command: "echo no; read x < says.fifo; echo ready; exec sleep 1000", autoLaunch: true,
                  stdout: says.log, successfulStartTimeout: 60, readiness: {{log: ready}}}}
    """
    os.mkfifo(tmp_path / "says.fifo")
    with up(tmp_path, config) as daemon:
        until(lambda: daemon.log.count("(spawned)") == 3 and (tmp_path / "says.log").read_text(), "the first line")
        back(daemon, kill_daemon(daemon))
        assert daemon.rows()["slow"]["status"] == "STARTED"
        (tmp_path / "ok").touch()
        (tmp_path / "says.fifo").write_text("go\n")
        becomes(daemon, "slow", "RUNNING")
        becomes(daemon, "says", "RUNNING")
        becomes(daemon, "late", "FATAL")
        assert "not ready within 3s: exit code 9" in daemon.log
        assert daemon.log.count("(spawned)") == 3


def test_a_command_that_was_asking_is_ended_by_the_next_daemon(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{{QUIET}, successfulStartTimeout: 0,
                 liveness: {{exec: "echo $$ >> asked; sleep 1000", period: 50ms, timeout: 1000}}}}
    """
    with up(tmp_path, config) as daemon:
        asks = int(until(lambda: (path := tmp_path / "asked").exists() and path.read_text(), "a question"))
        back(daemon, kill_daemon(daemon))
        until(lambda: not alive(asks), "the end of the command")
        until(lambda: len((tmp_path / "asked").read_text().split()) == 2, "the next question")
        assert daemon.rows()["web"]["status"] == "RUNNING"


def test_an_upgrade_begins_them_anew(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{{QUIET}, successfulStartTimeout: 0, readiness: {{exec: "true", period: 50ms}},
                 liveness: {{exec: "echo $$ >> asked; test ! -e hang || exec sleep 1000", period: 50ms,
                            timeout: 1000}}}}
    """
    with up(tmp_path, config) as daemon:
        becomes(daemon, "web", "RUNNING")
        before = daemon.rows()
        (tmp_path / "hang").touch()
        until(lambda: (path := tmp_path / "asked").exists() and alive(int(path.read_text().split()[-1])), "a question")
        asks = int((tmp_path / "asked").read_text().split()[-1])
        done = daemon.ctl("upgrade")
        assert done.returncode == 0, done.stderr
        assert daemon.rows() == before
        until(lambda: not alive(asks), "the end of the command")
        until(lambda: int((tmp_path / "asked").read_text().split()[-1]) != asks, "the next question")


def test_a_shortage_of_descriptors_is_no_failure(tmp_path: Path) -> None:
    config = f"""
        tasks:
          web: {{{QUIET}, successfulStartTimeout: 0,
                 liveness: {{exec: "echo >> asked", period: 50ms, failures: 1}}}}
          net: {{{QUIET}, successfulStartTimeout: 0,
                 liveness: {{tcp: "{tmp_path}/control.sock", period: 50ms, failures: 1}}}}
    """
    with up(tmp_path, config) as daemon:
        until((tmp_path / "asked").exists, "a question")
        before = daemon.rows()
        resource.prlimit(daemon.daemon, resource.RLIMIT_NOFILE, (3, 4096))
        until(lambda: "web liveness: could not be asked: " in daemon.log, "what it says")
        until(lambda: "net liveness: could not be asked: " in daemon.log, "what it says")
        resource.prlimit(daemon.daemon, resource.RLIMIT_NOFILE, (4096, 4096))
        asked = (tmp_path / "asked").stat().st_size
        until(lambda: (tmp_path / "asked").stat().st_size > asked, "a question again")
        assert daemon.rows() == before
        assert "failure 1" not in daemon.log


def test_a_daemon_that_was_stopped_itself_holds_nothing_against_anybody(tmp_path: Path) -> None:
    """The limit of a question that was answered meanwhile is no failure: what is ready is served before what is due."""
    config = f"""
        tasks:
          web: {{{QUIET}, successfulStartTimeout: 0,
                 liveness: {{exec: "echo >> asked; read x < go", period: 50ms, timeout: 2, failures: 1}}}}
    """
    os.mkfifo(tmp_path / "go")
    with up(tmp_path, config) as daemon:
        until((tmp_path / "asked").exists, "a question")
        pid = daemon.daemon
        os.kill(pid, signal.SIGSTOP)
        (tmp_path / "go").write_text("on\n")
        deadline = os.times().elapsed + 2.5
        until(lambda: os.times().elapsed > deadline, "more than its limit")
        os.kill(pid, signal.SIGCONT)
        until(lambda: len((tmp_path / "asked").read_text()) == 2, "the next question")
        (tmp_path / "go").write_text("on\n")
        assert "failure" not in daemon.log
        assert daemon.ctl("stop", "web").returncode == 0
