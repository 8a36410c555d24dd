"""Jobs by the real program: schedules on a faked clock, overlaps, deadlines, what is kept of the runs."""

from __future__ import annotations

import json
import os
import re
import signal
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.integration.client import Daemon
from tests.integration.driver import ROOT, alive, daemons_of, run
from tests.waiting import until

LIBRARY = next(iter([*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]), None)
"""What makes a program see another wall clock; the machine's own is not touched."""
faked = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
BERLIN = ZoneInfo("Europe/Berlin")
DONE = "exit code 0 after "


class Clock:
    """A wall clock for the programs that have `variables`. It goes on from where it is set to."""

    def __init__(self, home: Path, shows: str) -> None:
        self._path = home / "clock"
        self.set(shows)
        self.variables = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, shows: str) -> None:
        """`shows`: what a clock in Berlin shows. The kernel does not tell of it, since it is not its own."""
        ahead_s = datetime.fromisoformat(shows).replace(tzinfo=BERLIN).timestamp() - datetime.now().timestamp()
        new = self._path.with_suffix(".new")
        new.write_text(f"{ahead_s:+.2f}\n")
        new.replace(self._path)


def config(text: str) -> str:
    return f"defaults: {{environment: {{LD_PRELOAD: ''}}, timeZone: Europe/Berlin}}\n{text}"


def up(home: Path, text: str, clock: Clock | None = None) -> Daemon:
    return Daemon(home, config(text), "-l", "taskmaster.log", **({} if clock is None else clock.variables))


def row(daemon: Daemon, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(daemon.ctl("--json", "show", name).stdout)[0]
    return found


def runs(daemon: Daemon, name: str, count: int) -> list[dict[str, Any]]:
    """Wait for so many runs; the latest first."""

    def enough() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = row(daemon, name)["runs"]
        return found if len(found) >= count else None

    found = until(enough, f"{count} run(s) of {name}, but: {daemon.log[-2000:]}")
    assert len(found) == count
    return found


def comes(daemon: Daemon, clock: Clock, shows: str) -> None:
    """The clock is set to shortly before something is due. A reload, as any look, reckons anew."""
    clock.set(shows)
    assert daemon.ctl("reload").returncode == 0


# ---- schedules


@faked
def test_it_runs_when_it_is_due_and_says_when_next(tmp_path: Path) -> None:
    clock = Clock(tmp_path, "2026-11-27T02:30:00")
    with up(tmp_path, 'tasks: {backup: {command: echo saved, schedule: "0 3 * * *"}}', clock) as daemon:
        assert row(daemon, "backup")["next"] == "2026-11-27T03:00:00+01:00"
        line = r"backup: next Fri 03:00 Europe/Berlin \(in 29m\); last: never"
        assert re.search(line, daemon.ctl("status").stdout)
        comes(daemon, clock, "2026-11-27T02:59:57")
        (ended,) = runs(daemon, "backup", 1)
        assert ended["began"].startswith("2026-11-27T03:00:0")
        assert (ended["exit"], ended["by"]) == (0, "its schedule")
        line = r"backup: next Sat 03:00 Europe/Berlin \(in 23h\); last: exit code 0 after 0\.\d\ds, \d+s ago"
        assert re.search(line, daemon.ctl("status").stdout)
        assert re.search(
            r"\n  runs\n    2026-11-27 03:00:0\d  exit code 0 after 0", daemon.ctl("show", "backup").stdout
        )
        assert daemon.ctl("logs", "backup").stdout == "saved\n"


@faked
def test_a_time_that_the_clock_skips_is_right_after_the_gap(tmp_path: Path) -> None:
    clock = Clock(tmp_path, "2026-03-29T01:00:00")
    with up(tmp_path, 'tasks: {backup: {command: "true", schedule: "30 2 * * *"}}', clock) as daemon:
        assert row(daemon, "backup")["next"] == "2026-03-29T03:00:00+02:00"
        comes(daemon, clock, "2026-03-29T01:59:57")
        assert runs(daemon, "backup", 1)[0]["began"].startswith("2026-03-29T03:00:0")
        assert row(daemon, "backup")["next"] == "2026-03-30T02:30:00+02:00"


@faked
def test_the_zone_of_the_machine_is_that_of_its_variable(tmp_path: Path) -> None:
    clock = Clock(tmp_path, "2026-11-27T12:00:00")
    text = 'tasks: {backup: {command: "true", schedule: "0 3 * * *"}}'
    with Daemon(tmp_path, text, "-l", "taskmaster.log", TZ="Asia/Tokyo", **clock.variables) as daemon:
        assert row(daemon, "backup")["next"] == "2026-11-28T03:00:00+09:00"
        assert "backup: next Sat 03:00 (in 6h)" in daemon.ctl("status").stdout


@faked
def test_a_tick_between_two_daemons_is_carried_out_once(tmp_path: Path) -> None:
    clock = Clock(tmp_path, "2026-11-27T02:30:00")
    with up(tmp_path, 'tasks: {backup: {command: sleep 1, schedule: "0 3 * * *"}}', clock) as daemon:
        until((tmp_path / "state" / "runs").exists, "the time from which it counts, on record")
        killed = daemon.daemon
        os.kill(daemon.process.pid, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        clock.set("2026-11-27T03:00:20")
        os.kill(daemon.process.pid, signal.SIGCONT)
        until(lambda: daemons_of(daemon.process.pid) not in ([], [killed]), "the next daemon")
        until(lambda: daemon.rows()["backup"]["pid"], "its run")
        os.kill(daemon.daemon, signal.SIGKILL)
        (ended,) = runs(daemon, "backup", 1)
        assert (ended["exit"], ended["by"]) == (0, "its schedule")
        assert 1 <= ended["lived"] < 20
        assert ended["began"] > "2026-11-27T03:00:20"
        assert daemon.log.count("(start), by its schedule") == 1


@faked
def test_what_a_tick_does_beside_a_run_that_goes_on(tmp_path: Path) -> None:
    text = """
tasks:
  skips: {command: sleep 1000, schedule: "* * * * *"}
  queues: {command: "until [ -e done ]; do sleep 0.05; done", schedule: "* * * * *", overlap: queue}
  kills: {command: sleep 1000, schedule: "* * * * *", overlap: kill, successfulStartTimeout: 0}
"""
    clock = Clock(tmp_path, "2026-11-27T02:30:10")
    with up(tmp_path, text, clock) as daemon:
        comes(daemon, clock, "2026-11-27T02:59:58")
        before = until(lambda: all(each["pid"] for each in daemon.rows().values()) and daemon.rows(), "all run")
        comes(daemon, clock, "2026-11-27T03:40:58")
        until(lambda: daemon.rows()["kills"]["pid"] not in (None, before["kills"]["pid"]), "the other run")
        assert row(daemon, "kills")["runs"][0]["exit"] == -signal.SIGTERM
        assert daemon.rows()["skips"] == before["skips"]
        assert daemon.rows()["queues"] == before["queues"]
        assert "skips schedule: due: its last run goes on, so this one is left out" in daemon.log
        (tmp_path / "done").touch()
        runs(daemon, "queues", 2)


@faked
def test_stopped_by_hand_it_is_off_the_schedule_also_in_the_next_daemon(tmp_path: Path) -> None:
    clock = Clock(tmp_path, "2026-11-27T02:30:00")
    text = 'tasks: {backup: {command: "true", schedule: "0 3 * * *"}}'
    off = "backup: off the schedule: stopped by hand; type: start backup; last: never"
    with up(tmp_path, text, clock) as daemon:
        done = daemon.ctl("stop", "backup")
        assert (done.returncode, done.stdout) == (0, "Process 'backup' is off its schedule until it is started\n")
        assert off in daemon.ctl("status").stdout
        assert row(daemon, "backup")["next"] is None
    with up(tmp_path, text, clock) as daemon:
        assert "backup' stays stopped, as an operator wished" in daemon.log
        assert off in daemon.ctl("status").stdout
        comes(daemon, clock, "2026-11-27T03:00:10")
        assert row(daemon, "backup")["runs"] == []
        assert daemon.ctl("start", "backup").returncode == 0
        (ended,) = runs(daemon, "backup", 1)
        assert ended["by"].startswith("uid ")
        assert row(daemon, "backup")["next"] == "2026-11-28T03:00:00+01:00"
    with up(tmp_path, text, clock) as daemon:
        assert row(daemon, "backup")["runs"] == [ended], "and it does not run at load"


def test_a_schedule_that_makes_no_sense_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        'tasks:\n  a: {command: x, schedule: "0 0 30 2 *"}\n  b: {command: x, oneshot: true, restart: always}\n'
    )
    done = run(tmp_path, "-t", "bad.yaml")
    assert done.returncode == 2
    assert "bad.yaml:2:29: 'schedule' of task 'a': it is never due" in done.stderr + done.stdout
    assert "bad.yaml:3:43: 'restart' of task 'b': the task is oneshot" in done.stderr + done.stdout


# ---- runs


def test_a_job_is_waited_for_and_told_by_its_end(tmp_path: Path) -> None:
    text = """
tasks:
  works: {command: sleep 0.1, oneshot: true}
  fails: {command: exit 3, oneshot: true, restart: on-failure, restartsAttempts: 1, restartDelay: 0.01}
"""
    with up(tmp_path, text) as daemon:
        done = daemon.ctl("start", "works")
        assert done.returncode == 0, done
        assert "Process 'works' exited: exit code 0 after 0." in done.stdout
        done = daemon.ctl("start", "fails")
        assert done.returncode == 1
        assert [each["exit"] for each in runs(daemon, "fails", 2)] == [3, 3], "each attempt is a run"
        until(lambda: daemon.state("fails") == "FATAL", "it is given up")
        status = daemon.ctl("status").stdout
        assert re.search(r"works: last: exit code 0 after 0\.\d+s, \ds ago", status)
        assert re.search(r"fails: last: exit code 3 after", status)


def test_a_start_by_hand_of_a_job_is_no_lasting_wish(tmp_path: Path) -> None:
    text = "tasks: {migrate: {command: 'true', oneshot: true}, web: {command: sleep 1000, successfulStartTimeout: 0}}"
    with up(tmp_path, text) as daemon:
        assert daemon.ctl("start", "all").returncode == 0
    with up(tmp_path, text) as daemon:
        until(lambda: daemon.rows()["web"]["status"] == "RUNNING", "what was wished up is up")
        assert len(row(daemon, "migrate")["runs"]) == 1


def test_a_reload_runs_no_job_and_ends_none(tmp_path: Path) -> None:
    text = """
tasks:
  through: {{command: {0}, oneshot: true, autoLaunch: true, umask: {1}}}
  runs: {{command: "until [ -e go ]; do sleep 0.05; done", oneshot: true, autoLaunch: true, umask: {1}}}
  failed: {{command: exit {2}, oneshot: true, autoLaunch: true, successfulStartTimeout: 0}}
"""
    with up(tmp_path, text.format("umask", "022", 3)) as daemon:
        until(lambda: daemon.state("failed") == "FATAL" and daemon.state("through") == "EXITED", "their ends")
        pid = daemon.pid("runs")
        daemon.write(config(text.format("umask", "027", 0)))
        said = daemon.ctl("reload").stdout
        assert "update   through: umask changed, from its next run on" in said
        until(lambda: daemon.state("failed") == "EXITED", "what had failed is tried again")
        assert (daemon.pid("runs"), len(row(daemon, "through")["runs"])) == (pid, 1)
        os.kill(daemon.daemon, signal.SIGKILL)
        until(lambda: daemon.rows()["runs"]["pid"] == pid, "nor does the next daemon")
        daemon.ctl("start", "through")
        assert daemon.ctl("logs", "through", "1").stdout.strip().endswith("027")


def test_runs_outlast_a_kill_an_upgrade_and_the_daemon(tmp_path: Path) -> None:
    text = 'tasks: {job: {command: "read x < fifo; exit $x", oneshot: true}}'
    os.mkfifo(tmp_path / "fifo")
    with up(tmp_path, text) as daemon:
        daemon.ctl("--no-wait", "start", "job")
        pid = until(lambda: daemon.rows()["job"]["pid"], "it runs")
        killed = daemon.daemon
        os.kill(killed, signal.SIGKILL)
        until(lambda: daemons_of(daemon.process.pid) not in ([], [killed]), "the next daemon")
        assert daemon.ctl("upgrade").returncode == 0
        (tmp_path / "fifo").write_text("4\n")
        (ended,) = runs(daemon, "job", 1)
        assert (ended["exit"], ended["by"][:4]) == (4, "uid ")
        assert not alive(pid)
    with up(tmp_path, text) as daemon:
        assert row(daemon, "job")["runs"] == [ended]


def test_a_file_of_runs_that_makes_no_sense_is_told_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    good = '{"ended":["job",1,1790000000,"",2.5,[0,false],""]}'
    (tmp_path / "state" / "runs").write_bytes(f"nonsense\n{good}\n".encode() + b'{"begun": ["job", 1\xff')
    with up(tmp_path, 'tasks: {job: {command: "true", oneshot: true}}') as daemon:
        assert "1 line(s) of" in daemon.log
        assert row(daemon, "job")["runs"][0]["lived"] == 2.5
        assert daemon.ctl("start", "job").returncode == 0
        runs(daemon, "job", 2)
    lines = (tmp_path / "state" / "runs").read_text(errors="replace").splitlines()
    assert json.loads(lines[-1])["ended"][0] == "job", "a torn line spoils no other"


def test_a_state_directory_that_takes_nothing_holds_up_no_run(tmp_path: Path) -> None:
    (tmp_path / "state" / "runs").mkdir(parents=True)
    with up(tmp_path, 'tasks: {job: {command: "true", oneshot: true}}') as daemon:
        assert daemon.ctl("start", "job").returncode == 0
        runs(daemon, "job", 1)
        assert "cannot be written" in daemon.log


# ---- deadlines


def test_a_deadline_ends_any_task_and_counts_from_its_spawn(tmp_path: Path) -> None:
    text = """
tasks:
  web: {{command: sleep 1000, autoLaunch: true, restart: always, successfulStartTimeout: 0, deadline: {0}}}
  job: {{command: sleep 1000, autoLaunch: true, oneshot: true, deadline: {0}}}
"""
    with up(tmp_path, text.format("1h")) as daemon:
        before = until(lambda: all(each["pid"] for each in daemon.rows().values()) and daemon.rows(), "both run")
        os.kill(daemon.daemon, signal.SIGKILL)
        assert daemon.rows()["job"]["pid"] == before["job"]["pid"]
        daemon.write(config(text.format("500ms")))
        daemon.ctl("--no-wait", "reload")
        until(lambda: daemon.rows()["job"]["status"] == "FATAL", "its end")
        until(lambda: daemon.rows()["web"]["restarts"] > 1, "it is started again")
        assert row(daemon, "job")["hint"] == "its deadline of 0.5s is over"
        assert "signal SIGTERM after" in row(daemon, "job")["runs"][0]["result"]
        assert "its deadline of 0.5s is over" in daemon.ctl("status").stdout


# ---- the example


def test_the_example_runs(tmp_path: Path) -> None:
    with Daemon(tmp_path, (ROOT / "etc/examples/jobs.yaml").read_text(), "-l", "taskmaster.log") as daemon:
        until(lambda: daemon.state("migrate") == "EXITED", "it runs with each start")
        assert daemon.ctl("start", "leaky").returncode == 0 or daemon.state("leaky") == "STARTED"
        assert daemon.ctl("start", "backup").returncode == 0
        assert daemon.ctl("logs", "backup").stdout == "saving\nsaved\n"
        status = daemon.ctl("status").stdout
        assert re.search(r"backup: next \w\w\w 03:00 Europe/Berlin \(in \d+\w\); last: exit code 0 after", status)
        assert "report: next " in status
