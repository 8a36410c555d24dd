"""Logs as an operator has them: rotated, cleared, opened anew, with times and as JSON, by the real program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.driver import PROGRAM, SYSTEM_PYTHON, Taskmaster, environment
from tests.rpc import Rpc
from tests.waiting import until

CONFIG = """
    defaults: {successfulStartTimeout: 0, logMaxSize: 1000, logKeep: 3}
    tasks:
      count: {command: "seq 2000; exec sleep 1000", stdout: count.log}
      memory: {command: "seq 20; exec sleep 1000"}
      stamped: {command: "echo one; echo two; exec sleep 1000", stdout: stamped.log, logTimestamps: true}
      json: {command: "echo one; exec sleep 1000", stdout: "{instance}.json", logFormat: json, instances: 2}
"""


def test_reading_goes_on_in_what_was_rotated(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        taskmaster.type("start count")
        until(lambda: (tmp_path / "count.log.3").exists(), "rotated files")
        until(lambda: taskmaster.ask("logs count 1").splitlines()[-1:] == ["2000"], "the last line")
        assert taskmaster.ask("logs count 500").splitlines() == [str(number) for number in range(1501, 2001)]
        assert sorted(path.name for path in tmp_path.glob("count.log*")) == [
            "count.log", "count.log.1", "count.log.2", "count.log.3",
        ]  # fmt: skip


def test_logs_are_cleared(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        taskmaster.type("start count memory")
        until(lambda: taskmaster.ask("logs count 1").splitlines()[-1:] == ["2000"], "the last line")
        until(lambda: taskmaster.ask("logs memory 1").splitlines()[-1:] == ["20"], "the last line")
        assert taskmaster.ask("clear-logs count memory") == "Cleared the logs of 2 process(es).\n"
        assert [path.name for path in tmp_path.glob("count.log*")] == ["count.log"]
        assert (tmp_path / "count.log").read_text() == ""
        assert taskmaster.ask("logs count") == "No logs available for this task.\n"
        taskmaster.type("stop count")
        assert "cannot be cleared" not in taskmaster.ask("clear-logs all")
        assert "Task 'cuont' not found. Did you mean 'count'?" in taskmaster.ask("clear-logs cuont")


def test_logs_are_opened_anew_by_command(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        taskmaster.type("start stamped")
        until(lambda: (tmp_path / "stamped.log").exists(), "a log")
        (tmp_path / "stamped.log").rename(tmp_path / "old")
        assert taskmaster.ask("reopen-logs") == "Logs opened anew.\n"
        assert (tmp_path / "stamped.log").exists()


def test_lines_have_a_time_or_are_objects(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        taskmaster.type("start stamped json")
        stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
        until(lambda: re.fullmatch(rf"{stamp} one\n{stamp} two\n", taskmaster.ask("logs stamped")), "two lines")
        for name in ("json_1", "json_2"):
            until(lambda name=name: (tmp_path / f"{name}.json").read_text(), "a line")
            found = json.loads((tmp_path / f"{name}.json").read_text())
            (row,) = json.loads(taskmaster.ask(f"status --json {name}"))
            assert {key: found[key] for key in ("task", "instance", "pid", "stream", "text")} == {
                "task": "json",
                "instance": name,
                "pid": row["pid"],
                "stream": "stdout",
                "text": "one",
            }


@pytest.mark.skipif(os.geteuid() != 0 or SYSTEM_PYTHON is None, reason="only root can start it as somebody else")
def test_a_child_of_another_user_can_open_dev_stdout(tmp_path: Path) -> None:
    config = """
        tasks:
          other: {command: "echo heard > /dev/stdout; echo too > /dev/stderr; exec sleep 1000", user: nobody,
                  workingDirectory: /, stdout: out.log, stderr: err.log, autoLaunch: true, successfulStartTimeout: 0}
    """
    with Taskmaster(tmp_path, config):
        until(lambda: (tmp_path / "out.log").exists() and (tmp_path / "out.log").read_text() == "heard\n", "a line")
        until(lambda: (tmp_path / "err.log").read_text() == "too\n", "a line")


def test_a_flood_into_the_terminals_own_pipe(tmp_path: Path) -> None:
    """/dev/stdout is no file that could be spliced to, or rotated."""
    program = "import os\nfor n in range(20000): os.write(1, b'line %d\\n' % n)"
    task = {"command": [sys.executable, "-c", program], "stdout": "/dev/stdout", "autoLaunch": True, "logMaxSize": 1000}
    (tmp_path / "web.yaml").write_text(json.dumps({"tasks": {"flood": task}}))
    command = [*PROGRAM, "-n", "-s", "c.sock", "--state-dir", "state", "web.yaml"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as daemon:
        assert daemon.stdout is not None
        for number in range(20_000):
            assert daemon.stdout.readline() == b"line %d\n" % number
        daemon.terminate()


def test_followers_hear_of_what_a_reload_adds(tmp_path: Path) -> None:
    config = """
        defaults: {successfulStartTimeout: 0, autoLaunch: true}
        tasks:
          tick: {command: "while :; do echo $TASKMASTER_N; sleep 0.1; done", instances: 1}
          other: {command: sleep 1000}
    """
    with Taskmaster(tmp_path, config, "-n") as taskmaster:
        until((tmp_path / "control.sock").exists, "a socket")
        with Rpc(tmp_path / "control.sock") as rpc:
            logs = rpc.call("logs.follow", words=["tick"])["subscription"]
            events = rpc.call("events.subscribe", names=["tick"])["subscription"]
            taskmaster.write(config.replace("instances: 1", "instances: 2"))
            assert rpc.call("reload")["outcome"] == 0
            missing = {(logs, "tick_1 | 1"), (logs, "tick_2 | 2"), (events, "tick_2"), (events, "change of tick_2")}
            while missing:
                message = rpc.heard.pop(0) if rpc.heard else rpc.next()
                params = message["params"]
                assert params["subscription"] in (logs, events)
                assert "other" not in (params.get("who"), params.get("name"))
                shown = params.get("text") if message["method"] == "log" else params.get("who", "change of ")
                missing.discard((params["subscription"], str(shown) + str(params.get("name", ""))))
