"""A terminal outlives the daemon: nothing is lost of what is written there, and who is attached stays so."""

from __future__ import annotations

import base64
import os
import signal
from pathlib import Path

from tests.integration.client import CLIENT, Daemon
from tests.integration.driver import alive, daemons_of, environment
from tests.rpc import Rpc
from tests.terminal import Terminal
from tests.waiting import until

LINES = 60_000
CONFIG = f"""
    defaults: {{successfulStartTimeout: 0, gracefulStopTimeout: 60, tty: true, autoLaunch: true}}
    tasks:
      repl: {{command: python3 -i -q, stopSignal: HUP, stdout: repl.log, restart: always}}
      flood: {{command: "read x; seq {LINES}; echo over; exec cat", stdout: flood.log, stopSignal: HUP}}
      json: {{command: cat, logFormat: json, stdout: json.log, stopSignal: HUP}}
"""


def up(home: Path) -> Daemon:
    daemon = Daemon(home, CONFIG, "-l", "taskmaster.log")
    until(lambda: all(row["status"] == "RUNNING" for row in daemon.rows().values()), "the boot")
    return daemon


def kill_daemon(daemon: Daemon) -> int:
    """SIGKILL to the daemon alone; the pid of the next one."""
    before = daemon.daemon
    os.kill(before, signal.SIGKILL)
    return until(lambda: next((pid for pid in daemons_of(daemon.process.pid) if pid != before), 0), "the next daemon")


def type_into(daemon: Daemon, name: str, text: str) -> None:
    with Rpc(daemon.home / "control.sock") as rpc:
        number = rpc.call("attach", words=[name])["subscription"]
        rpc.call("attach.type", subscription=number, base64=base64.b64encode(text.encode()).decode())


def attached(home: Path, name: str) -> Terminal:
    return Terminal([*CLIENT, "-s", "control.sock", "attach", name], home, environment(home) | {"TERM": "xterm"})


def test_no_byte_is_lost_and_no_hang_up_comes_when_the_daemon_is_killed_in_a_flood(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        pid = daemon.pid("flood")
        log = tmp_path / "flood.log"
        type_into(daemon, "flood", "\n")
        for part in range(1, 6):
            until(lambda part=part: log.stat().st_size > part * 40_000, "some of it")
            kill_daemon(daemon)
        until(lambda: log.read_bytes().endswith(b"over\r\n"), "all of it")
        written = log.read_bytes().replace(b"\r\n", b"\n").removeprefix(b"\n").split()
        assert written == [b"%d" % n for n in range(1, LINES + 1)] + [b"over"]
        type_into(daemon, "flood", "still typed\n")
        until(lambda: log.read_bytes().count(b"still typed\r\n") == 2, "an answer")
        assert daemon.pid("flood") == pid


def test_a_line_typed_key_by_key_into_a_log_of_whole_lines_stops_nobody(tmp_path: Path) -> None:
    """Each key is a page of the pipe, of which there are few."""
    with up(tmp_path) as daemon, Rpc(tmp_path / "control.sock") as rpc:
        number = rpc.call("attach", words=["json"], last=0)["subscription"]
        seen = b""
        for n in range(200):
            rpc.call("attach.type", subscription=number, base64=base64.b64encode(b"%d" % (n % 10)).decode())
            until(lambda n=n: rpc.call("version") and len(terminal_bytes(rpc)) > n, "its echo")
        seen = terminal_bytes(rpc)
        assert seen == b"0123456789" * 20
        assert not (tmp_path / "json.log").read_bytes()
        kill_daemon(daemon)
        type_into(daemon, "json", "\n")
        until(lambda: (tmp_path / "json.log").read_bytes().count(b"0123456789" * 20) == 2, "the line and its echo")


def terminal_bytes(rpc: Rpc) -> bytes:
    """All that was shown."""
    told = [each["params"]["base64"] for each in rpc.heard if each["method"] == "terminal"]
    return b"".join(map(base64.b64decode, told))


def test_who_is_attached_comes_back_when_the_daemon_does(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        terminal = attached(tmp_path, "repl")
        try:
            terminal.until_shown("^>>>$")
            terminal.type("answer = 6 * 7\r")
            terminal.until_shown("6 . 7\n>>>$")
            kill_daemon(daemon)
            terminal.until_shown("waiting for it")
            until(lambda: daemon.ctl("events").stdout.count("attached: ") > 0, "its return")
            terminal.type("answer + 1\r")
            terminal.until_shown("^43$")
            terminal.type("exit(0)\r")
            assert terminal.exit_code() == 0
        finally:
            terminal.close()


def test_an_upgrade_is_not_noticed_by_who_is_attached(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        until(
            lambda: Path(f"/proc/{daemon.process.pid}/cmdline").read_bytes().startswith(b"taskmaster: gua"), "a guard"
        )
        terminal = attached(tmp_path, "repl")
        try:
            terminal.until_shown("^>>>$")
            terminal.type("import time; time.sleep(0.5); print('slept' + '!')\r")
            upgraded = daemon.ctl("upgrade")
            assert upgraded.returncode == 0, upgraded.stderr
            terminal.until_shown("^slept!$")
            terminal.type("6 * 7\r")
            terminal.until_shown("^42$")
            assert "waiting for it" not in "\n".join(terminal.look())
            terminal.type("exit(3)\r")
            assert terminal.exit_code() == 0
            assert terminal.look()[-1] == "Process 'repl' has ended: exit code 3"
        finally:
            terminal.close()


def test_one_that_ended_during_an_upgrade_is_told_to_who_was_attached(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        until(
            lambda: Path(f"/proc/{daemon.process.pid}/cmdline").read_bytes().startswith(b"taskmaster: gua"), "a guard"
        )
        with Rpc(tmp_path / "control.sock") as rpc:
            number = rpc.call("attach", words=["flood"])["subscription"]
            os.kill(daemon.pid("flood"), signal.SIGSTOP)
            rpc.call("upgrade")
            os.kill(daemon.pid("flood"), signal.SIGKILL)
            told = until(
                lambda: rpc.call("version") and [each for each in rpc.heard if each["method"] == "detached"], "its end"
            )
            assert told[0]["params"] == {"subscription": number, "text": "Process 'flood' has ended: signal SIGKILL"}


def test_without_anybody_who_keeps_it_a_terminal_hangs_up(tmp_path: Path) -> None:
    """Daemon and guardian killed: the program is told as by any terminal that goes."""
    with up(tmp_path) as daemon:
        pid = daemon.pid("repl")
        daemon.kill()
        until(lambda: not alive(pid), "its end")
