"""What programs say of themselves is heard and known over the death of a daemon, an upgrade, and a new beginning."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.integration.background import Background
from tests.integration.driver import kill_all
from tests.integration.speaking import SPEAKS, Speaking
from tests.rpc import Rpc
from tests.waiting import until

KEYS = "readiness: {notify: true}, successfulStartTimeout: 600, watchdog: 600, restart: always"


def kill_daemon(daemon: Speaking) -> None:
    os.kill(daemon.daemon, signal.SIGKILL)


def test_what_is_said_while_no_daemon_is_there_is_heard_by_the_next(tmp_path: Path) -> None:
    with Speaking(tmp_path, KEYS) as daemon:
        daemon.say("STATUS=warming up")
        daemon.says(status="warming up")
        before, pid = daemon.sockets, daemon.row()["pid"]
        os.kill(daemon.process.pid, signal.SIGSTOP)
        kill_daemon(daemon)
        daemon.say("READY=1")
        os.kill(daemon.process.pid, signal.SIGCONT)
        row = daemon.is_in("RUNNING")
        assert (row["pid"], row["says"]["status"]) == (pid, "warming up")
        assert daemon.sockets == before
        daemon.say("STATUS=served")
        daemon.says(status="served")
        assert not daemon.log.count("unhealthy")


def test_silence_is_noticed_by_the_next_daemon(tmp_path: Path) -> None:
    with Speaking(tmp_path, "successfulStartTimeout: 0, watchdog: 1.5, restart: never") as daemon:
        daemon.is_in("RUNNING")
        kill_daemon(daemon)
        assert daemon.is_in("FATAL")["hint"] == "watchdog: nothing heard for 1.5s"


def test_an_extension_and_a_main_process_are_known_after_a_death(tmp_path: Path) -> None:
    keys = "readiness: {notify: true}, successfulStartTimeout: 4, restart: never, killMode: process"
    with Speaking(tmp_path, keys, f"{SPEAKS} {tmp_path / 'orders'} & wait; exec sleep 1000") as daemon:
        daemon.say("EXTEND_TIMEOUT_USEC=600000000|MAINPID=$PID|STATUS=slow")
        daemon.says(status="slow")
        main = daemon.row()["says"]["main_pid"]
        kill_daemon(daemon)
        until(lambda: daemon.row()["uptime"] > 5, "more than it had")
        assert daemon.row()["status"] == "STARTED"
        daemon.says(status="slow", main_pid=main)
        daemon.say("READY=1")
        daemon.is_in("RUNNING")


def test_an_upgrade_misses_nothing(tmp_path: Path) -> None:
    with Speaking(tmp_path, KEYS) as daemon:
        daemon.say("STATUS=warming up|RELOADING=1")
        daemon.says(status="warming up", phase="reloading")
        before = daemon.row()
        assert daemon.ctl("upgrade").returncode == 0
        assert daemon.row() | {"uptime": 0} == before | {"uptime": 0}
        daemon.say("READY=1")
        daemon.is_in("RUNNING")


def test_where_the_guardian_died_too_the_next_one_listens_again(tmp_path: Path) -> None:
    first = Speaking(tmp_path, KEYS)
    try:
        first.say("STATUS=warming up")
        first.says(status="warming up")
        pid, place = first.row()["pid"], first.sockets
        kill_all(first.process.pid)
    finally:
        first.end()
    with Speaking(tmp_path, KEYS) as daemon:
        os.close(first.orders)
        assert (daemon.row()["pid"], daemon.row()["status"]) == (pid, "STARTED")
        assert daemon.sockets == place
        daemon.says(status="warming up")
        daemon.say("READY=1")
        daemon.is_in("RUNNING")


def test_a_guardian_that_dies_takes_nothing_with_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "orders")
    orders = os.open(tmp_path / "orders", os.O_RDWR)
    config = f"tasks: {{web: {{command: {SPEAKS} {tmp_path / 'orders'}, autoLaunch: true, {KEYS}}}}}"
    with Background(tmp_path, config) as background:
        before = background.up()
        os.write(orders, b"READY=1|STATUS=served\n")
        until(lambda: said(background) == "served", "what it says")
        os.kill(before, signal.SIGKILL)
        until(lambda: (pair := background.pair()) is not None and pair.guardian != before, "another guardian")
        os.write(orders, b"STATUS=still\n")
        until(lambda: said(background) == "still", "what it says then")
        assert background.log.count("(spawned)") == 1
    os.close(orders)


def said(background: Background) -> str:
    """What its program has said."""
    with Rpc(background.socket) as client:
        return str(client.call("status")["data"][0]["says"]["status"])
