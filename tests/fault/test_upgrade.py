"""An upgrade in place: the version that is installed now takes over, and nobody notices."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.client import Daemon
from tests.integration.driver import ROOT, Taskmaster, alive, daemons_of
from tests.rpc import Rpc, request
from tests.waiting import until

CONFIG = """
    defaults: {successfulStartTimeout: 0, gracefulStopTimeout: 60}
    tasks:
      quiet: {command: sleep 1000, instances: 2, autoLaunch: true, restart: always}
      talks: {command: "while read x; do echo $x; done < talk.fifo; exit 7", stdout: talks.log, autoLaunch: true,
              restart: never}
      kept: {command: "echo kept in memory; exec sleep 1000", autoLaunch: true}
      waits: {command: "exit 4", autoLaunch: true, restart: always, restartsAttempts: 9, restartDelay: 600,
              restartDelayMax: 600, successfulStartTimeout: 5}
"""


def up(home: Path, config: str = CONFIG, program: Path | None = None) -> Daemon:
    if not (home / "talk.fifo").exists():
        os.mkfifo(home / "talk.fifo")
    return Daemon(home, config, "-l", "taskmaster.log", program=program)


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def settled(daemon: Daemon) -> dict[str, Any]:
    """What is known when nothing changes by itself any more, and the guardian has what it will fall back to."""
    until(lambda: cmdline(daemon.process.pid).startswith(b"taskmaster: guardian"), "the guardian")
    until(lambda: not any(row["status"] in ("STOPPED", "STARTED") for row in daemon.rows().values()), "the boot")
    return daemon.rows()


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """A copy of the program, of which another version can be made."""
    home = tmp_path / "installed"
    for name in ("tm", "bin"):
        shutil.copytree(ROOT / name, home / name)
    yield home


def test_everything_goes_on(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        before = settled(daemon)
        until(lambda: "kept" in daemon.ctl("logs", "kept").stdout, "what is kept in memory")
        pids = daemon.process.pid, daemon.daemon
        deadline = json.loads(daemon.ctl("--json", "status", "waits").stdout)[0]
        with Rpc(tmp_path / "control.sock") as follower, Rpc(tmp_path / "control.sock") as slow:
            subscription = follower.call("logs.follow", words=["talks"])["subscription"]
            events = follower.call("events.subscribe", names=["quiet"])["subscription"]
            half = request(1, "pid", words=["quiet_1"])
            slow.send(half[:10])
            with (tmp_path / "talk.fifo").open("w") as talk:
                talk.write("one\n")
                talk.flush()
                until(lambda: (tmp_path / "talks.log").read_text() == "one\n", "the first line")
                done = daemon.ctl("upgrade")
                assert (done.returncode, done.stdout) == (0, f"Upgraded to {daemon.ctl('version').stdout.strip()}.\n")
                assert (daemon.process.pid, daemon.daemon) == pids
                assert daemon.rows() == before
                talk.write("two\n")
            slow.send(half[10:])
            assert slow.answer()["result"]["data"] == {"quiet_1": before["quiet_1"]["pid"]}
            told: list[Any] = []

            def heard() -> bool:
                message = follower.next()
                told.append(message["params"])
                return "two" in str(message)

            until(heard, "the second line")
            assert " ".join(each.get("text", "") for each in told).split() == ["one", "two"]
            assert {each["subscription"] for each in told} == {subscription}
            os.kill(before["quiet_1"]["pid"], signal.SIGKILL)
            until(lambda: follower.next()["params"]["subscription"] == events, "what happens")
        until(lambda: daemon.rows()["talks"]["status"] == "FATAL", "its end")
        assert "exit code 7" in daemon.ctl("status", "talks").stdout
        assert "kept in memory" in daemon.ctl("logs", "kept").stdout
        after = json.loads(daemon.ctl("--json", "status", "waits").stdout)[0]
        assert {key: after[key] for key in after if "deadline" not in key} == {
            key: deadline[key] for key in deadline if "deadline" not in key
        }
        assert "asked for by" in daemon.ctl("events").stdout


def test_by_a_signal(tmp_path: Path) -> None:
    with up(tmp_path) as daemon:
        before = settled(daemon)
        daemon.signal(signal.SIGUSR1)
        until(lambda: "goes on" in daemon.log, "the new version")
        assert daemon.rows() == before


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("tm/cli/main.py", "\ndef (:\n", "SyntaxError: invalid syntax"),
        ("tm/edge/linedit.py", "\nif:\n", "SyntaxError: invalid syntax"),
        ("tm/core/config.py", "\nimport no_such_library\n", "no_such_library is not installed"),
        ("tm/daemon/guardian.py", "\nelse\n", "SyntaxError"),
    ],
)
def test_a_version_that_cannot_start_is_refused(
    tmp_path: Path, installed: Path, file: str, text: str, reason: str
) -> None:
    with up(tmp_path, program=installed) as daemon:
        before, pid = settled(daemon), daemon.daemon
        with (installed / file).open("a") as source:
            source.write(text)
        done = daemon.ctl("upgrade")
        assert done.returncode == 1
        assert "Not upgraded: the new version cannot start: " in done.stderr + done.stdout
        assert reason in done.stderr + done.stdout
        assert (daemon.rows(), daemon.daemon) == (before, pid)


def test_a_version_that_ends_before_it_is_up_is_fallen_back_from(tmp_path: Path, installed: Path) -> None:
    with up(tmp_path, program=installed) as daemon:
        before, pid = settled(daemon), daemon.daemon
        service = installed / "tm" / "daemon" / "service.py"
        whole = service.read_text()
        service.write_text(
            whole.replace("    def _boot(self) -> None:\n", "    def _boot(self) -> None:\n        os._exit(3)\n")
        )
        daemon.ctl("upgrade")
        until(lambda: "the version before it goes on" in daemon.log, f"the old version: {daemon.log}")
        assert daemon.rows() == before
        assert daemons_of(daemon.process.pid) != [pid]
        os.kill(daemon.daemon, signal.SIGKILL)
        assert daemon.rows() == before, "as long as the new one is no better"
        service.write_text(whole)
        assert daemon.ctl("upgrade").returncode == 0
        assert daemon.rows() == before


def test_another_version_says_so(tmp_path: Path, installed: Path) -> None:
    with up(tmp_path, program=installed) as daemon:
        before, old = settled(daemon), daemon.ctl("version").stdout.split()[1]
        version = installed / "tm" / "__init__.py"
        version.write_text(version.read_text().replace(f'"{old}"', '"99.9"'))
        os.kill(daemon.daemon, signal.SIGKILL)
        assert daemon.rows() == before
        assert daemon.ctl("version").stdout.split()[1] == old, "a death is no order to upgrade"
        assert daemon.ctl("upgrade").stdout == "Upgraded to taskmaster 99.9.\n"
        assert daemon.rows() == before
        assert f"taskmaster 99.9 goes on (from {old})" in daemon.log
        os.kill(daemon.daemon, signal.SIGKILL)
        assert daemon.ctl("version").stdout == "taskmaster 99.9\n", "its guardian is of the new version as well"
        pid = daemon.daemon
        os.kill(daemon.process.pid, signal.SIGKILL)
        daemon.process.wait()
        assert daemon.rows() == before
        guarded = until(lambda: daemons_of(pid), "the daemon has become a guardian")
        os.kill(guarded[0], signal.SIGKILL)
        assert daemon.ctl("version").stdout == "taskmaster 99.9\n"
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), "the end")


def test_at_its_prompt_it_is_not_replaced(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, "tasks: {}\n") as taskmaster:
        assert "type: shutdown --keep, and start the new version" in taskmaster.ask("upgrade")


def test_forty_in_a_row_under_load(tmp_path: Path) -> None:
    flood = ROOT / "tests" / "programs" / "flood_until.py"
    config = f"""
        defaults: {{successfulStartTimeout: 0, autoLaunch: true, gracefulStopTimeout: 60}}
        taskmaster: {{restartFloor: 0}}
        tasks:
          quiet: {{command: sleep 1000, instances: 5}}
          flood: {{command: [{sys.executable}, {flood}, flood, told], stdout: flood.log, restart: never,
                   logMaxSize: 20MiB, logKeep: 1000}}
          short: {{command: "sleep 0.05; exit 3", restart: always, restartsAttempts: 0, restartDelay: 10ms,
                   restartDelayMax: 10ms, instances: 3}}
    """
    with up(tmp_path, config) as daemon:
        before, pids = settled(daemon), (daemon.process.pid, daemon.daemon)
        with Rpc(tmp_path / "control.sock") as client:
            for _ in range(40):
                assert client.call("upgrade")["outcome"] == 0
        assert (daemon.process.pid, daemon.daemon) == pids
        (tmp_path / "told").touch()
        until(lambda: daemon.rows()["flood"]["status"] == "EXITED", "the end of the flood")
        after = daemon.rows()
        assert {name: row for name, row in after.items() if name.startswith("quiet")} == {
            name: row for name, row in before.items() if name.startswith("quiet")
        }
        daemon.ctl("stop", "short")
        log = daemon.log
    assert "unknown" not in log
    parts = sorted(tmp_path.glob("flood.log.*"), key=lambda each: -int(each.suffix[1:]))
    found = [line.split(" ") for each in [*parts, tmp_path / "flood.log"] for line in each.read_text().splitlines()]
    assert [int(line[1]) for line in found] == list(range(len(found))), "none lost, torn or doubled"
