"""The control socket that a service manager has made: the real program with descriptors given to it as systemd does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.integration.driver import PROGRAM, ROOT, alive, environment
from tests.rpc import Rpc, listening
from tests.waiting import until

ACTIVATED = (sys.executable, str(ROOT / "tests" / "programs" / "activated.py"))
CONFIG = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}\n"
TELLS = (
    "tasks: {tells: {command: [sh, -c, 'env; ls /proc/$$/fd; echo END; sleep 1000'], autoLaunch: true, stdout: out}}\n"
)


class Manager:
    """A service manager that has made a socket and starts the program with it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "manager.sock"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.path))
        self.path.chmod(0o640)
        self.socket.listen()
        self.begun: list[subprocess.Popen[str]] = []
        self.write(CONFIG)

    def write(self, config: str) -> None:
        (self.home / "web.yaml").write_text(config)

    def start(
        self, *flags: str, form: str = "-n", pid: str = "self", given: list[int] | None = None, **changes: str
    ) -> subprocess.Popen[str]:
        """Start the program with these descriptors, or with the socket."""
        fds = [self.socket.fileno()] if given is None else given
        own = ["--state-dir", "state", *flags]
        words = [*ACTIVATED, pid, ",".join(map(str, fds)), *PROGRAM, form, *own, "web.yaml"]
        program = subprocess.Popen(
            words,
            cwd=self.home,
            env=environment(self.home) | {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": "x.socket"} | changes,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=fds,
        )
        self.begun.append(program)
        return program

    def end(self, program: subprocess.Popen[str]) -> str:
        """Let it leave in order; what it has said."""
        program.terminate()
        said = program.communicate(timeout=30)[1]
        assert program.returncode == 0, said
        return said

    def refused(self, program: subprocess.Popen[str]) -> str:
        """What one says that does not start at all."""
        said = program.communicate(timeout=30)[1]
        assert program.returncode == 2, said
        return said

    def close(self) -> None:
        for each in self.begun:
            each.terminate()
            each.wait(30)
            if each.stderr is not None:
                each.stderr.close()
        self.socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


def states(path: Path) -> dict[str, str]:
    with Rpc(path) as rpc:
        return {row["name"]: row["status"] for row in rpc.call("status")["data"]}


def others_have_python() -> bool:
    """Whether we can become somebody else, and he, as whom the guardian goes on, can run this Python."""
    if os.geteuid() != 0:
        return False
    with suppress(PermissionError):
        return subprocess.run([sys.executable, "-S", "-c", ""], user=65534, check=False).returncode == 0
    return False


def test_it_is_served_and_left_as_it_is_from_one_daemon_to_the_next(manager: Manager) -> None:
    before = manager.path.stat()
    for _ in range(2):
        with Rpc(manager.path) as early:
            number = early.ask("version")
            program = manager.start()
            assert early.answer()["id"] == number, "who has knocked before it was up is heard"
        assert states(manager.path) == {"web": "RUNNING"}
        with Rpc(manager.path) as rpc:
            assert rpc.peer != os.getpid(), "the daemon is who is seen at the other end"
        manager.end(program)
        after = manager.path.stat()
        assert (after.st_ino, after.st_mode, after.st_ctime_ns) == (before.st_ino, before.st_mode, before.st_ctime_ns)


def test_no_other_is_made_beside_it(manager: Manager) -> None:
    program = manager.start(XDG_RUNTIME_DIR=str(manager.home / "run"))
    assert states(manager.path)
    manager.end(program)
    assert [each.name for each in manager.home.rglob("*.sock")] == ["manager.sock"]


def test_neither_the_socket_nor_a_word_of_it_reaches_a_child(manager: Manager) -> None:
    manager.write(TELLS)
    out = manager.home / "out"
    program = manager.start()
    told = until(lambda: out.exists() and "END" in out.read_text() and out.read_text(), "what the child has to tell")
    manager.end(program)
    lines = told.splitlines()
    assert not [line for line in lines if line.startswith("LISTEN_")]
    assert sorted(line for line in lines if line.isdigit()) == ["0", "1", "2"]


def test_gone_it_is_not_made_again(manager: Manager) -> None:
    program = manager.start()
    with Rpc(manager.path) as rpc:
        rpc.call("version")
        manager.path.unlink()
        program.send_signal(signal.SIGHUP)
        until(lambda: "SIGHUP" in str(rpc.call("events")), "the reload")
    assert "made again" not in manager.end(program)
    assert not manager.path.exists()


def test_in_the_background(manager: Manager) -> None:
    program = manager.start("-p", "web.pid", "-l", "web.log", form="-d")
    said = program.communicate(timeout=30)[1]
    assert (program.returncode, said) == (0, "")
    pid = int((manager.home / "web.pid").read_text())
    try:
        assert states(manager.path) == {"web": "RUNNING"}
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), "its end")
    assert manager.path.exists()


@pytest.mark.parametrize("changes", [{"pid": "1"}, {"pid": "nonsense"}, {"pid": ""}, {"LISTEN_FDS": "0"}])
def test_what_is_meant_for_somebody_else_is_not_looked_at(manager: Manager, changes: dict[str, str]) -> None:
    manager.write(TELLS)
    program = manager.start("--socket", "control.sock", **changes)  # type: ignore[arg-type]
    assert states(listening(manager.home / "control.sock"))
    out = manager.home / "out"
    until(lambda: out.exists() and "END" in out.read_text(), "what the child has to tell")
    manager.end(program)
    assert "LISTEN_" not in out.read_text()


def test_the_same_may_be_named_and_no_other(manager: Manager) -> None:
    program = manager.start("--socket", "manager.sock")
    assert states(manager.path)
    manager.end(program)
    said = manager.refused(manager.start("--socket", "other.sock"))
    assert f"hands over the control socket {manager.path}, and other.sock is named." in said
    manager.write("taskmaster: {socket: third.sock}\n" + CONFIG)
    assert "third.sock is named. Name the same with --socket and taskmaster.socket, or none." in manager.refused(
        manager.start()
    )


def a_file(home: Path, stack: ExitStack) -> int:
    return stack.enter_context((home / "web.yaml").open()).fileno()


def of(family: int, kind: int, address: object = None, listens: bool = False) -> Callable[[Path, ExitStack], int]:
    def make(home: Path, stack: ExitStack) -> int:
        made = stack.enter_context(socket.socket(family, kind))
        if address is not None:
            made.bind(str(home / address) if isinstance(address, str) and address else address)
        if listens:
            made.listen()
        return made.fileno()

    return make


UNFIT = {
    "a file": (a_file, "is no socket"),
    "a TCP socket": (of(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0), True), "is no UNIX stream socket"),
    "a datagram socket": (of(socket.AF_UNIX, socket.SOCK_DGRAM, "x"), "is no UNIX stream socket"),
    "one that does not listen": (of(socket.AF_UNIX, socket.SOCK_STREAM, "x"), "does not listen"),
    "one without a path": (of(socket.AF_UNIX, socket.SOCK_STREAM, "", True), "has no path"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_cannot_be_the_control_socket_is_refused(manager: Manager, what: str) -> None:
    make, why = UNFIT[what]
    with ExitStack() as stack:
        said = manager.refused(manager.start(given=[make(manager.home, stack)]))
    assert f"descriptor 3, which {why}, and cannot be the control socket." in said
    assert "ListenStream=/" in said


@pytest.mark.parametrize("count", ["2", "-1", "nonsense", "1.0"])
def test_more_or_less_than_one_is_refused(manager: Manager, count: str) -> None:
    assert f"LISTEN_FDS is '{count}', and one socket is taken" in manager.refused(manager.start(LISTEN_FDS=count))


def test_a_descriptor_that_is_not_there_is_no_socket(manager: Manager) -> None:
    assert "descriptor 3, which is no socket" in manager.refused(manager.start(given=[], LISTEN_FDS="1"))


@pytest.mark.skipif(not others_have_python(), reason="root is needed, and a Python that others can run")
def test_one_who_gives_up_root_leaves_the_file_to_whom_it_belongs(manager: Manager) -> None:
    manager.home.chmod(0o755)
    program = manager.start("--user", "nobody")
    assert states(manager.path)
    assert manager.path.stat().st_uid == 0
    manager.end(program)
