"""What a service manager hears, on a real datagram socket."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.background import Background
from tests.integration.driver import PROGRAM, alive, environment
from tests.rpc import Rpc
from tests.waiting import until

CONFIG = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}\n"
MANY = CONFIG.replace("autoLaunch", "instances: 300, autoLaunch")
PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


class Manager:
    """The receiving end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(20)

    def hear(self, word: str) -> list[str]:
        """The lines of the next message that has this one."""
        while True:
            lines = self._socket.recv(4096).decode().split("\n")
            if any(line.startswith(word) for line in lines):
                return lines

    def everything(self) -> list[list[str]]:
        """What has come and was not heard yet."""
        self._socket.setblocking(False)
        heard = []
        with suppress(BlockingIOError):
            while True:
                heard.append(self._socket.recv(4096).decode().split("\n"))
        return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@taskmaster-test-{os.getpid()}-{tmp_path.name}"
    listening = Manager(address)
    yield listening
    listening.close()


def hang(pid: int) -> None:
    """Let a process do nothing any more; unlike one that is stopped it is not continued when its parent dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(request, pid, None, None):
            pytest.skip(f"no process can be traced here: {os.strerror(ctypes.get_errno())}")


def foreground(
    home: Path, address: str, *flags: str, config: str = CONFIG, stdin: int | None = None, **changes: str
) -> subprocess.Popen[bytes]:
    (home / "web.yaml").write_text(config)
    own = ["--state-dir", "state", "--socket", "control.sock", *flags]
    variables = environment(home) | {"NOTIFY_SOCKET": address} | changes
    meant = {"anybody": 'unset WATCHDOG_PID; exec "$@"', "the program": 'WATCHDOG_PID=$$ exec "$@"'}
    begin = ["sh", "-c", meant[changes["WATCHDOG_PID"]], "sh"] if changes.get("WATCHDOG_PID") in meant else []
    return subprocess.Popen(
        [*begin, *PROGRAM, *own, "web.yaml"],
        cwd=home,
        env=variables,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stdin=stdin,
    )


def test_the_life_of_a_foreground_daemon(tmp_path: Path, manager: Manager) -> None:
    before = time.monotonic_ns() // 1000
    program = foreground(tmp_path, manager.address, "-n")
    try:
        assert manager.hear("READY=1") == ["READY=1", "STATUS=1/1 running"]
        program.send_signal(signal.SIGHUP)
        begins = dict(line.split("=", 1) for line in manager.hear("RELOADING=1"))
        assert before < int(begins["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert manager.hear("READY=1")[0] == "READY=1"
        (tmp_path / "web.yaml").write_text("nonsense")
        program.send_signal(signal.SIGHUP)
        manager.hear("RELOADING=1")
        manager.hear("READY=1")
    finally:
        program.terminate()
    assert manager.hear("STOPPING=1") == ["STOPPING=1", "STATUS=shutting down", "EXTEND_TIMEOUT_USEC=20000000"]
    assert program.wait(20) == 0


def test_an_end_that_keeps_everything_running(tmp_path: Path, manager: Manager) -> None:
    program = foreground(tmp_path, manager.address, "-n")
    try:
        manager.hear("READY=1")
        with Rpc(tmp_path / "control.sock") as rpc:
            kept = rpc.call("shutdown", options=["--keep"])["data"]["kept"]
        os.kill(kept[0]["pid"], signal.SIGKILL)
        assert manager.hear("STOPPING=1") == ["STOPPING=1", "STATUS=shutting down", "EXTEND_TIMEOUT_USEC=10000000"]
        assert program.wait(20) == 0
    finally:
        program.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGABRT])
def test_the_death_of_the_main_process_leaves_the_next_one_to_the_manager(
    tmp_path: Path, manager: Manager, how: signal.Signals
) -> None:
    """SIGABRT is what a watchdog sends, when the daemon hangs."""
    program = foreground(tmp_path, manager.address, "-n")
    manager.hear("READY=1")
    with Rpc(tmp_path / "control.sock") as rpc:
        daemon, (web,) = rpc.peer, [row["pid"] for row in rpc.call("status")["data"]]
    title = Path(f"/proc/{program.pid}/cmdline")
    until(lambda: title.read_text().startswith("taskmaster: guardian"), "a guardian")
    if how is signal.SIGABRT:
        hang(daemon)
    program.send_signal(how)
    assert program.wait(20) == -how
    if how is signal.SIGABRT:
        until(lambda: os.waitpid(daemon, os.WNOHANG | WALL)[0], "the end of the daemon that hangs")
    until(lambda: not alive(daemon), "the end of the daemon")
    assert alive(web)
    program = foreground(tmp_path, manager.address, "-n")
    try:
        assert manager.hear("READY=1") == ["READY=1", "STATUS=1/1 running"]
        with Rpc(tmp_path / "control.sock") as rpc:
            assert [row["pid"] for row in rpc.call("status")["data"]] == [web]
    finally:
        program.terminate()
        assert program.wait(20) == 0


@pytest.mark.parametrize("to", ["anybody", "the program"])
def test_a_watchdog_hears_that_the_loop_turns(tmp_path: Path, manager: Manager, to: str) -> None:
    program = foreground(tmp_path, manager.address, "-n", WATCHDOG_USEC="200000", WATCHDOG_PID=to)
    try:
        manager.hear("READY=1")
        for _ in range(3):
            assert manager.hear("WATCHDOG=1") == ["WATCHDOG=1"]
        with Rpc(tmp_path / "control.sock") as rpc:
            daemon = rpc.peer
        os.kill(daemon, signal.SIGSTOP)
        manager.everything()
        manager._socket.settimeout(1)
        with pytest.raises(TimeoutError):
            manager.hear("WATCHDOG=1")
        os.kill(daemon, signal.SIGCONT)
        manager._socket.settimeout(20)
        manager.hear("WATCHDOG=1")
    finally:
        program.terminate()
        program.wait(20)


@pytest.mark.parametrize("variables", [{}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "-1"}])
def test_a_watchdog_of_somebody_else_hears_nothing(tmp_path: Path, manager: Manager, variables: dict[str, str]) -> None:
    program = foreground(tmp_path, manager.address, "-n", **variables)
    try:
        manager.hear("READY=1")
    finally:
        program.terminate()
        program.wait(20)
    assert ["WATCHDOG=1"] not in manager.everything()


def test_an_end_that_comes_before_the_boot_is_through(tmp_path: Path, manager: Manager) -> None:
    program = foreground(tmp_path, manager.address, "-n", "-l", "log", config=MANY)
    log = tmp_path / "log"
    until(lambda: log.exists() and log.read_text().count("(spawned)") > 3, "a boot that has begun")
    program.terminate()
    assert program.wait(60) == 0
    heard = manager.everything()
    assert heard[0][0] in ("STOPPING=1", "READY=1"), "it may have been through all the same"
    assert heard[-1][:2] == ["STOPPING=1", "STATUS=shutting down"]


def test_the_count_follows_the_processes(tmp_path: Path, manager: Manager) -> None:
    program = foreground(tmp_path, manager.address, "-n")
    try:
        manager.hear("READY=1")
        (tmp_path / "web.yaml").write_text(CONFIG.replace("autoLaunch", "instances: 3, autoLaunch"))
        program.send_signal(signal.SIGHUP)
        manager.hear("STATUS=3/3 running")
    finally:
        program.terminate()
        program.wait(20)


def test_in_the_background(tmp_path: Path, manager: Manager) -> None:
    with Background(tmp_path, CONFIG) as daemon:
        pid = daemon.up(NOTIFY_SOCKET=manager.address)
        assert manager.hear("READY=1") == ["READY=1", "STATUS=1/1 running"]
        os.kill(pid, signal.SIGTERM)
        manager.hear("STOPPING=1")


@pytest.mark.parametrize("address", ["/no/such/socket", "@nobody-listens-here", "", "vsock:2:1", "relative", "@"])
def test_a_manager_that_does_not_listen_harms_nothing(tmp_path: Path, address: str) -> None:
    with Background(tmp_path, CONFIG) as daemon:
        daemon.up(NOTIFY_SOCKET=address)


def test_a_child_does_not_see_the_address(tmp_path: Path, manager: Manager) -> None:
    with Background(
        tmp_path, CONFIG.replace("sleep 1000", "['sh', '-c', 'env; sleep 1000'], stdout: env.txt")
    ) as daemon:
        daemon.up(NOTIFY_SOCKET=manager.address)
        daemon.end(daemon.pid)
    assert "NOTIFY_SOCKET" not in (tmp_path / "env.txt").read_text()


def test_with_a_shell_nobody_is_told(tmp_path: Path, manager: Manager) -> None:
    program = foreground(tmp_path, manager.address, stdin=subprocess.PIPE)
    program.communicate(b"exit\n", timeout=30)
    manager._socket.settimeout(0)
    with pytest.raises(BlockingIOError):
        manager.hear("")
