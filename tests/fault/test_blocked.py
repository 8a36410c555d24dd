"""What waits for other tasks goes on waiting, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.test_guardian import back, kill_daemon
from tests.integration.client import Daemon
from tests.waiting import until

CONFIG = """
    defaults: {successfulStartTimeout: 0, gracefulStopTimeout: 60}
    tasks:
      db: {command: sleep 1000, dependsOn: {gate: completed}}
      gate: {command: read x < gate.fifo; exit $x, successfulStartTimeout: 600}
      web: {command: sleep 1000, dependsOn: [db]}
"""
STOPS = """
    defaults: {autoLaunch: true, successfulStartTimeout: 0, gracefulStopTimeout: 60}
    tasks:
      db: {command: sleep 1000}
      web: {command: "trap 'read x < gate.fifo; exit 0' TERM; echo up > up.txt; while :; do sleep 0.05; done",
            dependsOn: [db]}
"""


def up(home: Path, config: str) -> Daemon:
    if not (home / "gate.fifo").exists():
        os.mkfifo(home / "gate.fifo")
    return Daemon(home, config, "-l", "taskmaster.log")


def blocked(daemon: Daemon) -> dict[str, str]:
    rows = json.loads(daemon.ctl("--json", "status").stdout)
    return {row["name"]: row["blocked"] for row in rows if row["blocked"]}


def killed(daemon: Daemon) -> None:
    back(daemon, kill_daemon(daemon))


def upgraded(daemon: Daemon) -> None:
    assert daemon.ctl("upgrade").returncode == 0


def reloaded(daemon: Daemon) -> None:
    daemon.write(f"{CONFIG}      lone: {{command: sleep 1000}}\n")
    assert daemon.ctl("reload").returncode == 0


WAITING = {
    "db": "waits for gate (completed): gate is STARTED",
    "web": "waits for db (started): db is blocked itself",
}


@pytest.mark.parametrize("happens", [killed, upgraded, reloaded])
def test_a_start_goes_on_waiting_and_is_done(tmp_path: Path, happens: Callable[[Daemon], None]) -> None:
    with up(tmp_path, CONFIG) as daemon:
        assert daemon.ctl("--no-wait", "start", "web").returncode == 0
        until(lambda: blocked(daemon) == WAITING, "what waits")
        happens(daemon)
        assert blocked(daemon) == WAITING
        (tmp_path / "gate.fifo").write_text("0\n")
        until(lambda: daemon.state("web") == "RUNNING", "what has waited")
        assert daemon.state("db") == "RUNNING"
        assert blocked(daemon) == {}


def test_a_start_that_was_taken_back_is_not_done_by_the_next_daemon(tmp_path: Path) -> None:
    with up(tmp_path, CONFIG) as daemon:
        assert daemon.ctl("--no-wait", "start", "web").returncode == 0
        assert daemon.ctl("stop", "web").returncode == 0
        killed(daemon)
        assert set(blocked(daemon)) == {"db"}
        (tmp_path / "gate.fifo").write_text("0\n")
        until(lambda: daemon.state("db") == "RUNNING", "what nobody took back")
        assert daemon.state("web") == "STOPPED"


def test_where_all_are_killed_the_next_one_goes_on_waiting(tmp_path: Path) -> None:
    with up(tmp_path, CONFIG) as daemon:
        assert daemon.ctl("--no-wait", "start", "web").returncode == 0
        until(lambda: blocked(daemon) == WAITING, "what waits")
        daemon.kill()
    with up(tmp_path, CONFIG) as daemon:
        assert blocked(daemon) == WAITING
        (tmp_path / "gate.fifo").write_text("0\n")
        until(lambda: daemon.state("web") == "RUNNING", "what has waited")


def test_a_stop_that_waits_is_carried_out_by_the_next_daemon(tmp_path: Path) -> None:
    with up(tmp_path, STOPS) as daemon:
        until((tmp_path / "up.txt").exists, "its trap")
        assert daemon.ctl("--no-wait", "stop", "all").returncode == 0
        until(lambda: blocked(daemon) == {"db": "is stopped after web, which depends on it"}, "what waits")
        killed(daemon)
        assert blocked(daemon) == {"db": "is stopped after web, which depends on it"}
        assert daemon.state("db") == "RUNNING"
        (tmp_path / "gate.fifo").write_text("x\n")
        until(lambda: daemon.state("db") == "STOPPED", "the stop that waited")
        assert daemon.state("web") == "STOPPED"


def test_a_shutdown_goes_on_in_its_order_after_a_kill(tmp_path: Path) -> None:
    with up(tmp_path, STOPS) as daemon:
        until((tmp_path / "up.txt").exists, "its trap")
        assert daemon.ctl("--no-wait", "shutdown").returncode == 0
        until(lambda: blocked(daemon), "what waits")
        killed(daemon)
        assert daemon.state("db") == "RUNNING"
        (tmp_path / "gate.fifo").write_text("x\n")
        assert daemon.process.wait(30) == 0
        assert "db state: RUNNING -> STOPPING" not in daemon.log.split("this one takes over")[0]
