"""Our units under the real systemd: the life of the daemon as it sees it, and that of the tasks beside it.

Nothing here takes the main process, which is who systemd has started, for the daemon, which has tasks for children.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.driver import ROOT
from tests.systemd.machine import UNITS, Machine
from tests.waiting import until

SERVICE, SOCKET, FORKING = "taskmaster.service", "taskmaster.socket", "taskmaster-forking.service"
CONFIG = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}\n"
SLOW = """
tasks:
  slow:
    command: "trap 'sleep 5; echo ended >ended; exit 0' TERM; echo begun >begun; while :; do sleep 0.1; done"
    autoLaunch: true
    successfulStartTimeout: 0
    gracefulStopTimeout: 60
"""
MORE_S = 4
"""Less than that task takes to end."""


class Service(Machine):
    """A machine with our units, and a configuration."""

    @property
    def config(self) -> Path:
        return self.home / "taskmaster.yaml"

    def install(self, *names: str, config: str = CONFIG, more: str = "") -> None:
        """Our units as they are, but for where the program and its configuration are; `more` lines for the service."""
        self.config.write_text(config)
        for name in names:
            text = (UNITS / name).read_text()
            self.unit(name, text)
            start = [line for line in text.splitlines() if line.startswith("ExecStart=")]
            for line in start:
                own = line.replace("/usr/bin/taskmaster", f"{sys.executable} {ROOT}/bin/taskmaster")
                own = own.replace("/etc/taskmaster.yaml", str(self.config))
                here = f"WorkingDirectory={self.home}\nStandardError=append:{self.home}/stderr.txt\n"
                self.unit(f"{name}.d/test.conf", f"[Service]\nExecStart=\n{own}\n{here}{more}\n")
        self.systemctl("daemon-reload")

    def ctl(self, *words: str) -> str:
        """A command to the daemon, which must be carried out; what it prints."""
        done = self.run(sys.executable, "-I", "-S", str(ROOT / "bin" / "taskmasterctl"), *words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}{self.errors}"
        return done.stdout

    @property
    def errors(self) -> str:
        """What the daemon has written."""
        path = self.home / "stderr.txt"
        return path.read_text() if path.exists() else ""

    def pid(self, name: str) -> int:
        """That of a task."""
        return int(json.loads(self.ctl("--json", "status", name))[0]["pid"])

    def main(self, unit: str = SERVICE) -> int:
        """Whom systemd takes for the main process."""
        return int(self.show(unit, "MainPID")["MainPID"])

    def is_as(self, **wanted: str) -> None:
        """Wait until systemd says so of the service."""
        try:
            until(lambda: self.show(SERVICE, *wanted) == wanted, "what systemd should say", 30)
        except AssertionError:
            raise AssertionError(f"{wanted}, but: {self.show(SERVICE, *wanted)}\n{self.errors}") from None

    def kill(self, pid: int, signum: signal.Signals) -> None:
        assert self.run("kill", f"-{signum.name.removeprefix('SIG')}", str(pid)).returncode == 0


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path) as made:
        yield made


def test_it_starts_says_how_it_is_and_ends(machine: Service) -> None:
    machine.install(SERVICE)
    machine.systemctl("start", SERVICE)
    machine.is_as(ActiveState="active", SubState="running", StatusText="1/1 running", NRestarts="0")
    main, web = machine.main(), machine.pid("web")
    told = machine.systemctl("status", SERVICE)
    assert "Active: active (running)" in told
    assert f"Main PID: {main} " in told
    assert 'Status: "1/1 running"' in told
    assert "sleep 1000" in told, "the tasks are in its control group"
    machine.systemctl("stop", SERVICE)
    assert machine.show(SERVICE, "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert not machine.alive(main)
    assert not machine.alive(web)


def test_a_reload_is_asked_for_and_done(machine: Service) -> None:
    machine.install(SERVICE)
    machine.systemctl("start", SERVICE)
    main, web = machine.main(), machine.pid("web")
    machine.config.write_text(CONFIG.replace("autoLaunch", "instances: 3, autoLaunch"))
    machine.systemctl("reload", SERVICE)
    machine.is_as(ActiveState="active", StatusText="3/3 running")
    assert (machine.main(), machine.pid("web_1")) == (main, web)


def test_what_cannot_start_is_not_tried_again(machine: Service) -> None:
    machine.install(SERVICE, config="tasks: {web: {comand: sleep 1000}}\n")
    assert machine.run("systemctl", "start", SERVICE).returncode != 0
    machine.is_as(ActiveState="failed", Result="exit-code", ExecMainStatus="2", NRestarts="0")
    assert "did you mean" in machine.errors


def test_a_task_gets_its_grace_whatever_systemd_would_have_given(machine: Service) -> None:
    machine.install(SERVICE, config=SLOW, more=f"TimeoutStopSec={MORE_S}s")
    machine.systemctl("start", SERVICE)
    until((machine.home / "begun").exists, "a task that minds its signals")
    machine.systemctl("stop", SERVICE)
    assert machine.show(SERVICE, "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert (machine.home / "ended").exists()


def test_killed_it_is_started_again_and_has_its_tasks(machine: Service) -> None:
    machine.install(SERVICE)
    machine.systemctl("start", SERVICE)
    main, web = machine.main(), machine.pid("web")
    machine.kill(main, signal.SIGKILL)
    machine.is_as(ActiveState="active", NRestarts="1", StatusText="1/1 running")
    assert machine.main() not in (0, main)
    assert machine.pid("web") == web
    assert machine.alive(web)
    machine.systemctl("stop", SERVICE)
    assert not machine.alive(web)


def test_the_daemon_killed_is_there_again_and_has_its_tasks(machine: Service) -> None:
    machine.install(SERVICE)
    machine.systemctl("start", SERVICE)
    web = machine.pid("web")
    machine.kill(int(machine.process(web)["PPid"]), signal.SIGKILL)
    until(lambda: machine.run("test", "-S", "/run/taskmaster/taskmaster.sock").returncode == 0, "a socket")
    machine.is_as(ActiveState="active", SubState="running", StatusText="1/1 running")
    assert until(lambda: machine.pid("web"), "an answer") == web
    assert machine.alive(web)


def test_a_watchdog_is_fed(machine: Service) -> None:
    machine.install(SERVICE, more="WatchdogSec=1s")
    machine.systemctl("start", SERVICE)
    main, first = machine.main(), fed_at_us(machine)
    until(lambda: fed_at_us(machine) > first + 5_000_000, "that it was fed long enough", 60)
    assert (machine.main(), machine.show(SERVICE, "NRestarts")) == (main, {"NRestarts": "0"})


def fed_at_us(machine: Service) -> int:
    return int(machine.show(SERVICE, "WatchdogTimestampMonotonic")["WatchdogTimestampMonotonic"])


def test_one_that_hangs_is_replaced_and_its_tasks_go_on(machine: Service) -> None:
    machine.install(SERVICE, more="WatchdogSec=2s")
    machine.systemctl("start", SERVICE)
    web = machine.pid("web")
    hangs = int(machine.process(web)["PPid"])
    freeze = f"mkdir /sys/fs/cgroup/ice && cd /sys/fs/cgroup/ice && echo {hangs} >cgroup.procs && echo 1 >cgroup.freeze"
    assert machine.run("sh", "-c", freeze).returncode == 0
    until(lambda: not machine.alive(hangs), "the end of the one that hangs", 60)
    machine.is_as(ActiveState="active", StatusText="1/1 running")
    assert machine.pid("web") == web
    assert machine.alive(web)


# ---- the socket's unit


def test_who_asks_first_starts_it(machine: Service) -> None:
    machine.install(SERVICE, SOCKET)
    machine.systemctl("start", SOCKET)
    path = machine.root / "run" / "taskmaster" / "taskmaster.sock"
    before = path.stat()
    assert (stat.S_IMODE(before.st_mode), before.st_uid) == (0o600, 0)
    machine.is_as(ActiveState="inactive")
    assert "web" in machine.ctl("status")
    machine.is_as(ActiveState="active", StatusText="1/1 running")
    web = machine.pid("web")
    machine.kill(machine.main(), signal.SIGKILL)
    machine.is_as(ActiveState="active", NRestarts="1")
    assert machine.pid("web") == web, "who asks meanwhile waits for the next one"
    machine.systemctl("stop", SERVICE)
    assert not machine.alive(web)
    assert machine.pid("web") not in (0, web), "stopped, it is started by the next one who asks"
    after = path.stat()
    assert (after.st_ino, after.st_mode, after.st_ctime_ns) == (before.st_ino, before.st_mode, before.st_ctime_ns)
    machine.systemctl("stop", SOCKET, SERVICE)
    assert not path.exists()


def test_told_to_leave_it_leaves_though_it_could_be_started_again(machine: Service) -> None:
    machine.install(SERVICE, SOCKET)
    machine.systemctl("start", SOCKET)
    web = machine.pid("web")
    machine.ctl("shutdown")
    machine.is_as(ActiveState="inactive", Result="success")
    assert not machine.alive(web)
    assert machine.show(SOCKET, "ActiveState") == {"ActiveState": "active"}


# ---- the classic way


def test_as_a_classic_daemon(machine: Service) -> None:
    machine.install(FORKING)
    machine.systemctl("start", FORKING)
    main, web = machine.main(FORKING), machine.pid("web")
    assert main == int((machine.root / "run" / "taskmaster" / "taskmaster.pid").read_text())
    machine.systemctl("reload", FORKING)
    machine.kill(main, signal.SIGKILL)
    until(lambda: machine.main(FORKING) not in (0, main), "the next one", 60)
    until(lambda: machine.show(FORKING, "ActiveState") == {"ActiveState": "active"}, "that it is up", 60)
    assert machine.pid("web") == web
    machine.systemctl("stop", FORKING)
    assert machine.show(FORKING, "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert not machine.alive(web)


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    """A machine is of one test alone, and so is what its kernel would be told."""
    before = Path("/proc/sys/fs/nr_open").read_text()
    with Service(tmp_path) as machine:
        outside = os.readlink("/proc/self/ns/pid")
        assert machine.run("readlink", "/proc/1/ns/pid").stdout.strip() != outside
        assert machine.run("sh", "-c", "echo 1 >/proc/sys/kernel/printk").returncode != 0
    assert Path("/proc/sys/fs/nr_open").read_text() == before
