"""`shutdown --keep`: the daemon leaves, what it keeps goes on, and the next daemon takes it over."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.fault.lives import generations, running
from tests.integration.client import Daemon
from tests.integration.driver import PROGRAM, ROOT, Taskmaster, alive
from tests.mounts import on_an_empty_machine, tmpfs
from tests.rpc import Rpc
from tests.waiting import until

FLOOD = ROOT / "tests" / "programs" / "flood_until.py"
CONFIG = """
    defaults: {successfulStartTimeout: 0, gracefulStopTimeout: 60}
    tasks:
      quiet: {command: sleep 1000, instances: 2, autoLaunch: true, restart: always}
      idle: {command: sleep 1000}
      failed: {command: "exit 3", autoLaunch: true, restart: never}
      waits: {command: "exit 4", autoLaunch: true, restart: always, restartsAttempts: 9, restartDelay: 600,
              restartDelayMax: 600, successfulStartTimeout: 5}
"""
ALARM = re.compile(r"(?m)^.* (WARNING|ERROR) .*$")
KEPT = "process(es) go on running; the next taskmaster takes them over."


def test_what_runs_goes_on_and_the_next_daemon_has_it(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        until(lambda: life.rows()["failed"]["status"] == "FATAL", "one that failed")
        until(lambda: life.rows()["waits"]["status"] == "BACKOFF", "one that waits")
        before = life.rows()
        for _ in range(2):
            done = life.daemon.ctl("shutdown", "--keep")
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.splitlines()[-2:] == [f"2 {KEPT}", "The daemon has left."]
            assert life.daemon.process.wait(30) == 0
            assert sorted(running(tmp_path)) == ["quiet_1", "quiet_2"]
            assert not (tmp_path / "control.sock").exists()
            told = len(life.daemon.errors)
            life.again()
            assert life.rows() == before
            assert not ALARM.search(life.daemon.errors[told:])
            for name in ("quiet_1", "quiet_2"):
                assert f"{name} adopt: pid {before[name]['pid']} is taken over\n" in life.daemon.errors[told:]
        assert "-> STOPPING" not in life.daemon.errors


def test_what_waits_for_its_next_attempt_is_started_when_that_is_due(tmp_path: Path) -> None:
    config = """
        tasks:
          waits: {command: "exit 4", autoLaunch: true, restart: always, restartsAttempts: 9, restartDelay: 2s}
    """
    with generations(tmp_path, config) as life:
        until(lambda: life.rows()["waits"]["status"] == "BACKOFF", "one that waits")
        assert life.daemon.ctl("shutdown", "--keep").returncode == 0
        life.again()
        until(lambda: int(str(life.rows()["waits"]["restarts"])) > 1, "its next attempts")


def test_output_waits_in_the_pipes(tmp_path: Path) -> None:
    """Nothing is lost, doubled or torn, and no line gets an end that its writer has not given it."""
    config = f"""
        defaults: {{successfulStartTimeout: 0, autoLaunch: true, restart: never}}
        tasks:
          alone: {{command: [{sys.executable}, {FLOOD}, alone, flag], stdout: alone.log, logMaxSize: 0}}
          shared:
            command: [{sys.executable}, {FLOOD}, "{{instance}}", flag]
            instances: 2
            stdout: shared.log
            logMaxSize: 0
    """
    with generations(tmp_path, config) as life:
        for _ in range(3):
            size = (tmp_path / "shared.log").stat().st_size
            until(lambda size=size: (tmp_path / "shared.log").stat().st_size > size, "more output")
            assert life.daemon.ctl("shutdown", "--keep").returncode == 0
            life.again()
        (tmp_path / "flag").touch()
        until(lambda: {row["status"] for row in life.rows().values()} == {"EXITED"}, "the last lines")
    numbers: dict[str, list[int]] = {}
    for log in ("alone.log", "shared.log"):
        for line in (tmp_path / log).read_text().splitlines():
            name, number, *rest = line.split(" ")
            assert rest in ([str(int(number) * 7 % 211), "x" * (int(number) * 7 % 211)], ["end"]), line
            numbers.setdefault(name, []).append(int(number))
    assert sorted(numbers) == ["alone", "shared_1", "shared_2"]
    for found in numbers.values():
        assert found == list(range(len(found)))


def test_at_the_prompt(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        life.daemon.ctl("shutdown", "--keep")
        with Taskmaster(tmp_path, CONFIG) as taskmaster:
            pid = taskmaster.pid("quiet_1")
            taskmaster.type("shutdown --keep")
            assert taskmaster.process.wait(30) == 0
            assert taskmaster.output.endswith(f"Exiting Taskmaster...\n2 {KEPT}\n")
        assert alive(pid)
        life.again()
        assert life.rows()["quiet_1"]["pid"] == pid


def test_over_the_socket_and_as_json(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        until(lambda: life.rows()["waits"]["status"] == "BACKOFF", "its first end")
        with Rpc(tmp_path / "control.sock") as rpc:
            rows = {row["name"]: row["pid"] for row in rpc.call("status")["data"]}
            kept = [{"name": name, "pid": rows[name]} for name in ("quiet_1", "quiet_2")]
            assert rpc.call("shutdown", options=["--keep"])["data"] == {"kept": kept}
            with pytest.raises(EOFError):
                rpc.next()
        life.daemon.process.wait(30)
        daemon = life.again()
        assert json.loads(daemon.ctl("--json", "shutdown", "--keep").stdout) == {"left": True, "kept": kept}
        daemon.process.wait(30)
        life.again()


def test_not_while_everything_is_being_stopped(tmp_path: Path) -> None:
    config = """
        tasks:
          stubborn: {command: "trap '' TERM; echo armed; while :; do sleep 1; done", stdout: stubborn.log,
                     successfulStartTimeout: 0, gracefulStopTimeout: 60, autoLaunch: true}
    """
    with Daemon(tmp_path, config) as daemon:
        until(lambda: (tmp_path / "stubborn.log").read_text() == "armed\n", "its trap")
        daemon.ctl("--no-wait", "shutdown")
        done = daemon.ctl("shutdown", "--keep")
        assert (done.returncode, done.stdout, done.stderr) == (
            1,
            "",
            "Nothing was done: taskmaster is leaving already.\n",
        )
        assert daemon.state("stubborn") == "STOPPING"
        daemon.ctl("shutdown")
        assert daemon.process.wait(30) == 0
    assert running(tmp_path) == []


def test_a_further_request_ends_what_is_still_waited_for_and_no_process(tmp_path: Path) -> None:
    """Somebody is just being told of a failure, for which the end waits a little."""
    config = "taskmaster: {onEvent: 'touch told; exec sleep 1000'}\n" + "\n".join(
        line[4:] for line in CONFIG.splitlines()
    )
    with generations(tmp_path, config) as life:
        until((tmp_path / "told").exists, "the command")
        before = life.rows()
        assert life.daemon.ctl("--no-wait", "shutdown", "--keep").returncode == 0
        life.daemon.signal(signal.SIGTERM)
        assert life.daemon.process.wait(30) == 0
        assert "asked again" not in life.daemon.errors
        assert sorted(running(tmp_path)) == ["quiet_1", "quiet_2"]
        life.again()
        assert life.rows() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a mount namespace")
def test_refused_where_nothing_is_on_record(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("tasks: {web: {command: sleep 1000, autoLaunch: true}}\n")
    script = f"touch /var/lib/taskmaster\n(echo shutdown --keep; echo pid web) | {' '.join(PROGRAM)} web.yaml"
    done = on_an_empty_machine(tmp_path, script)
    assert done.returncode == 0
    assert (
        "Nothing was done: the next taskmaster could not take the processes over, since there is no state directory to "
        "put them on record in (--state-dir); type: shutdown\n"
    ) in done.stdout
    assert re.search(r"(?m)^web +\d+$|^\d+$", done.stdout), "it is still there and answers"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_refused_where_the_journal_cannot_be_written(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "state", "size=256k") as state, generations(tmp_path, CONFIG) as life:

        def full() -> bool:
            """Fill it until nothing can be put on record, not even by compaction."""
            with open(state / "filler", "ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
                while True:
                    file.write(bytes(4096))
            life.daemon.ctl("--no-wait", "restart", "idle")
            told = re.findall(r"journal \S+ (cannot be written|is written again)", life.daemon.errors)
            return told[-1:] == ["cannot be written"]

        until(full, "trouble")
        done = life.daemon.ctl("shutdown", "--keep")
        assert done.returncode == 1
        assert "since the journal cannot be written (No space left on device)" in done.stderr
        os.unlink(state / "filler")
        assert life.daemon.ctl("shutdown", "--keep").returncode == 0
        life.daemon.process.wait(30)
        before = sorted(running(tmp_path))
        life.again()
        assert sorted(running(tmp_path)) == before
        assert before[-2:] == ["quiet_1", "quiet_2"]
