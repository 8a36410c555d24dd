"""What programs say of themselves: readiness, the watchdog, a status, with the programs that people have for it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.integration.client import Daemon
from tests.integration.driver import ROOT, alive
from tests.integration.speaking import SPEAKS, Speaking
from tests.waiting import until

HAS_SYSTEMD_NOTIFY = pytest.mark.skipif(shutil.which("systemd-notify") is None, reason="there is no systemd-notify")


def test_it_is_running_when_it_says_so(tmp_path: Path) -> None:
    with Speaking(tmp_path, "readiness: {notify: true}, successfulStartTimeout: 60") as daemon:
        daemon.say("STATUS=reading \x1b[5mthe map")
        daemon.says(status="reading the map", phase="", main_pid=None)
        assert daemon.is_in("STARTED")
        daemon.say("READY=1|STATUS=42 served")
        daemon.is_in("RUNNING")
        assert "Says: 42 served" in daemon.ctl("status", "-l").stdout
        assert "Says: 42 served" in daemon.ctl("show", "web").stdout
        daemon.say("RELOADING=1")
        daemon.says(phase="reloading", status="42 served")
        assert "Says: reloading, 42 served" in daemon.ctl("status", "-l").stdout
        daemon.say("READY=1|STATUS=")
        daemon.says(phase="", status="")
        assert "Says" not in daemon.ctl("status", "-l").stdout
        assert len(daemon.sockets) == 1
        daemon.ctl("stop", "web")
        assert daemon.row()["says"] is None
        assert not (tmp_path / "state" / "notify").exists(), "nothing is left"


def test_one_that_never_says_so_has_failed_with_a_hint(tmp_path: Path) -> None:
    keys = "readiness: {notify: true}, successfulStartTimeout: 0.3, restart: never"
    with Speaking(tmp_path, keys, "sleep 1000") as daemon:
        row = daemon.is_in("FATAL")
        assert row["hint"] == "not ready within 0.3s: it has not said READY=1 to NOTIFY_SOCKET; does it know sd_notify?"
        assert "does it know sd_notify?" in daemon.ctl("status").stdout


def test_it_may_ask_for_more_time_to_become_ready(tmp_path: Path) -> None:
    with Speaking(tmp_path, "readiness: {notify: true}, successfulStartTimeout: 60, restart: never") as daemon:
        daemon.say("EXTEND_TIMEOUT_USEC=600000000|STATUS=long")
        daemon.says(status="long")
        daemon.write(daemon.path.read_text().replace("Timeout: 60", "Timeout: 0.2"))
        daemon.ctl("reload")
        assert daemon.is_in("FATAL")["hint"].startswith("not ready within"), "another deadline, which nobody extended"


def test_an_extension_outlasts_the_start_timeout(tmp_path: Path) -> None:
    with Speaking(tmp_path, "readiness: {notify: true}, successfulStartTimeout: 1, restart: never") as daemon:
        daemon.say("EXTEND_TIMEOUT_USEC=600000000")
        until(lambda: daemon.row()["uptime"] > 1.5, "more than it had")
        assert daemon.row()["status"] == "STARTED"
        daemon.say("READY=1")
        daemon.is_in("RUNNING")


@HAS_SYSTEMD_NOTIFY
@pytest.mark.parametrize("user", ["", "nobody"])
def test_systemd_notify_is_understood(tmp_path: Path, user: str) -> None:
    """It sends in the name of its parent where it may, and waits until its BARRIER is closed."""
    if user and os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    command = 'systemd-notify --status="it is $(id -un)"; systemd-notify --ready && exec sleep 1000'
    keys = f"readiness: {{notify: true}}, successfulStartTimeout: 60, user: {user or os.geteuid()}"
    with Speaking(tmp_path, keys, command) as daemon:
        daemon.is_in("RUNNING")
        assert daemon.row()["says"]["status"].endswith(user)
        assert "ignored" not in daemon.log, daemon.log


@HAS_SYSTEMD_NOTIFY
def test_systemd_notify_that_does_not_wait_is_heard_when_it_is_gone(tmp_path: Path) -> None:
    command = "setsid systemd-notify --no-block --ready; exec sleep 1000"
    with Speaking(tmp_path, "readiness: {notify: true}, successfulStartTimeout: 60", command) as daemon:
        os.kill(daemon.daemon, signal.SIGSTOP)
        os.kill(daemon.daemon, signal.SIGCONT)
        daemon.is_in("RUNNING")


def test_a_library_for_it_is_understood(tmp_path: Path) -> None:
    pytest.importorskip("sdnotify")
    program = tmp_path / "served.py"
    program.write_text(
        "import sdnotify, time\n"
        "told = sdnotify.SystemdNotifier()\n"
        "told.notify('READY=1')\n"
        "told.notify('STATUS=by a library')\n"
        "while True:\n"
        "    told.notify('WATCHDOG=1')\n"
        "    time.sleep(0.2)\n"
    )
    keys = "readiness: {notify: true}, successfulStartTimeout: 60, watchdog: 30"
    with Speaking(tmp_path, keys, f"{sys.executable} {program}") as daemon:
        daemon.is_in("RUNNING")
        daemon.says(status="by a library")


def test_silence_ends_it_and_signs_of_life_do_not(tmp_path: Path) -> None:
    program = tmp_path / "lives.py"
    program.write_text(
        "import os, select, socket\n"
        "mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "orders = os.open('orders', os.O_RDONLY | os.O_NONBLOCK)\n"
        "while not select.select([orders], [], [], 0.05)[0]:\n"
        "    mouth.sendto(b'WATCHDOG=1', os.environ['NOTIFY_SOCKET'])\n"
        "select.select([], [], [])\n"
    )
    keys = "successfulStartTimeout: 0, watchdog: 3, restart: never"
    with Speaking(tmp_path, keys, f"{sys.executable} {program}") as daemon:
        daemon.is_in("RUNNING")
        until(lambda: daemon.row()["uptime"] > 4, "more than it may be silent")
        daemon.say("be silent")
        row = daemon.is_in("FATAL")
        assert row["hint"] == "watchdog: nothing heard for 3s"
        assert row["exit"] == -signal.SIGTERM, "by the stop signal, through the grace"
        assert "watchdog: nothing heard for 3s" in daemon.ctl("status").stdout
        assert float(daemon.logged(r"signal SIGTERM after ([\d.]+)s")[1]) > 6


def test_a_watchdog_counts_from_running_on_and_tells_the_program(tmp_path: Path) -> None:
    command = "env | sort > env.txt; echo $$ > pid.txt; exec sleep 1000"
    keys = "readiness: {notify: true}, successfulStartTimeout: 60, watchdog: 0.1, environment: {WATCHDOG_PID: mine}"
    with Speaking(tmp_path, keys, command) as daemon:
        until(lambda: daemon.row()["uptime"] > 0.5, "some time")
        assert daemon.row()["status"] == "STARTED"
        given = dict(line.split("=", 1) for line in (tmp_path / "env.txt").read_text().splitlines())
        assert given["WATCHDOG_USEC"] == "100000"
        assert given["WATCHDOG_PID"] == (tmp_path / "pid.txt").read_text().strip()
        assert given["NOTIFY_SOCKET"] == str(daemon.sockets[0])


def test_who_does_not_ask_for_it_is_given_nothing(tmp_path: Path) -> None:
    with Speaking(tmp_path, "successfulStartTimeout: 0", "env > env.txt; exec sleep 1000") as daemon:
        daemon.is_in("RUNNING")
        until(lambda: "TASKMASTER_N" in (tmp_path / "env.txt").read_text(), "its environment")
        assert not re.search("NOTIFY_SOCKET|WATCHDOG", (tmp_path / "env.txt").read_text())
        assert daemon.row()["says"] is None
        assert not (tmp_path / "state" / "notify").exists()


def test_it_may_ask_to_be_ended_itself(tmp_path: Path) -> None:
    with Speaking(tmp_path, "successfulStartTimeout: 0, watchdog: 600, restart: always") as daemon:
        before = daemon.is_in("RUNNING")["pid"]
        daemon.say("WATCHDOG=trigger")
        until(lambda: daemon.row()["pid"] not in (None, before), "another one")
        assert "watchdog: it asked for it (WATCHDOG=trigger)" in daemon.log


def test_one_that_says_it_stops_has_its_grace_for_that(tmp_path: Path) -> None:
    keys = "successfulStartTimeout: 0, watchdog: 600, gracefulStopTimeout: 0.5, restart: never"
    with Speaking(tmp_path, keys) as daemon:
        daemon.is_in("RUNNING")
        daemon.say("STOPPING=1|EXTEND_TIMEOUT_USEC=1500000")
        row = daemon.is_in("FATAL")
        assert row["hint"] == "it said STOPPING=1, and had not ended when its grace was over"
        said, ended = (
            daemon.logged(rf"(\S+) \S+ web {event}") for event in ("notify: it says", r"state: RUNNING -> STOP")
        )
        lasted = datetime.fromisoformat(ended[1]) - datetime.fromisoformat(said[1])
        assert lasted.total_seconds() > 1.4, "the grace that it asked for"


def test_one_that_is_stopped_may_ask_for_more_time(tmp_path: Path) -> None:
    command = f"{SPEAKS} {tmp_path / 'orders'} late"
    with Speaking(tmp_path, "successfulStartTimeout: 0, watchdog: 600, gracefulStopTimeout: 2", command) as daemon:
        daemon.is_in("RUNNING")
        daemon.say("STATUS=up")
        daemon.says(status="up")
        daemon.ctl("stop", "--no-wait", "web")
        daemon.says(status="not yet")
        daemon.say("EXTEND_TIMEOUT_USEC=600000000")
        daemon.logged("SIGTERM to pid")
        until(lambda: _age_s(daemon) > 2.5, "more than its grace")
        assert daemon.row()["status"] == "STOPPING"
        daemon.say("END")
        daemon.is_in("STOPPED")


def _age_s(daemon: Speaking) -> float:
    """How long it has been in its state."""
    shown = daemon.ctl("show", "web").stdout.splitlines()[0]
    found = re.search(r"for (\d+)s", shown)
    return float(found[1]) + 0.5 if found else 0


def test_nobody_else_is_listened_to(tmp_path: Path) -> None:
    with Speaking(tmp_path, "readiness: {notify: true}, successfulStartTimeout: 60") as daemon:
        daemon.say("STATUS=mine")
        daemon.says(status="mine")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.connect(str(daemon.sockets[0]))
            for _ in range(300):
                stranger.send(b"READY=1\nSTATUS=a stranger's\nWATCHDOG=trigger")
            daemon.logged(rf"a datagram of pid {os.getpid()}, uid {os.getuid()}, which is none of its processes")
            daemon.say(f"MAINPID={os.getpid()}|STATUS=still mine")
            daemon.says(status="still mine", main_pid=None)
        assert daemon.row()["status"] == "STARTED"
        assert daemon.log.count("is ignored") < 50, "not each of them is told"


def test_a_flood_keeps_nobody_waiting(tmp_path: Path) -> None:
    flood = (
        "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
        's.connect(os.environ["NOTIFY_SOCKET"])\nn = 0\nwhile True: n += 1; s.send(b"STATUS=%d" % n)'
    )
    program = tmp_path / "flood.py"
    program.write_text(flood)
    keys = "successfulStartTimeout: 0, watchdog: 3, restart: never"
    with Speaking(tmp_path, keys, f"{sys.executable} {program}") as daemon:
        assert daemon.is_in("FATAL")["hint"] == "watchdog: nothing heard for 3s", "none of them says that it lives"
        assert daemon.log.count("it says: ") > 100, "it was listened to meanwhile"


def test_a_signal_goes_to_the_main_process_that_it_names(tmp_path: Path) -> None:
    inner = f"{SPEAKS} {tmp_path / 'orders'}"
    command = f"{inner} & wait; echo over; exec sleep 1000"
    keys = "successfulStartTimeout: 0, watchdog: 600, killMode: process, gracefulStopTimeout: 1, stdout: out.log"
    with Speaking(tmp_path, keys, command) as daemon:
        shell = daemon.is_in("RUNNING")["pid"]
        daemon.say("MAINPID=$PID")
        main = until(lambda: daemon.row()["says"]["main_pid"], "its main process")
        assert main != shell and f"its main process is {main}" in daemon.ctl("status", "-l").stdout
        daemon.ctl("signal", "TERM", "web")
        until(lambda: not alive(main), "its end")
        until(lambda: "over" in (tmp_path / "out.log").read_text(), "that the shell goes on")
        assert alive(shell)


def test_what_an_earlier_start_has_left_behind_is_no_word_of_the_next(tmp_path: Path) -> None:
    """A descendant that outlives it has the address of a socket that is gone."""
    program = tmp_path / "left.py"
    program.write_text(
        "import os, socket, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    while True:\n"
        "        try:\n"
        "            mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "            mouth.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n"
        "        except OSError:\n"
        "            os._exit(0)\n"
        "        time.sleep(0.01)\n"
        "time.sleep(1000)\n"
    )
    keys = "readiness: {notify: true}, successfulStartTimeout: 60, killMode: process"
    with Speaking(tmp_path, keys, f"{sys.executable} {program}") as daemon:
        daemon.is_in("RUNNING")
        first = daemon.sockets
        daemon.ctl("restart", "web")
        assert daemon.sockets and daemon.sockets != first
        assert len(daemon.sockets) == 1


def test_a_state_directory_that_is_too_long_is_a_failed_start_with_the_reason(tmp_path: Path) -> None:
    state = tmp_path / ("d" * 90)
    config = "tasks: {web: {command: sleep 9, autoLaunch: true, watchdog: 5, restart: never}}"
    (tmp_path / "web.yaml").touch()
    with Daemon(tmp_path, config, "--state-dir", str(state), "-l", "taskmaster.log") as daemon:
        until(lambda: daemon.state("web") == "FATAL", "its end")
        shown = daemon.ctl("status").stdout
        assert "NOTIFY_SOCKET cannot be made" in shown and "name a shorter --state-dir" in shown


def test_nonsense_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(
        "tasks:\n"
        "  a: {command: a, watchdog: 0}\n"
        "  b: {command: b, watchdog: -1}\n"
        "  c: {command: c, readiness: {notify: false}}\n"
        "  d: {command: d, readiness: {notify: true, period: 3}}\n"
        "  e: {command: e, readiness: {notify: true, tcp: 'localhost:1'}}\n"
        "  f: {command: f, liveness: {notify: true}}\n"
    )
    told = subprocess.run(
        [sys.executable, str(ROOT / "bin" / "taskmaster"), "-t", "web.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert told.returncode == 2
    lines = [int(each) for each in re.findall(r"web\.yaml:(\d+):", told.stdout + told.stderr)]
    assert sorted(set(lines)) == [2, 3, 4, 5, 6, 7], told.stderr


def test_the_example_does_what_it_says(tmp_path: Path) -> None:
    for name in ("notify.yaml", "notify.py"):
        shutil.copy(ROOT / "etc" / "examples" / name, tmp_path / name)
    config = (tmp_path / "notify.yaml").read_text()
    with Daemon(tmp_path, config, "-l", "taskmaster.log") as daemon:
        until(lambda: daemon.state("served") == "RUNNING", "that it is ready")
        until(lambda: re.search(r"Says: \d+ served", daemon.ctl("status", "-l").stdout), "what it says")


@HAS_SYSTEMD_NOTIFY
def test_systemd_notify_that_is_itself_the_process_is_understood(tmp_path: Path) -> None:
    """Where it may name its parent as the sender, that is the daemon."""
    keys = "successfulStartTimeout: 0, watchdog: 600, restart: never"
    with Speaking(tmp_path, keys, "systemd-notify --status=directly") as daemon:
        daemon.logged("web notify: it says: directly")
        daemon.is_in("EXITED")


def test_one_that_was_heard_too_late_to_look_at_it_is_listened_to(tmp_path: Path) -> None:
    program = tmp_path / "sends_and_ends.py"
    program.write_text(
        "import os, socket, time\n"
        "open('orders').readline()\n"
        "if (child := os.fork()) == 0:\n"
        "    os.setsid()\n"
        "    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "open('gone', 'w').close()\n"
        "time.sleep(1000)\n"
    )
    keys = "readiness: {notify: true}, successfulStartTimeout: 600"
    with Speaking(tmp_path, keys, f"{sys.executable} {program}") as daemon:
        daemon.is_in("STARTED")
        os.kill(daemon.daemon, signal.SIGSTOP)
        daemon.say("now")
        until((tmp_path / "gone").exists, "its end")
        os.kill(daemon.daemon, signal.SIGCONT)
        daemon.is_in("RUNNING")
