"""Reload: by SIGHUP and by command, whole or not at all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.integration.driver import Taskmaster, alive
from tests.waiting import until

BEFORE = """
    defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0}
    tasks:
      kept: {command: sleep 1001}
      changed: {command: sleep 1002}
      removed: {command: sleep 1003}
      scaled: {command: sleep 1004, instances: 3}
      policy: {command: sleep 1005}
"""
AFTER = """
    defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0}
    tasks:
      kept: {command: sleep 1001}
      changed: {command: sleep 2002}
      scaled: {command: sleep 1004, instances: 2}
      policy: {command: sleep 1005, gracefulStopTimeout: 1}
      added: {command: sleep 1006}
"""


def pids(taskmaster: Taskmaster) -> dict[str, int]:
    """The pids of all, once each has one."""

    def all_up() -> dict[str, int] | None:
        found = {name: row["pid"] for name, row in taskmaster.status().items()}
        return None if None in found.values() else found

    return until(all_up, "all up")


def test_a_reload_touches_only_what_changed(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, BEFORE) as taskmaster:
        before = pids(taskmaster)
        taskmaster.write(AFTER)
        assert "Newer on disk than what runs" in taskmaster.ask("status")
        plan = taskmaster.ask("reload --dry-run").splitlines()
        assert plan == [
            "stop     removed: no longer in the file",
            "restart  changed: command changed",
            "update   policy: gracefulStopTimeout changed, no restart",
            "scale    scaled: 3 -> 2 instances",
            "add      added: start 1 instance",
        ]
        assert pids(taskmaster) == before
        taskmaster.signal(signal.SIGHUP)
        taskmaster.wait_output("Configuration reloaded.\n")
        until(
            lambda: set(pids(taskmaster)) == {"kept", "changed", "scaled_1", "scaled_2", "policy", "added"},
            "the new set",
        )
        after = until(
            lambda: (p := pids(taskmaster)) and p["changed"] not in (None, before["changed"]) and p, "restarted"
        )
        for name in ("kept", "scaled_1", "scaled_2", "policy"):
            assert after[name] == before[name]
        assert not alive(before["removed"])
        assert not alive(before["scaled_3"])
        assert taskmaster.ask("reload") == "Configuration reloaded.\n"
        assert pids(taskmaster) == after


def test_a_bad_file_changes_nothing_and_is_told(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, BEFORE) as taskmaster:
        before = pids(taskmaster)
        for bad in ("tasks: {web: {", "tasks: {web: {command: x, instances: -1, restart: maybe}}", "", "\0\1"):
            taskmaster.write(bad)
            answer = taskmaster.ask("reload")
            assert "Nothing was changed." in answer
            assert "web.yaml:" in answer
            assert "The last reload was refused" in taskmaster.ask("status")
            assert pids(taskmaster) == before
        taskmaster.path.unlink()
        assert "Nothing was changed." in taskmaster.ask("reload")
        taskmaster.write(BEFORE)
        assert taskmaster.ask("reload") == "Configuration reloaded.\n"
        assert "refused" not in taskmaster.ask("status")


def test_one_instance_and_many_are_renamed_not_restarted(tmp_path: Path) -> None:
    one = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}"
    with Taskmaster(tmp_path, one) as taskmaster:
        pid = taskmaster.pid("web")
        taskmaster.write(one.replace("1000,", "1000, instances: 2,"))
        taskmaster.type("reload")
        rows = taskmaster.wait_for(web_1="RUNNING", web_2="RUNNING")
        assert rows["web_1"]["pid"] == pid


def test_logs_opened_anew_after_a_rename(tmp_path: Path) -> None:
    config = """
        tasks:
          talk:
            command: sh -c 'while read -r line; do echo "$line"; done < fifo'
            autoLaunch: true
            stdout: talk.log
    """
    os.mkfifo(tmp_path / "fifo")
    with Taskmaster(tmp_path, config) as taskmaster, (tmp_path / "fifo").open("w") as fifo:
        print("before", file=fifo, flush=True)
        until(lambda: (tmp_path / "talk.log").read_text() == "before\n", "before")
        (tmp_path / "talk.log").rename(tmp_path / "talk.log.1")
        (tmp_path / "taskmaster.log").rename(tmp_path / "old.log")
        taskmaster.signal(signal.SIGUSR2)
        until(lambda: (tmp_path / "talk.log").exists(), "a new log")
        print("after", file=fifo, flush=True)
        until(lambda: (tmp_path / "talk.log").read_text() == "after\n", "after")
        assert (tmp_path / "talk.log.1").read_text() == "before\n"
        until(lambda: "logs opened anew" in taskmaster.log, "the event log goes on")
