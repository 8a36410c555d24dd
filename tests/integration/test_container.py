"""Container mode: process 1, the end that critical tasks bring about, and the end when nothing is left to do."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.integration.client import Daemon
from tests.integration.contained import Contained, needs_a_namespace
from tests.integration.driver import ROOT, daemons_of, run
from tests.waiting import until

STUBBORN = (
    '{command: "trap : TERM; echo deaf; while :; do sleep 1000 & wait; done", stdout: deaf.log, autoLaunch: true, '
    "gracefulStopTimeout: 1000}"
)
"""It does not heed SIGTERM."""


def ended(daemon: Daemon) -> int:
    """The exit code, when it has left by itself."""
    return daemon.process.wait(30)


def begin(home: Path, tasks: str, *flags: str, kind: type[Daemon] = Daemon) -> Daemon:
    """One whose tasks may have ended it before anybody can ask."""
    gate = home / "gate"
    if not gate.exists():
        os.mkfifo(gate)
    return kind(
        home, f"    defaults: {{successfulStartTimeout: 0}}\n    tasks:\n{tasks}", "-l", "taskmaster.log", *flags
    )


def open_gate(home: Path) -> None:
    """Let those go on that wait for it with `read x < gate`."""
    (home / "gate").write_text("\n")


# ---- critical


@pytest.mark.parametrize(
    ("policy", "command", "code"),
    [
        ("", "exit 7", 7),
        ("", "kill -9 $$", 137),
        ("", "exit 0", 0),
        ("expectedExitCodes: [3]", "exit 3", 3),
        ("expectedExitCodes: [3]", "exit 0", 1),
        ("expectedExitCodes: [SIGUSR1]", "kill -USR1 $$", 138),
    ],
)
def test_taskmaster_ends_as_its_critical_task_does(tmp_path: Path, policy: str, command: str, code: int) -> None:
    tasks = f"""
      web: {{command: "read x < gate; {command}", autoLaunch: true, critical: true, {policy}}}
      other: {{command: sleep 1000, autoLaunch: true}}
"""
    with begin(tmp_path, tasks) as daemon:
        other = daemon.pid("other")
        open_gate(tmp_path)
        assert ended(daemon) == code
        assert "critical process 'web' has ended for good" in daemon.log
        assert f"SIGTERM to pid {other}, by the end of its tasks" in daemon.log, "the others are stopped in order"


def test_attempts_come_first_and_what_cannot_be_started_is_127(tmp_path: Path) -> None:
    tasks = """
      web: {command: /nowhere/at/all, critical: true, restart: always, restartsAttempts: 2, restartDelay: 0.01}
      other: {command: sleep 1000, autoLaunch: true}
"""
    with begin(tmp_path, tasks) as daemon:
        daemon.ctl("--no-wait", "start", "web")
        assert ended(daemon) == 127
        assert len(re.findall(r"web state: \w+ -> STARTED", daemon.log)) == 3


def test_what_an_operator_stops_is_no_end(tmp_path: Path) -> None:
    tasks = """
      web: {command: "read x < gate; exit 4", autoLaunch: true, critical: true, restart: always, restartDelay: 600}
      many: {command: "read x < gate; exit 5", instances: 2, autoLaunch: true, critical: true}
"""
    with begin(tmp_path, tasks) as daemon:
        assert daemon.ctl("stop", "web", "many").returncode == 0
        assert daemon.ctl("restart", "web").returncode == 0
        assert daemon.process.poll() is None
        assert daemon.state("many_2") == "STOPPED"
        daemon.write("tasks: {}\n")
        assert daemon.ctl("reload").returncode == 0, "nor what the file no longer has"
        assert daemon.ctl("version").returncode == 0


def test_the_first_end_decides_and_what_the_shutdown_ends_does_not(tmp_path: Path) -> None:
    tasks = """
      web: {command: "read x < gate; exit 7", autoLaunch: true, critical: true}
      other: {command: "trap 'exit 9' TERM; echo up; while :; do sleep 1000 & wait; done", stdout: up.log,
              autoLaunch: true, critical: true}
"""
    with begin(tmp_path, tasks) as daemon:
        until(lambda: (tmp_path / "up.log").read_text(), "a trap that is set")
        open_gate(tmp_path)
        assert ended(daemon) == 7
        assert "exit code 9" in daemon.log


def test_a_shutdown_that_was_asked_for_is_an_orderly_end(tmp_path: Path) -> None:
    tasks = """
      web: {command: "trap 'exit 9' TERM; echo up; while :; do sleep 1000 & wait; done", stdout: up.log,
            autoLaunch: true, critical: true}
"""
    with begin(tmp_path, tasks) as daemon:
        until(lambda: (tmp_path / "up.log").read_text(), "a trap that is set")
        daemon.ctl("shutdown")
        assert ended(daemon) == 0


def test_it_is_a_live_key(tmp_path: Path) -> None:
    tasks = "      web: {command: 'read x < gate; exit 6', autoLaunch: true, critical: %s}\n"
    with begin(tmp_path, tasks % "false") as daemon:
        pid = daemon.pid("web")
        daemon.write("    defaults: {successfulStartTimeout: 0}\n    tasks:\n" + tasks % "true")
        assert "update   web: critical changed, no restart" in daemon.ctl("reload").stdout
        assert daemon.pid("web") == pid
        open_gate(tmp_path)
        assert ended(daemon) == 6


def test_a_daemon_that_is_killed_while_it_leaves_is_followed_by_one_that_knows_the_code(tmp_path: Path) -> None:
    tasks = f"""
      web: {{command: "read x < gate; exit 7", autoLaunch: true, critical: true}}
      deaf: {STUBBORN}
"""
    with begin(tmp_path, tasks) as daemon:
        until(lambda: (tmp_path / "deaf.log").read_text(), "one that is deaf")
        deaf = daemon.pid("deaf")
        open_gate(tmp_path)
        until(lambda: "RUNNING -> STOPPING" in daemon.log, "the shutdown")
        killed = daemon.daemon
        os.kill(killed, signal.SIGKILL)
        until(lambda: next((pid for pid in daemons_of(daemon.process.pid) if pid != killed), 0), "the next one")
        os.killpg(deaf, signal.SIGKILL)
        assert ended(daemon) == 7


def test_what_ends_while_no_daemon_is_there_ends_the_next_one(tmp_path: Path) -> None:
    tasks = "      web: {command: 'read x < gate; exit 7', autoLaunch: true, critical: true}\n"
    with begin(tmp_path, tasks) as daemon:
        killed = daemon.daemon
        os.kill(daemon.process.pid, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        open_gate(tmp_path)
        os.kill(daemon.process.pid, signal.SIGCONT)
        assert ended(daemon) == 7


# ---- when nothing is left to do

ONCE = '      web: {command: "read x < gate", autoLaunch: true}\n      never: {command: sleep 1000}\n'


def test_it_leaves_when_nothing_is_left_to_do_where_it_was_told_to(tmp_path: Path) -> None:
    with begin(tmp_path, ONCE, "--exit-when-done") as daemon:
        assert daemon.ctl("version").returncode == 0
        open_gate(tmp_path)
        assert ended(daemon) == 0
        assert "nothing is left to do; taskmaster exits with 0" in daemon.log


def test_it_does_not_by_itself(tmp_path: Path) -> None:
    with begin(tmp_path, ONCE) as daemon:
        open_gate(tmp_path)
        until(lambda: daemon.state("web") == "EXITED", "its end")
        assert daemon.ctl("version").returncode == 0


def test_a_failure_among_what_is_done_is_told_by_the_code(tmp_path: Path) -> None:
    with begin(tmp_path, ONCE + "      bad: {command: exit 3, autoLaunch: true}\n", "--exit-when-done") as daemon:
        until(lambda: daemon.state("bad") == "FATAL", "its end")
        open_gate(tmp_path)
        assert ended(daemon) == 1


def test_what_never_ran_is_due_or_was_stopped_holds_it(tmp_path: Path) -> None:
    tasks = """
      never: {command: sleep 1000}
      later: {command: "exit 1", restart: always, restartDelay: 600, restartDelayMax: 600, successfulStartTimeout: 5}
      stopped: {command: sleep 1000}
      once: {command: "true"}
"""
    with begin(tmp_path, tasks, "--exit-when-done") as daemon:
        assert daemon.ctl("version").returncode == 0, "nothing has run"
        daemon.ctl("start", "stopped", "later")
        assert daemon.state("later") == "BACKOFF"
        daemon.ctl("start", "once")
        assert daemon.ctl("stop", "stopped").returncode == 0
        assert daemon.state("once") == "EXITED", "something is due"
        assert daemon.ctl("stop", "later").returncode == 0
        assert daemon.ctl("version").returncode == 0, "an operator has stopped something"
        daemon.write("    tasks:\n" + "".join(line for line in tasks.splitlines(True) if "stopped" not in line))
        daemon.ctl("reload")
        assert daemon.ctl("version").returncode == 0
        daemon.write('    tasks:\n      once: {command: "true"}\n')
        daemon.ctl("reload")
        assert ended(daemon) == 0, "what held it is no longer in the file"


# ---- process 1


@needs_a_namespace
def test_it_is_process_1_and_ends_with_its_critical_task(tmp_path: Path) -> None:
    tasks = "      web: {command: 'read x < gate; exit 7', autoLaunch: true, critical: true}\n"
    with begin(tmp_path, tasks, kind=Contained) as daemon:
        assert daemon.ctl("pid").stdout == "1\n"
        open_gate(tmp_path)
        assert ended(daemon) == 7


@needs_a_namespace
def test_process_1_leaves_when_nothing_is_left_to_do_unless_it_is_told_not_to(tmp_path: Path) -> None:
    with begin(tmp_path, ONCE, kind=Contained) as daemon:
        open_gate(tmp_path)
        assert ended(daemon) == 0
    with begin(tmp_path, ONCE, "--no-exit-when-done", kind=Contained) as daemon:
        open_gate(tmp_path)
        until(lambda: daemon.state("web") == "EXITED", "its end")
        assert daemon.ctl("version").returncode == 0


@needs_a_namespace
def test_a_thousand_orphans_are_reaped(tmp_path: Path) -> None:
    """Half of them are left by a task, half by a stranger, who has no other parent than process 1."""
    tasks = f"""
      web: {{command: sleep 1000, autoLaunch: true}}
      orphans: {{command: "{sys.executable} {ROOT}/tests/programs/orphans.py 500"}}
"""
    with begin(tmp_path, tasks, kind=Contained) as daemon:
        assert isinstance(daemon, Contained)
        before = set(daemon.inside())
        daemon.run_inside(f"{sys.executable} {ROOT}/tests/programs/orphans.py 500")
        assert daemon.ctl("start", "orphans").returncode == 0
        until(lambda: daemon.state("orphans") == "EXITED", "their parent's end")
        until(lambda: set(daemon.inside()) <= before, "the end of all orphans", 60)
        assert daemon.zombies() == []
        assert daemon.ctl("version").returncode == 0


@needs_a_namespace
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_mean_to_process_1_what_they_mean_everywhere(tmp_path: Path, signum: signal.Signals) -> None:
    tasks = """
      web: {command: "trap 'echo got it' HUP USR2 WINCH; echo up; while :; do sleep 1000 & wait; done",
            stdout: web.log, autoLaunch: true}
"""
    with begin(tmp_path, tasks, kind=Contained) as daemon:
        until(lambda: (tmp_path / "web.log").exists() and (tmp_path / "web.log").read_text(), "traps that are set")
        for each, word in ((signal.SIGHUP, "nothing changed, by SIGHUP"), (signal.SIGUSR2, "logs opened anew")):
            daemon.signal(each)
            until(lambda: word in daemon.log, word)  # noqa: B023
        daemon.signal(signal.SIGWINCH)
        daemon.signal(signum)
        assert ended(daemon) == 0
        assert f"asked for by {signum.name}" in daemon.log
        assert (tmp_path / "web.log").read_text() == "up\n", "no signal is passed on"


@needs_a_namespace
def test_a_daemon_that_is_killed_comes_back_below_process_1(tmp_path: Path) -> None:
    tasks = "      web: {command: 'read x < gate; exit 7', autoLaunch: true, critical: true}\n"
    with begin(tmp_path, tasks, kind=Contained) as daemon:
        before, killed = daemon.rows(), daemon.daemon
        os.kill(killed, signal.SIGKILL)
        assert daemon.rows() == before
        open_gate(tmp_path)
        assert ended(daemon) == 7


@needs_a_namespace
def test_process_1_cannot_leave_anything_running(tmp_path: Path) -> None:
    with begin(tmp_path, "      web: {command: sleep 1000, autoLaunch: true}\n", kind=Contained) as daemon:
        done = daemon.ctl("shutdown", "--keep")
        assert (done.returncode, "processes end with process 1" in done.stderr) == (1, True), done
        assert daemon.state("web") == "RUNNING"


@needs_a_namespace
def test_process_1_has_left_before_it_is_killed(tmp_path: Path) -> None:
    """A runtime of containers waits for ten seconds."""
    with begin(tmp_path, f"      deaf: {STUBBORN}\n", kind=Contained) as daemon:
        until(lambda: (tmp_path / "deaf.log").read_text(), "one that is deaf")
        daemon.signal(signal.SIGTERM)
        assert ended(daemon) == 0
        assert "not done within stopTimeout, 8 s: killing what is left" in daemon.log


def test_the_end_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    tasks = f"      deaf: {STUBBORN}\n    taskmaster: {{stopTimeout: 100ms}}\n"
    with begin(tmp_path, tasks) as daemon:
        until(lambda: (tmp_path / "deaf.log").read_text(), "one that is deaf")
        daemon.signal(signal.SIGTERM)
        assert ended(daemon) == 0
        assert "not done within stopTimeout, 0.1 s: killing what is left" in daemon.log
        assert "SIGKILL to pid" in daemon.log


# ---- the example


@needs_a_namespace
def test_the_example_serves_and_ends_with_its_web_server(tmp_path: Path) -> None:
    example = ROOT / "etc" / "container"
    entry = re.search(r"(?m)^ENTRYPOINT (\[.*\])$", (example / "Dockerfile").read_text())
    assert entry is not None
    program, form, *flags, path = json.loads(entry[1])
    assert (program, form, path) == ("taskmaster", "-n", "/etc/taskmaster.yaml")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with Contained(tmp_path, (example / "taskmaster.yaml").read_text(), *flags, PORT=port) as daemon:
        daemon.wait_output(rf"(?m)^web \| Serving HTTP on \S+ port {port} ")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/web.yaml", timeout=20) as answer:
            assert b"critical: true" in answer.read()
        daemon.wait_output(r'(?m)^web \| ! .*"GET /web.yaml HTTP/1.1" 200')
        daemon.wait_output(r"(?m)^clock \| .*\d:\d")
        assert daemon.ctl("signal", "KILL", "web").returncode == 0
        until(lambda: daemon.rows()["web"]["restarts"], "the next one: it has not ended for good")


# ---- the command line


@pytest.mark.parametrize("form", [["-d"], []])
def test_an_echo_needs_a_stdout_that_is_free(tmp_path: Path, form: list[str]) -> None:
    (tmp_path / "web.yaml").write_text("tasks: {}\n")
    done = run(tmp_path, *form, "--echo", "web.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "taskmaster: --echo is for the foreground without a shell, where stdout is free: type -n as well.\n"
    )
