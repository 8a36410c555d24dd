"""Hooks: the real program, with commands that wait, fail, hang and tell."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.integration.driver import ROOT, Taskmaster, alive
from tests.waiting import until

TELL = "echo $TASKMASTER_EVENT pid=$TASKMASTER_PID exit=$TASKMASTER_EXIT $TASKMASTER_CAUSE >> told"


def config(hooks: dict[str, Any], **keys: object) -> str:
    """One task `web` with these hooks."""
    task = {"command": "exec sleep 1000", "successfulStartTimeout": 0, "hooks": hooks, **keys}
    return json.dumps({"tasks": {"web": task}})


def waits_for(name: str) -> str:
    """A command that says that it is there, and goes on when somebody opens the FIFO `name` for writing."""
    return f"echo $$ > {name}.pid.new; mv {name}.pid.new {name}.pid; read x < {name}; exit $x"


def fifo(home: Path, name: str) -> Path:
    os.mkfifo(home / name)
    return home / name


def begun(home: Path, name: str) -> int:
    """The pid of such a command, when it is there; the next one makes the file anew."""
    path = home / f"{name}.pid"
    until(path.exists, f"the beginning of {name}")
    pid = int(path.read_text())
    path.unlink()
    return pid


def lines(home: Path) -> list[str]:
    path = home / "told"
    return path.read_text().splitlines() if path.exists() else []


def logged(taskmaster: Taskmaster, pattern: str) -> re.Match[str]:
    return until(lambda: re.search(pattern, taskmaster.log), f"{pattern!r} in {taskmaster.log[-2000:]}")


def test_each_moment_is_told_once_in_its_order(tmp_path: Path) -> None:
    words = ["preStart", "postStart", "onReady", "preStop", "postStop"]
    with Taskmaster(tmp_path, config(dict.fromkeys(words, TELL))) as taskmaster:
        taskmaster.type("start web")
        pid = taskmaster.wait_for(web="RUNNING")["web"]["pid"]
        until(lambda: len(lines(tmp_path)) == 3, "three hooks")
        taskmaster.type("stop web")
        until(lambda: len(lines(tmp_path)) == 5, "all hooks")
        by = r"by the shell \(uid \d+\)"
        for line, pattern in zip(
            lines(tmp_path),
            [
                rf"preStart pid= exit= start, {by}",
                rf"postStart pid={pid} exit= spawned",
                rf"onReady pid={pid} exit= spawned",
                rf"preStop pid={pid} exit= stop, {by}",
                rf"postStop pid={pid} exit=-15 signal SIGTERM after .*",
            ],
            strict=True,
        ):
            assert re.fullmatch(pattern, line), (pattern, lines(tmp_path))


def test_the_end_of_all_attempts_is_told(tmp_path: Path) -> None:
    hooks = {"onFatal": TELL, "postStop": TELL}
    keys = {"command": "exit 3", "restart": "on-failure", "restartsAttempts": 1, "restartDelay": 0}
    with Taskmaster(tmp_path, config(hooks, successfulStartTimeout=5, **keys)) as taskmaster:
        taskmaster.type("start web")
        until(lambda: len(lines(tmp_path)) == 3, "all hooks")
        shown = [re.sub(r"pid=\d+|after .*", "", line).split() for line in lines(tmp_path)]
        assert [(line[0], line[1]) for line in shown] == [
            ("postStop", "exit=3"),
            ("postStop", "exit=3"),
            ("onFatal", "exit=3"),
        ]
        taskmaster.wait_for(web="FATAL")


def test_a_hook_runs_as_its_task(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    hooks = {"preStart": "pwd > ../where; umask >> ../where; echo $KEY $TASKMASTER_INSTANCE >> ../where"}
    text = config(hooks, workingDirectory="there", umask="027", environment={"KEY": "s3cret"})
    with Taskmaster(tmp_path, text) as taskmaster:
        taskmaster.type("start web")
        taskmaster.wait_for(web="RUNNING")
        assert (tmp_path / "where").read_text().split() == [str(tmp_path / "there"), "0027", "s3cret", "web"]


# ---- preStart


def test_a_start_waits_and_nobody_else_does(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    with Taskmaster(tmp_path, config({"preStart": waits_for("gate")})) as taskmaster:
        taskmaster.type("start web")
        begun(tmp_path, "gate")
        row = taskmaster.status()["web"]
        assert (row["status"], row["pid"]) == ("STARTED", None)
        assert "is already running" in taskmaster.ask("start web")
        gate.write_text("0\n")
        taskmaster.wait_for(web="RUNNING")
        logged(taskmaster, "INFO web hook: preStart: done within")


def test_a_start_whose_hook_fails_is_a_failed_start_with_the_reason(tmp_path: Path) -> None:
    keys = {"restart": "on-failure", "restartsAttempts": 1, "restartDelay": 0}
    hook = "echo once >> ran; echo no database; exit 7"
    with Taskmaster(tmp_path, config({"preStart": hook}, **keys)) as taskmaster:
        taskmaster.type("start web")
        taskmaster.wait_for(web="FATAL")
        answer = taskmaster.ask("status web")
        assert re.search(r"web: preStart failed: exit code 7 after .*; it said: no database; attempt 2 of 2", answer)
        assert "see web.yaml:1" in answer
        assert (tmp_path / "ran").read_text() == "once\nonce\n", "once for each attempt"
        assert not re.search(r"\(spawned\)", taskmaster.log)


@pytest.mark.parametrize("hook", ["sleep 1000", "sleep 1000 & wait"])
def test_a_hook_that_takes_too_long_is_killed_with_all_of_its_group(tmp_path: Path, hook: str) -> None:
    with Taskmaster(
        tmp_path, config({"preStart": {"command": f"echo $$ > pid; {hook}", "timeout": "300ms"}})
    ) as taskmaster:
        taskmaster.type("start web")
        taskmaster.wait_for(web="FATAL")
        assert "preStart failed: not done within 0.3 s, killed" in taskmaster.ask("status")
        group = int((tmp_path / "pid").read_text())
        until(lambda: nobody_in(group), "the end of the group")


def nobody_in(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_one_that_is_not_there_is_a_failed_start(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config({"preStart": "no-such-program here"})) as taskmaster:
        taskmaster.type("start web")
        taskmaster.wait_for(web="FATAL")
        assert "preStart failed: not run: command 'no-such-program' not found on PATH" in taskmaster.ask("status")


def test_a_stop_meanwhile_ends_the_hook_and_a_restart_begins_it_anew(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    with Taskmaster(tmp_path, config({"preStart": waits_for("gate"), "postStop": TELL})) as taskmaster:
        taskmaster.type("start web")
        first = begun(tmp_path, "gate")
        assert "Process 'web' stopped gracefully" in taskmaster.ask("stop web")
        assert taskmaster.status()["web"]["status"] == "STOPPED"
        until(lambda: not alive(first), "the end of the hook")
        taskmaster.type("start web")
        second = begun(tmp_path, "gate")
        taskmaster.type("restart web")
        third = begun(tmp_path, "gate")
        until(lambda: not alive(second), "the end of the hook")
        assert alive(third)
        gate.write_text("0\n")
        taskmaster.wait_for(web="RUNNING")
        assert lines(tmp_path) == [], "no process has ended"


def test_a_shutdown_ends_it_too(tmp_path: Path) -> None:
    fifo(tmp_path, "gate")
    with Taskmaster(tmp_path, config({"preStart": waits_for("gate")})) as taskmaster:
        taskmaster.type("start web")
        pid = begun(tmp_path, "gate")
    until(lambda: not alive(pid), "the end of the hook")


# ---- preStop


def test_the_stop_signal_waits_and_the_grace_begins_with_it(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    keys = {"gracefulStopTimeout": 0.2, "command": "trap '' TERM; echo up; while :; do sleep 1000; done"}
    with Taskmaster(tmp_path, config({"preStop": waits_for("gate")}, **keys)) as taskmaster:
        taskmaster.type("start web")
        pid = taskmaster.wait_for(web="RUNNING")["web"]["pid"]
        taskmaster.type("stop web")
        begun(tmp_path, "gate")
        assert taskmaster.status()["web"]["status"] == "STOPPING"
        assert "SIGTERM" not in taskmaster.log
        gate.write_text("0\n")
        taskmaster.wait_for(web="STOPPED")
        assert re.search(rf"preStop is over\), SIGTERM to pid {pid}(?s:.*)grace is over\), SIGKILL", taskmaster.log)


def test_a_prestop_that_takes_too_long_or_fails_keeps_nobody_up(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, config({"preStop": {"command": "sleep 1000", "timeout": 0.2}})) as taskmaster:
        taskmaster.type("start web")
        taskmaster.wait_for(web="RUNNING")
        taskmaster.type("stop web")
        taskmaster.wait_for(web="STOPPED")
        logged(taskmaster, r"ERROR web hook: preStop failed: not done within 0.2 s, killed")
        assert "SIGKILL" not in taskmaster.log
        taskmaster.write(config({"preStop": "echo no balancer >&2; exit 1"}))
        assert "no restart" in taskmaster.ask("reload"), "hooks are live"
        taskmaster.type("start web")
        taskmaster.wait_for(web="RUNNING")
        taskmaster.type("stop web")
        taskmaster.wait_for(web="STOPPED")
        logged(taskmaster, r"ERROR web hook: preStop failed: exit code 1 after .*; it said: no balancer")


def test_a_start_waits_for_a_prestop_that_outlives_its_process(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    hook = f"kill $TASKMASTER_PID; test -e once && exit; : > once; {waits_for('gate')}"
    with Taskmaster(tmp_path, config({"preStop": hook})) as taskmaster:
        taskmaster.type("start web")
        first = taskmaster.wait_for(web="RUNNING")["web"]["pid"]
        taskmaster.type("restart web")
        begun(tmp_path, "gate")
        until(lambda: not alive(first), "the end of the process")
        taskmaster.wait_for(web="STARTED")
        assert taskmaster.status()["web"]["pid"] is None
        gate.write_text("0\n")
        assert taskmaster.wait_for(web="RUNNING")["web"]["pid"] != first


def test_asked_twice_to_leave_it_waits_for_no_hook(tmp_path: Path) -> None:
    fifo(tmp_path, "gate")
    hooks = {"preStop": waits_for("gate"), "postStop": TELL}
    with Taskmaster(tmp_path, config(hooks, autoLaunch=True), "-n") as taskmaster:
        until(lambda: "(spawned)" in taskmaster.errors, "the process")
        taskmaster.process.send_signal(signal.SIGTERM)
        hook = begun(tmp_path, "gate")
        taskmaster.process.send_signal(signal.SIGTERM)
        assert taskmaster.process.wait(20) == 0
        assert not alive(hook)


# ---- those that nothing waits for


def test_they_run_one_after_another_and_a_failure_is_told(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    hooks = {"postStart": waits_for("gate"), "onReady": f"{TELL}; echo oh no; exit 4"}
    with Taskmaster(tmp_path, config(hooks)) as taskmaster:
        taskmaster.type("start web")
        begun(tmp_path, "gate")
        taskmaster.wait_for(web="RUNNING")
        assert lines(tmp_path) == []
        gate.write_text("0\n")
        logged(taskmaster, r"ERROR web hook: onReady failed: exit code 4 after .*; it said: oh no")
        assert taskmaster.status()["web"]["status"] == "RUNNING"


def test_too_many_that_wait_are_told(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    keys = {"command": "exit 0", "restart": "always", "restartsAttempts": 40, "restartDelay": 0}
    with Taskmaster(tmp_path, config({"postStop": waits_for("gate")}, successfulStartTimeout=5, **keys)) as taskmaster:
        taskmaster.type("start web")
        begun(tmp_path, "gate")
        logged(taskmaster, "ERROR web hook: postStop not run: 10 hooks of it wait already")
        taskmaster.type("stop web")
        taskmaster.write(config({}, **keys))
        taskmaster.ask("reload")
        gate.write_text("0\n")
        logged(taskmaster, "INFO web hook: postStop: done")


def test_the_daemon_leaves_when_they_are_done(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    with Taskmaster(tmp_path, config({"postStop": f"{waits_for('gate')}"})) as taskmaster:
        taskmaster.type("start web")
        taskmaster.wait_for(web="RUNNING")
        taskmaster.type("exit")
        begun(tmp_path, "gate")
        gate.write_text("0\n")
        assert taskmaster.process.wait(20) == 0
        logged(taskmaster, "INFO web hook: postStop: done(?s:.*)taskmaster end")


# ---- the example of docs/hooks.md, as it stands there


def test_the_example_of_the_documentation_does_what_it_says(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "hooks.md").read_text(), re.DOTALL)
    assert found
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "a.html").write_text("one")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def served() -> bytes:
        try:
            with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    with Taskmaster(tmp_path, found[1], PORT=str(port)) as taskmaster:
        until(lambda: served() == b"one", "the page")
        until((tmp_path / "public" / "healthy").exists, "postStart")
        (tmp_path / "settings" / "b.html").write_text("two")
        until(lambda: served() == b"onetwo", "the page anew")
        taskmaster.type("stop web")
        taskmaster.wait_for(web="STOPPED")
        until(lambda: len((tmp_path / "ends.txt").read_text().splitlines()) == 2, "two ends")
        assert not (tmp_path / "public" / "healthy").exists()
