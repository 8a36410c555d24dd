"""The sockets of a task outlive the daemon: killed, upgraded, without its guardian, or left behind with what runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.fault.lives import generations
from tests.integration.client import Daemon
from tests.integration.driver import alive, daemons_of
from tests.knock import PROGRAM, free_port, knock, refused
from tests.waiting import until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to look into others' descriptors")


def config(port: int, place: Path) -> str:
    return f"""
        defaults: {{restart: always, gracefulStopTimeout: 60, successfulStartTimeout: 0}}
        tasks:
          web: {{command: "{PROGRAM}", autoLaunch: true, sockets: {{http: 'tcp://127.0.0.1:{port}', local: 'unix://{place}'}}}}
    """


def kill_daemon(daemon: Daemon) -> None:
    pid = daemon.daemon
    assert pid != daemon.process.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: any(each != pid for each in daemons_of(daemon.process.pid)), "the next daemon")


def another(daemon: Daemon, port: int) -> dict[str, object]:
    """What the next process says, when there is one."""
    before = daemon.rows()["web"]["pid"]
    assert daemon.ctl("restart", "web").returncode == 0
    told = knock(port)
    assert told["pid"] != before
    return told


@pytest.mark.parametrize("death", ["kill", "upgrade"])
def test_the_next_daemon_gives_on_the_same(tmp_path: Path, death: str) -> None:
    port, place = free_port(), tmp_path / "web.sock"
    with Daemon(tmp_path, config(port, place), "-l", "taskmaster.log") as daemon:
        before = knock(port)
        for _ in range(2):
            if death == "kill":
                kill_daemon(daemon)
            else:
                assert daemon.ctl("upgrade").returncode == 0
            assert another(daemon, port)["sockets"] == before["sockets"]
        assert knock(place)["sockets"] == before["sockets"]
        assert daemon.ctl("stop", "web").returncode == 0
        assert refused(port) and not place.exists()


def test_who_waits_to_be_let_in_while_nobody_is_there_is_served(tmp_path: Path) -> None:
    port, place = free_port(), tmp_path / "web.sock"
    with Daemon(tmp_path, config(port, place), "-l", "taskmaster.log") as daemon:
        pid, guardian = knock(port)["pid"], daemon.process.pid
        killed = daemon.daemon
        os.kill(guardian, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid) and not alive(killed), "the end of both")
        assert not refused(port)
        os.kill(guardian, signal.SIGCONT)
        assert knock(port)["pid"] != pid


def test_the_next_guardian_keeps_them_too(tmp_path: Path) -> None:
    port, place = free_port(), tmp_path / "web.sock"
    with Daemon(tmp_path, config(port, place), "-l", "taskmaster.log", "-p", "web.pid") as daemon:
        before, guardian = knock(port), daemon.process.pid
        title = Path(f"/proc/{guardian}/cmdline")
        until(lambda: title.read_bytes().startswith(b"taskmaster: guardian"), "the guardian, ready")
        next_one = daemon.daemon
        os.kill(guardian, signal.SIGKILL)
        daemon.process.wait()
        until(lambda: (tmp_path / "web.pid").read_text() == f"{next_one}\n", "the next guardian")
        killed = until(lambda: daemons_of(next_one), "its daemon")
        for each in killed:
            os.kill(each, signal.SIGKILL)
        until(lambda: not any(map(alive, killed)) and daemons_of(next_one), "the next daemon")
        assert another(daemon, port)["sockets"] == before["sockets"]
        os.kill(next_one, signal.SIGTERM)
        until(lambda: not alive(next_one), "the end")
        assert refused(port) and not place.exists()


def test_what_the_configuration_no_longer_has_is_closed_by_the_next_daemon(tmp_path: Path) -> None:
    port, other, place = free_port(), free_port(), tmp_path / "web.sock"
    with generations(tmp_path, config(port, place)) as life:
        before = knock(port)
        life.daemon.write(config(other, place))
        assert life.daemon.ctl("shutdown", "--keep").returncode == 0
        assert life.daemon.process.wait(30) == 0
        life.again(config(other, place))
        until(lambda: not refused(other), "the process that has the new ones")
        assert knock(other)["pid"] != before["pid"]
        until(lambda: refused(port), "the end of the old one")


@as_root
@pytest.mark.parametrize("end", ["keep", "kill"])
def test_where_only_the_processes_have_them_they_are_taken_back(tmp_path: Path, end: str) -> None:
    port, place = free_port(), tmp_path / "web.sock"
    with generations(tmp_path, config(port, place)) as life:
        before = knock(port)
        if end == "keep":
            assert life.daemon.ctl("shutdown", "--keep").returncode == 0
            assert life.daemon.process.wait(30) == 0
        else:
            life.kill()
        assert knock(place)["pid"] == before["pid"]
        life.again()
        assert life.rows()["web"]["pid"] == before["pid"]
        assert another(life.daemon, port)["sockets"] == before["sockets"]
        assert life.daemon.ctl("stop", "web").returncode == 0
        assert refused(port) and not place.exists()
