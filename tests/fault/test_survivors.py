"""A daemon that is killed, and the next one, which takes over what it has left: nothing touched, nothing lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fault.lives import generations, running
from tests.integration.client import Daemon
from tests.integration.driver import ROOT, Taskmaster, alive
from tests.mounts import tmpfs
from tests.waiting import until

NUMBERED = ROOT / "tests" / "programs" / "numbered_lines.py"
CONFIG = """
    defaults: {successfulStartTimeout: 0, gracefulStopTimeout: 60}
    tasks:
      quiet: {command: sleep 1000, instances: 2, autoLaunch: true, restart: always}
      coded: {command: "read x < coded.fifo; exit $x", autoLaunch: true, restart: never}
      idle: {command: sleep 1000}
      failed: {command: "exit 3", autoLaunch: true, restart: never}
      waits: {command: "exit 4", autoLaunch: true, restart: always, restartsAttempts: 9, restartDelay: 600,
              restartDelayMax: 600, successfulStartTimeout: 5}
"""


def test_what_lives_goes_on_and_what_is_at_rest_stays_so(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        until(lambda: life.rows()["failed"]["status"] == "FATAL", "one that failed")
        until(lambda: life.rows()["waits"]["status"] == "BACKOFF", "one that waits")
        os.kill(int(str(life.rows()["quiet_2"]["pid"])), signal.SIGKILL)
        until(
            lambda: life.rows()["quiet_2"] | {"pid": 0} == {"status": "RUNNING", "pid": 0, "restarts": 1}, "a restart"
        )
        before = life.rows()
        uptime = json.loads(life.daemon.ctl("--json", "status", "quiet_1").stdout)[0]["uptime"]
        for _ in range(3):
            life.kill()
            assert alive(int(str(before["quiet_1"]["pid"])))
            life.again()
            assert life.rows() == before
        assert json.loads(life.daemon.ctl("--json", "status", "quiet_1").stdout)[0]["uptime"] >= uptime
        pid = int(str(before["quiet_1"]["pid"]))
        assert f"quiet_1 adopt: pid {pid} is taken over" in life.daemon.errors
        told = "Taken over from an earlier daemon: quiet_1, quiet_2, coded\n"
        assert told in life.daemon.ctl("status").stdout
        assert life.daemon.ctl("stop", "quiet").returncode == 0
        assert not alive(pid)
        assert life.daemon.ctl("start", "quiet").returncode == 0
        assert "Taken over from an earlier daemon: coded\n" in life.daemon.ctl("status").stdout


def test_a_survivor_that_ends_is_known_by_its_exit_code(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        life.kill()
        life.again()
        (tmp_path / "coded.fifo").write_text("7\n")
        until(lambda: life.rows()["coded"]["status"] == "FATAL", "its end")
        assert re.search(r"coded state: RUNNING -> FATAL \(reaped\), pid \d+, exit code 7", life.daemon.errors)


def test_what_ended_meanwhile_is_treated_by_its_policy_once(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        before = life.rows()
        life.kill()
        for name in ("quiet_1", "coded"):
            os.kill(int(str(before[name]["pid"])), signal.SIGKILL)
            until(lambda name=name: not alive(int(str(before[name]["pid"]))), "its end")
        life.again()
        until(lambda: life.rows()["quiet_1"]["status"] == "RUNNING", "another")
        after = life.rows()
        assert after["quiet_1"]["pid"] != before["quiet_1"]["pid"]
        assert after["quiet_1"]["restarts"] == 1
        assert after["coded"]["status"] == "FATAL"
        assert after["quiet_2"] == before["quiet_2"]
        assert "it ended while no daemon was there" in life.daemon.ctl("status").stdout


def test_the_configuration_has_changed_meanwhile(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        before = life.rows()
        life.kill()
        changed = CONFIG.replace("instances: 2", "instances: 3").replace("      coded:", "      new:")
        changed = changed.replace(
            "      idle: {command: sleep 1000}", "      idle: {command: sleep 1000, autoLaunch: true}"
        )
        life.again(changed)
        until(lambda: "coded" not in life.rows(), "the end of what is no longer there")
        assert not alive(int(str(before["coded"]["pid"])))
        after = life.rows()
        assert (after["quiet_1"], after["quiet_2"]) == (before["quiet_1"], before["quiet_2"])
        until(lambda: life.rows()["quiet_3"]["status"] == "RUNNING", "one more")
        assert after["idle"]["status"] == "RUNNING", "autoLaunch counts at a start, of what was never started by then"


def test_a_flood_loses_and_doubles_no_line(tmp_path: Path) -> None:
    config = f"""
        defaults: {{successfulStartTimeout: 0, autoLaunch: true, restart: never, logMaxSize: 1000000, logKeep: 1000}}
        tasks:
          alone: {{command: [{sys.executable}, {NUMBERED}, alone, "200000"], stdout: alone.log}}
          shared:
            command: [{sys.executable}, {NUMBERED}, "{{instance}}", "50000"]
            instances: 3
            stdout: shared.log
    """
    with generations(tmp_path, config) as life:
        kills = 0
        while any(row["status"] == "RUNNING" for row in life.rows().values()):
            life.kill()
            kills += 1
            life.again()
        assert kills > 1
        ends = {name: row["status"] for name, row in life.rows().items()}
        assert set(ends.values()) <= {"EXITED", "FATAL"}
        gone = set(re.findall(r" (\S+) adopt: pid \d+ is gone", life.daemon.errors))
    numbers: dict[str, list[int]] = {}
    for log in ("alone.log", "shared.log"):
        files = sorted(tmp_path.glob(f"{log}.*"), key=lambda each: -int(each.suffix[1:]))
        lines = "".join(file.read_text() for file in [*files, tmp_path / log]).split("\n")
        torn = lines.pop()
        assert not torn or (log == "alone.log" and "alone" in gone), (
            "what ended while nobody was there lacks its last words"
        )
        for line in lines:
            name, number, length, text = line.split(" ")
            assert text == "x" * int(length)
            numbers.setdefault(name, []).append(int(number))
    assert numbers.keys() == ends.keys()
    for name, found in numbers.items():
        assert found == list(range(len(found))), "none lost, torn or doubled between others"
        whole = 200_000 if name == "alone" else 50_000
        assert len(found) == whole or name in gone, "only what ended while nobody was there lacks its last words"


def test_a_stop_outlives_the_daemon(tmp_path: Path) -> None:
    config = """
        tasks:
          stubborn: {command: "trap '' TERM; echo armed; while :; do sleep 1; done", stdout: stubborn.log,
                     successfulStartTimeout: 0, gracefulStopTimeout: 2, autoLaunch: true}
    """
    with generations(tmp_path, config) as life:
        until(lambda: (tmp_path / "stubborn.log").read_text() == "armed\n", "its trap")
        pid = int(str(life.rows()["stubborn"]["pid"]))
        life.daemon.ctl("--no-wait", "stop", "stubborn")
        life.kill()
        life.again()
        until(lambda: not alive(pid), "SIGKILL at the end of the grace")
        until(lambda: life.rows()["stubborn"]["status"] == "STOPPED", "its rest")


def journal(home: Path) -> Path:
    return home / "state" / "journal"


def test_a_stranger_with_the_same_number_is_not_taken_over(tmp_path: Path) -> None:
    """As if the pid had been given to somebody else: on record is another identity."""
    with generations(tmp_path, CONFIG) as life:
        before = life.rows()
        life.kill()
        stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        try:
            text = journal(tmp_path).read_text()
            journal(tmp_path).write_text(text.replace(f'"pid":{before["coded"]["pid"]},', f'"pid":{stranger.pid},'))
            os.kill(int(str(before["coded"]["pid"])), signal.SIGKILL)
            life.again()
            assert life.rows()["coded"]["status"] == "FATAL"
            life.daemon.ctl("restart", "coded")
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()


@pytest.mark.parametrize("torn", [0, 1, 40])
def test_a_journal_that_is_torn_or_holds_nonsense_keeps_the_children(tmp_path: Path, torn: int) -> None:
    with generations(tmp_path, CONFIG) as life:
        life.daemon.ctl("status")
        before = life.rows()
        life.kill()
        head, _, rest = journal(tmp_path).read_bytes().partition(b"\n")
        content = (
            head
            + b"\nnonsense\xff\x00\n"
            + rest
            + b'{"kind":"row","task":"quiet","n":1,"generation":1,"state":"STA'[:torn]
        )
        journal(tmp_path).write_bytes(content)
        life.again()
        assert life.rows() == before
        assert "holds a line that makes no sense (2)" in life.daemon.errors
        assert (tmp_path / "state" / "journal.broken-1").read_bytes() == content


def test_another_boot_is_told_apart(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        before = life.rows()
        life.kill()
        for name in ("quiet_1", "quiet_2", "coded"):
            os.kill(int(str(before[name]["pid"])), signal.SIGKILL)
        text = journal(tmp_path).read_text()
        journal(tmp_path).write_text(re.sub(r'"boot":"[^"]*"', '"boot":"another"', text))
        life.again()
        until(lambda: life.rows()["quiet_1"]["status"] == "RUNNING", "a fresh start")
        assert life.rows()["quiet_1"]["restarts"] == 0
        assert "taken over" not in life.daemon.errors


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_where_nothing_can_be_put_on_record_nothing_new_is_started(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "state", "size=256k") as state, generations(tmp_path, CONFIG) as life:
        before = life.rows()
        with open(state / "filler", "ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))
        until(lambda: life.daemon.ctl("restart", "idle").returncode != 0 or "journal" in life.daemon.errors, "trouble")
        life.daemon.ctl("--no-wait", "start", "idle")
        until(
            lambda: "cannot be written (No space left on device): nothing new is started" in life.daemon.errors,
            "it is told",
        )
        assert life.rows()["quiet_1"] == before["quiet_1"]
        os.unlink(state / "filler")
        until(lambda: life.daemon.ctl("status").returncode in (0, 3), "an answer")
        life.daemon.ctl("stop", "idle")
        until(lambda: life.daemon.ctl("start", "idle").returncode == 0, "room again")


def test_the_form_with_a_shell_takes_over_as_well(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        before = life.rows()
        life.kill()
        with Taskmaster(tmp_path, CONFIG) as taskmaster:
            assert taskmaster.status()["quiet_1"]["pid"] == before["quiet_1"]["pid"]
            assert taskmaster.leave(60) == 0
        assert not alive(int(str(before["quiet_1"]["pid"])))


@pytest.mark.parametrize(
    "point", ["after-intent", "after-spawn", "after-spawned", "after-ended", "after-reaped", "after-timeout"]
)
def test_killed_at_a_named_point_nothing_runs_twice_or_is_lost(tmp_path: Path, point: str) -> None:
    """Each time it dies there the third time, until nothing happens there any more."""
    config = """
        defaults: {restart: always, restartsAttempts: 0, restartDelay: 20ms, restartDelayMax: 20ms}
        taskmaster: {restartFloor: 20ms}
        tasks:
          quiet: {command: sleep 1000, instances: 3, autoLaunch: true, successfulStartTimeout: 100ms}
          short: {command: "sleep 0.05; exit 3", autoLaunch: true, successfulStartTimeout: 0, restart: always}
    """
    environment = {"TASKMASTER_FAULT": f"{point}:3"}
    (tmp_path / "web.yaml").write_text(config)
    for _ in range(4):
        with ExitStack() as stack:  # with a prompt nobody starts it again
            dying = Taskmaster(tmp_path, config, **environment)
            stack.callback(dying.end)
            dying.process.wait(60)
            assert dying.process.returncode == -signal.SIGKILL
            names = [name for name in running(tmp_path) if name.startswith("quiet")]
            assert len(names) == len(set(names)), "no second copy"
    with Daemon(tmp_path, config) as daemon:
        names = ("quiet_1", "quiet_2", "quiet_3")
        until(lambda: [daemon.state(name) for name in names] == ["RUNNING"] * 3, "all of them")
        assert sorted(name for name in running(tmp_path) if name.startswith("quiet")) == list(names)
        daemon.ctl("shutdown")
        daemon.process.wait(60)
    assert running(tmp_path) == []
