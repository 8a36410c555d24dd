"""A configuration that changed while no daemon was there, or whose reload was cut short: the next one has it hold."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.fault.lives import Life, generations, running
from tests.integration.client import Daemon
from tests.integration.driver import Taskmaster, alive
from tests.waiting import until

GRACEFUL = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"
CONFIG = f"""
    defaults: {{successfulStartTimeout: 0, autoLaunch: true}}
    tasks:
      web: {{command: "{GRACEFUL}", instances: 2, stdout: web.log, environment: {{PASSWORD: hunter2}}}}
      db: {{command: sleep 1000}}
      failed: {{command: "exit 3"}}
      fails: {{command: "exit 3"}}
      stopped: {{command: sleep 1000}}
"""


def pids(life: Daemon, *names: str) -> dict[str, int]:
    """Of what lives."""
    return {name: life.pid(name) for name in names}


def leave(life: Life) -> None:
    """Until nobody is there, with everything left running."""
    assert life.daemon.ctl("shutdown", "--keep").returncode == 0
    assert life.daemon.process.wait(30) == 0


def up(daemon: Daemon, *names: str) -> None:
    until(lambda: {daemon.state(name) for name in names} == {"RUNNING"}, f"{names} RUNNING: {daemon.errors[-2000:]}")


def test_only_what_differs_in_a_key_that_needs_a_restart_is_restarted(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        up(life.daemon, "web_1", "web_2", "db")
        until(lambda: (tmp_path / "web.log").read_text().count("up") == 2, "their traps")
        life.daemon.ctl("stop", "stopped")
        before = pids(life.daemon, "web_1", "web_2", "db")
        assert "hunter2" not in (tmp_path / "state" / "journal").read_text()
        leave(life)
        changed = CONFIG.replace("hunter2", "hunter3").replace(
            'failed: {command: "exit 3"}', "failed: {command: sleep 1000}"
        )
        changed = changed.replace("stopped: {command: sleep 1000}", "stopped: {command: sleep 2000}")
        changed = changed.replace("db: {command: sleep 1000}", "db: {command: sleep 1000, restart: always}")
        daemon = life.again(changed)
        until(lambda: not any(alive(before[name]) for name in ("web_1", "web_2")), "the end of the old ones")
        up(daemon, "web_1", "web_2", "db", "failed")
        assert daemon.pid("db") == before["db"], "a key that is live is no reason"
        assert (daemon.state("fails"), daemon.state("stopped")) == ("FATAL", "STOPPED")
        assert (tmp_path / "web.log").read_text().count("bye") == 2, "with their own signal and grace"
        told = re.findall(r"(\w+) adopt: a key that needs a restart has changed meanwhile", daemon.errors)
        assert sorted(told) == ["failed", "web_1", "web_2"]
        environ = Path(f"/proc/{daemon.pid('web_1')}/environ").read_text()
        assert "PASSWORD=hunter3\0" in environ
        after = pids(daemon, "web_1", "web_2", "db", "failed")
        leave(life)
        daemon = life.again()
        assert pids(daemon, *after) == after, "it is as the file says now"


def test_a_reload_that_changed_nothing_for_it_leaves_it_as_it_is_known(tmp_path: Path) -> None:
    """Its row is not written by that, and the next one is by something else."""
    with generations(tmp_path, CONFIG) as life:
        up(life.daemon, "web_1", "web_2", "db")
        before = pids(life.daemon, "web_1", "web_2", "db")
        life.daemon.write(CONFIG.replace("db: {command: sleep 1000}", "db: {command: sleep 1000, priority: 3}"))
        assert life.daemon.ctl("reload").returncode in (0, 1)
        leave(life)
        daemon = life.again()
        assert pids(daemon, *before) == before


def test_a_journal_of_an_earlier_release_is_no_reason(tmp_path: Path) -> None:
    with generations(tmp_path, CONFIG) as life:
        up(life.daemon, "web_1", "web_2", "db")
        before = pids(life.daemon, "web_1", "web_2", "db")
        leave(life)
        journal = tmp_path / "state" / "journal"
        text, count = re.subn(r',"imprint":"[0-9a-f]*"', "", journal.read_text())
        assert count > len(before)
        journal.write_text(text)
        daemon = life.again(CONFIG.replace("hunter2", "hunter3"))
        assert pids(daemon, *before) == before
        assert "changed meanwhile" not in daemon.errors
        assert daemon.ctl("restart", "db").returncode == 0
        leave(life)
        daemon = life.again(CONFIG.replace("db: {command: sleep 1000}", "db: {command: sleep 3000}"))
        until(lambda: "db adopt: a key that needs a restart" in daemon.errors, "what is known of it by now")


# ---- a reload that is cut short

THREE = """
    defaults: {successfulStartTimeout: 0, autoLaunch: true, gracefulStopTimeout: 1, stopSignal: INT}
    tasks:
      changing: {command: sleep 1000, instances: 3}
      other: {command: sleep 1000}
      old: {command: sleep 1000}
"""
DIFFERENT = THREE.replace("changing: {command: sleep 1000,", "changing: {command: sleep 2000,").replace("old:", "new:")


@pytest.mark.parametrize(
    "point",
    [
        *("after-stop:1", "after-restart:1", "after-restart:2", "after-reaped:1", "after-reaped:2", "after-reaped:4"),
        *("after-intent:6", "after-intent:8", "after-spawn:6", "after-spawned:6", "after-spawned:7"),
    ],
)
def test_the_rest_of_a_reload_is_carried_out_by_the_next_daemon(tmp_path: Path, point: str) -> None:
    with Taskmaster(tmp_path, THREE, TASKMASTER_FAULT=point) as taskmaster:
        names = ("changing_1", "changing_2", "changing_3", "other", "old")
        taskmaster.wait_for(**dict.fromkeys(names, "RUNNING"))
        other = taskmaster.pid("other")
        taskmaster.write(DIFFERENT)
        taskmaster.type("reload")
        assert taskmaster.process.wait(30) == -signal.SIGKILL
    assert sorted(set(running(tmp_path))) == sorted(running(tmp_path)), "no second copy"
    with Daemon(tmp_path, DIFFERENT) as daemon:
        names = ("changing_1", "changing_2", "changing_3", "other", "new")

        def through() -> bool:
            """The file holds: these run, each once and with its command, and nothing else does."""
            return (
                sorted(running(tmp_path)) == sorted(names)
                and [daemon.state(name) for name in names] == ["RUNNING"] * 5
                and {command(daemon.pid(name)) for name in names[:3]} == {"sleep 2000"}
            )

        until(through, f"the difference carried out: {daemon.errors[-3000:]}")
        assert daemon.pid("other") == other
        assert daemon.ctl("shutdown").returncode == 0
        assert daemon.process.wait(30) == 0
    assert running(tmp_path) == []


def command(pid: int) -> str:
    """What a process runs."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()


# ---- a shutdown that is cut short


@pytest.mark.parametrize("point", ["after-stop:1", "after-stop:4", "after-reaped:1", "after-reaped:3"])
def test_after_a_shutdown_that_was_cut_short_a_person_who_starts_it_has_it_up(tmp_path: Path, point: str) -> None:
    names = ("changing_1", "changing_2", "changing_3", "other")
    with Taskmaster(tmp_path, THREE) as taskmaster:
        taskmaster.wait_for(**dict.fromkeys((*names, "old"), "RUNNING"))
        taskmaster.ask("stop old")
        taskmaster.wait_for(old="STOPPED")
        taskmaster.type("shutdown --keep")
        assert taskmaster.process.wait(30) == 0
    with Taskmaster(tmp_path, THREE, TASKMASTER_FAULT=point) as taskmaster:
        taskmaster.type("shutdown")
        assert taskmaster.process.wait(30) == -signal.SIGKILL
    with Taskmaster(tmp_path, THREE) as taskmaster:
        taskmaster.wait_for(**dict.fromkeys(names, "RUNNING"), old="STOPPED")
        assert sorted(running(tmp_path)) == sorted(names)
