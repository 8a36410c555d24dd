"""The guardian: a daemon that is killed comes back at once, and nobody notices but who was connected."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fault.test_idle import wake_ups
from tests.integration.background import Background
from tests.integration.client import Daemon
from tests.integration.driver import PROGRAM, ROOT, alive, daemons_of, environment
from tests.rpc import Rpc
from tests.terminal import Terminal
from tests.waiting import until
from tm.edge.version import complete

CONFIG = """
    defaults: {successfulStartTimeout: 0, gracefulStopTimeout: 60}
    tasks:
      quiet: {command: sleep 1000, instances: 2, autoLaunch: true, restart: always}
      coded: {command: "read x < coded.fifo; echo last words; exit $x", stdout: coded.log, autoLaunch: true,
              restart: never}
      waits: {command: "exit 4", autoLaunch: true, restart: always, restartsAttempts: 9, restartDelay: 600,
              restartDelayMax: 600, successfulStartTimeout: 5}
"""


def up(home: Path, config: str = CONFIG, *flags: str) -> Daemon:
    if not (home / "coded.fifo").exists():
        os.mkfifo(home / "coded.fifo")
    return Daemon(home, config, "-l", "taskmaster.log", *flags)


def settled(daemon: Daemon) -> dict[str, Any]:
    """What is known when nothing changes by itself any more."""
    until(lambda: daemon.rows()["waits"]["status"] == "BACKOFF", "one that waits")
    return daemon.rows()


def kill_daemon(daemon: Daemon) -> int:
    """SIGKILL to the daemon alone; its pid."""
    pid = daemon.daemon
    assert pid != daemon.process.pid
    os.kill(pid, signal.SIGKILL)
    return pid


def back(daemon: Daemon, before: int) -> int:
    """When another daemon is there, its pid."""
    return until(lambda: next((pid for pid in daemons_of(daemon.process.pid) if pid != before), 0), "the next daemon")


def test_a_daemon_that_is_killed_goes_on_as_it_was(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        before = settled(daemon)
        for _ in range(3):
            killed = kill_daemon(daemon)
            assert daemon.rows() == before, "asked at once, and answered by the next one"
            assert back(daemon, killed) != killed
        assert daemon.process.poll() is None
        assert daemon.log.count("was killed by SIGKILL; this one takes over") == 3
        assert "Taken over" not in daemon.ctl("status").stdout, "nothing has happened"
        assert int(daemon.ctl("pid").stdout) == daemon.process.pid


def test_what_ended_while_no_daemon_was_there_is_known_with_its_last_words(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        pid = daemon.rows()["coded"]["pid"]
        killed = daemon.daemon
        os.kill(daemon.process.pid, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        (tmp_path / "coded.fifo").write_text("7\n")
        until(lambda: not alive(pid), "its end")
        os.kill(daemon.process.pid, signal.SIGCONT)
        back(daemon, killed)
        until(lambda: daemon.rows()["coded"]["status"] == "FATAL", "its end, told")
        assert "exit code 7" in daemon.ctl("status", "coded").stdout
        assert (tmp_path / "coded.log").read_text() == "last words\n"


def test_a_child_of_the_guardian_is_heard_by_the_next_daemon(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        back(daemon, kill_daemon(daemon))
        daemon.rows()
        (tmp_path / "coded.fifo").write_text("9\n")
        until(lambda: daemon.rows()["coded"]["status"] == "FATAL", "its end")
        assert "exit code 9" in daemon.ctl("status", "coded").stdout
        pid = daemon.rows()["quiet_1"]["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: daemon.rows()["quiet_1"]["pid"] not in (pid, None), "another one in its place")


@pytest.mark.parametrize("point", ["after-intent", "after-spawn", "after-spawned", "after-ended", "after-reaped"])
def test_killed_at_any_instant_of_a_short_life_it_is_run_once_and_its_end_is_known(tmp_path: Path, point: str) -> None:
    config = """
        tasks:
          short: {command: "echo run $TASKMASTER_GENERATION; exit 5", stdout: runs.log, autoLaunch: true,
                  restart: never, expectedExitCodes: [5], successfulStartTimeout: 0}
    """
    home = tmp_path
    (home / "web.yaml").touch()
    daemon = Daemon(home, config, "-l", "taskmaster.log", TASKMASTER_FAULT=f"{point}:1")
    with daemon:
        until(lambda: daemon.rows()["short"]["status"] == "EXITED", "its end")
        assert "was killed by SIGKILL; this one takes over" in daemon.log
        assert "exit code 5" in daemon.log
        assert (home / "runs.log").read_text() == "run 1\n"


def test_a_client_that_knocks_while_no_daemon_is_there_is_answered(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        before, killed = settled(daemon), daemon.daemon
        os.kill(daemon.process.pid, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        until(lambda: not alive(killed), "its end")
        with Rpc(tmp_path / "control.sock") as client:
            client.ask("status")
            os.kill(daemon.process.pid, signal.SIGCONT)
            data = client.answer()["result"]["data"]
        assert {row["name"]: row["pid"] for row in data} == {name: row["pid"] for name, row in before.items()}


def test_the_configuration_that_was_loaded_holds_whatever_the_file_says(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        before = settled(daemon)
        daemon.path.write_text("tasks: [")
        kill_daemon(daemon)
        assert daemon.rows() == before
        daemon.write("tasks: {quiet: {command: sleep 1000, instances: 1}}")
        assert daemon.ctl("reload").returncode == 0
        kill_daemon(daemon)
        assert set(daemon.rows()) == {"quiet"}
        assert daemon.rows()["quiet"]["pid"] == before["quiet_1"]["pid"]


def test_an_order_to_stop_outlives_the_daemon(tmp_path: Path) -> None:
    deaf = "tasks: {deaf: {command: \"trap '' TERM; echo deaf > told; while :; do sleep 1; done\", autoLaunch: true, "
    config = deaf + "gracefulStopTimeout: 600}, quiet: {command: sleep 1000, autoLaunch: true}}"
    with up(tmp_path, config) as daemon:
        until((tmp_path / "told").exists, "one that does not listen")
        pids = {name: row["pid"] for name, row in daemon.rows().items()}
        daemon.signal(signal.SIGTERM)
        until(lambda: not alive(pids["quiet"]), "the end of the other one")
        back(daemon, kill_daemon(daemon))
        assert daemon.rows()["deaf"] == {"status": "STOPPING", "pid": pids["deaf"], "restarts": 0}
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        assert not alive(pids["deaf"])
        assert "asked again: killing what is left" in daemon.log


def test_a_signal_that_comes_while_no_daemon_is_there_is_for_the_next_one(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        pids = [row["pid"] for row in daemon.rows().values() if row["pid"]]
        guardian, killed = daemon.process.pid, daemon.daemon
        os.kill(guardian, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        os.kill(guardian, signal.SIGTERM)
        os.kill(guardian, signal.SIGCONT)
        assert daemon.process.wait(30) == 0
        assert not any(map(alive, pids))


def test_the_daemon_takes_the_place_of_its_guardian(tmp_path: Path) -> None:
    with up(tmp_path, CONFIG, "-p", "web.pid") as daemon:
        before, guardian, pid = settled(daemon), daemon.process.pid, daemon.daemon
        os.kill(guardian, signal.SIGKILL)
        daemon.process.wait()
        until(lambda: (tmp_path / "web.pid").read_text() == f"{pid}\n", "the pidfile names the daemon")
        assert daemon.rows() == before
        assert daemons_of(pid), "a daemon of its own"
        (tmp_path / "coded.fifo").write_text("9\n")
        until(lambda: daemon.rows()["coded"]["status"] == "FATAL", "its end")
        assert "exit code 9" in daemon.ctl("status", "coded").stdout
        for each in daemons_of(pid):
            os.kill(each, signal.SIGKILL)
        assert daemon.rows()["quiet_1"] == before["quiet_1"]
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), "the end")
        assert not (tmp_path / "web.pid").exists()
        assert not any(alive(row["pid"]) for row in before.values() if row["pid"])


@pytest.mark.parametrize("where", ["before-guardian", "before-version"])
def test_one_that_dies_before_it_is_ready_is_followed_by_another(tmp_path: Path, where: str) -> None:
    """The version that others are to be made of is nowhere then; who has typed the command is told when all is well."""
    os.mkfifo(tmp_path / "coded.fifo")
    with Background(tmp_path, CONFIG) as background:
        background.up(TASKMASTER_FAULT=f"{where}:1")
        until(lambda: "another one takes its place" in background.log, "another guardian")
        guardian = int((tmp_path / "web.pid").read_text())
        with Rpc(background.socket) as client:
            before = client.call("pid", words=["quiet", "coded"])["data"]
        os.kill(daemons_of(guardian)[0], signal.SIGKILL)
        with Rpc(background.socket) as client:
            assert client.call("pid", words=["quiet", "coded"])["data"] == before


def has_kept_its_version(guardian: int) -> bool:
    """Whether one of the files in memory that it has open is the program's code, whole."""
    for each in Path(f"/proc/{guardian}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has closed it meanwhile
            if "memfd:" in os.readlink(each) and each.stat().st_size > 500_000:
                with each.open("rb") as file:
                    return complete(file.fileno())
    return False


TALKS = """
      talks: {command: "while :; do read x < talk$TASKMASTER_N.fifo && echo $x; done", instances: 2, stdout: talk.log,
              autoLaunch: true}
"""


def said(home: Path, words: str) -> bool:
    """Whether the words that one of two is given come into the log of both."""
    (home / "talk1.fifo").write_text(f"{words}\n")
    return until(lambda: words in (home / "talk.log").read_text(), f"{words} in the log of both")


class Elsewhere(Daemon):
    """One that runs by the interpreter `python` in its home."""

    under = ("sh", "-c", 'shift; exec ./python "$@"', "sh")


@pytest.mark.parametrize(("broken", "tries"), [(False, 1), (True, 2)], ids=["gone", "broken"])
def test_a_guardian_needs_no_python_but_the_one_that_runs(tmp_path: Path, broken: bool, tries: int) -> None:
    """The interpreter is removed, or another one that ends at once is in its place, and both are killed in turn. So the
    next daemon is made of what was a daemon itself, with what that had open.
    """
    python, pidfile = tmp_path / "python", tmp_path / "web.pid"
    python.symlink_to(sys.executable)
    for name in ("tm", "bin"):  # a checkout with an environment runs by that
        shutil.copytree(ROOT / name, tmp_path / "installed" / name)
    for name in ("coded.fifo", "talk1.fifo", "talk2.fifo"):
        os.mkfifo(tmp_path / name)
    flags = ("-l", "taskmaster.log", "-p", "web.pid")
    program, path = tmp_path / "installed", os.pathsep.join(sys.path[1:])
    with Elsewhere(tmp_path, CONFIG + TALKS, *flags, program=program, PYTHONPATH=path) as daemon:
        before, guardian = settled(daemon), daemon.process.pid
        title = Path(f"/proc/{guardian}/cmdline")
        until(lambda: title.read_bytes().startswith(b"taskmaster: guardian"), "the guardian")
        until(lambda: has_kept_its_version(guardian), "its version in memory")
        python.unlink()
        if broken:
            python.write_text("#!/bin/sh\nexit 1\n")
            python.chmod(0o755)
        for turn in (1, 2):
            assert said(tmp_path, f"before {turn}")
            os.kill(guardian, signal.SIGKILL)
            until(lambda n=turn * tries: daemon.log.count("another one takes its place") == n, "another guardian")  # type: ignore[misc]
            assert daemon.rows() == before
            guardian = int(pidfile.read_text())
            killed = until(lambda pid=guardian: daemons_of(pid), "its daemon")[0]  # type: ignore[misc]
            os.kill(killed, signal.SIGKILL)
            assert daemon.rows() == before
            assert said(tmp_path, f"after {turn}")
        os.kill(guardian, signal.SIGTERM)
        until(lambda: not alive(guardian), "the end")
        assert not pidfile.exists()
        daemon.process.wait()


def test_under_a_service_manager_the_daemon_makes_room_for_the_next_one(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        os.mkfifo(tmp_path / "coded.fifo")
        with Daemon(tmp_path, CONFIG, "-l", "taskmaster.log", NOTIFY_SOCKET=str(tmp_path / "notify")) as daemon:
            before, pid = settled(daemon), daemon.daemon
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.process.wait()
            until(lambda: not alive(pid), "the end of the daemon")
    with up(tmp_path) as daemon:
        assert daemon.rows() == before


def test_ctrl_c_reaches_the_daemon_once(tmp_path: Path) -> None:
    """A second request would kill what has a minute to end."""
    config = """
        tasks:
          slow:
            command: "trap 'sleep 0.3; echo done > done; exit' INT TERM; echo up > up; while :; do sleep 0.1; done"
            autoLaunch: true
            gracefulStopTimeout: 60
    """
    (tmp_path / "web.yaml").write_text(config)
    command = [*PROGRAM, "--state-dir", "state", "--socket", "control.sock", "-n", "web.yaml"]
    terminal = Terminal(command, tmp_path, environment(tmp_path))
    try:
        until((tmp_path / "up").exists, "the process")
        terminal.type("\x03")
        until(lambda: not terminal.program.isalive(), "the end")
        assert terminal.program.exitstatus == 0
        assert (tmp_path / "done").exists()
    finally:
        terminal.close()


def test_it_sleeps_while_nothing_happens(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        ready = time.monotonic() + 3
        until(lambda: time.monotonic() > ready, "a guardian that has got ready for its next daemon")
        daemon.rows()
        before = wake_ups(daemon.process.pid)
        daemon.rows()
        daemon.rows()
        assert wake_ups(daemon.process.pid) == before, "a question is none of its business"
