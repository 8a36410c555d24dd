"""Hooks that run while the daemon is killed: gone on with, never beside another one, and told."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.fault.test_guardian import back, kill_daemon
from tests.integration.client import Daemon
from tests.integration.driver import alive
from tests.integration.test_hooks import begun, fifo, waits_for
from tests.waiting import until


def up(home: Path, hooks: dict[str, Any], command: str = "exec sleep 1000") -> Daemon:
    task = {"command": command, "successfulStartTimeout": 0, "hooks": hooks}
    return Daemon(home, json.dumps({"tasks": {"web": task}}), "-l", "taskmaster.log")


@pytest.mark.parametrize("code", [0, 3])
def test_a_start_goes_on_waiting_for_the_hook_that_was_begun(tmp_path: Path, code: int) -> None:
    gate = fifo(tmp_path, "gate")
    with up(tmp_path, {"preStart": f"echo once >> ran; {waits_for('gate')}"}) as daemon:
        daemon.ctl("start", "--no-wait", "web")
        hook = begun(tmp_path, "gate")
        back(daemon, kill_daemon(daemon))
        until(lambda: daemon.rows()["web"]["status"] == "STARTED", "a start that waits")
        assert alive(hook)
        gate.write_text(f"{code}\n")
        until(lambda: daemon.rows()["web"]["status"] == ("FATAL" if code else "RUNNING"), "what it comes to")
        assert (tmp_path / "ran").read_text() == "once\n"
        if code:
            assert "preStart failed: exit code 3, begun by an earlier daemon" in daemon.ctl("status").stdout


def test_a_stop_goes_on_waiting_for_its_hook(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    command = "trap 'test -e done && : > verdict; exit' TERM; : > up; while :; do sleep 0.05; done"
    with up(tmp_path, {"preStop": waits_for("gate").replace("exit $x", ": > done")}, command) as daemon:
        daemon.ctl("start", "web")
        until((tmp_path / "up").exists, "the trap")
        pid = daemon.rows()["web"]["pid"]
        daemon.ctl("stop", "--no-wait", "web")
        hook = begun(tmp_path, "gate")
        back(daemon, kill_daemon(daemon))
        assert daemon.rows()["web"] == {"status": "STOPPING", "pid": pid, "restarts": 0}
        daemon.rows()  # a turn later, when whatever would be sent has been
        assert f"SIGTERM to pid {pid}" not in daemon.log
        assert alive(hook) and alive(pid)
        gate.write_text("0\n")
        until(lambda: daemon.rows()["web"]["status"] == "STOPPED", "the stop")
        assert (tmp_path / "verdict").exists(), "the signal came when the hook was done"
        assert f"(preStop is over), SIGTERM to pid {pid}" in daemon.log


def test_a_hook_that_ended_meanwhile_holds_nothing_back(tmp_path: Path) -> None:
    fifo(tmp_path, "gate")
    with up(tmp_path, {"preStop": waits_for("gate")}) as daemon:
        daemon.ctl("start", "web")
        daemon.ctl("stop", "--no-wait", "web")
        hook = begun(tmp_path, "gate")
        guardian, killed = daemon.process.pid, daemon.daemon
        os.kill(guardian, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        os.kill(hook, signal.SIGKILL)
        os.kill(guardian, signal.SIGCONT)
        back(daemon, killed)
        until(lambda: daemon.rows()["web"]["status"] == "STOPPED", "the stop")


def test_the_time_of_a_hook_goes_on(tmp_path: Path) -> None:
    fifo(tmp_path, "gate")
    with up(tmp_path, {"postStart": {"command": waits_for("gate"), "timeout": 2}}) as daemon:
        daemon.ctl("start", "web")
        hook = begun(tmp_path, "gate")
        back(daemon, kill_daemon(daemon))
        assert daemon.rows()["web"]["status"] == "RUNNING"
        until(lambda: not alive(hook), "the end of its time")


def test_a_stop_ends_a_hook_of_an_earlier_daemon(tmp_path: Path) -> None:
    fifo(tmp_path, "gate")
    with up(tmp_path, {"preStart": waits_for("gate")}) as daemon:
        daemon.ctl("start", "--no-wait", "web")
        hook = begun(tmp_path, "gate")
        back(daemon, kill_daemon(daemon))
        daemon.ctl("stop", "web")
        assert daemon.rows()["web"]["status"] == "STOPPED"
        until(lambda: not alive(hook), "the end of the hook")


def test_an_upgrade_ends_no_hook(tmp_path: Path) -> None:
    gate = fifo(tmp_path, "gate")
    with up(tmp_path, {"preStart": f"echo once >> ran; {waits_for('gate')}"}) as daemon:
        daemon.ctl("start", "--no-wait", "web")
        begun(tmp_path, "gate")
        done = daemon.ctl("upgrade")
        assert done.returncode == 0, done
        gate.write_text("0\n")
        until(lambda: daemon.rows()["web"]["status"] == "RUNNING", "the start")
        assert (tmp_path / "ran").read_text() == "once\n"


@pytest.mark.parametrize("garbage", [b"", b"{", b"[1]", b'{"boot": 1, "hooks": [{}]}', b'{"hooks": [3, {"pid": 1}]}'])
def test_a_record_that_makes_no_sense_is_none(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "hooks").write_bytes(garbage)
    with up(tmp_path, {"preStart": "exit 0"}) as daemon:
        assert daemon.ctl("start", "web").returncode == 0
        assert not (tmp_path / "state" / "hooks").exists()
