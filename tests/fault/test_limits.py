"""Limits on memory and age hold whatever becomes of the daemon, and wake nobody who has not asked for them."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.test_idle import sleeps_on, wake_ups
from tests.integration.client import Daemon
from tests.integration.driver import alive, daemons_of
from tests.integration.test_limits import TAKES, comes_to
from tests.waiting import until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

BIG = f"""
    defaults: {{autoLaunch: true, successfulStartTimeout: 0, restart: never}}
    tasks:
      big: {{command: "{TAKES} 80 child go.fifo", memoryMax: 60MiB}}
"""
OLD = """
    defaults: {autoLaunch: true, successfulStartTimeout: 0, restart: never}
    tasks:
      old: {command: exec sleep 1000, maxAge: 6s}
"""


def killed(daemon: Daemon) -> None:
    """Its guardian has another one."""
    before = daemon.daemon
    os.kill(before, signal.SIGKILL)
    until(lambda: [pid for pid in daemons_of(daemon.process.pid) if pid != before], "the next daemon")


def upgraded(daemon: Daemon) -> None:
    """The same version again."""
    assert daemon.ctl("upgrade").returncode == 0


WAYS = pytest.mark.parametrize("replaced", [killed, upgraded])


@WAYS
def test_the_next_daemon_looks_at_memory(tmp_path: Path, replaced: Callable[[Daemon], None]) -> None:
    os.mkfifo(tmp_path / "go.fifo")
    with Daemon(tmp_path, BIG, "-l", "taskmaster.log") as daemon:
        pid = daemon.pid("big")
        replaced(daemon)
        assert daemon.pid("big") == pid
        (tmp_path / "go.fifo").write_text("go")
        assert "is over the 60MiB allowed" in comes_to(daemon, "FATAL", "big")["hint"]
        assert daemon.log.count("(unhealthy)") == 1


@WAYS
def test_the_next_daemon_knows_the_age(tmp_path: Path, replaced: Callable[[Daemon], None]) -> None:
    with Daemon(tmp_path, OLD, "-l", "taskmaster.log") as daemon:
        pid = daemon.pid("old")
        due = until(lambda: re.search(r"restarted in (\d)s", daemon.ctl("show", "old").stdout), "an age")
        replaced(daemon)
        now = re.search(r"restarted in (\d)s", daemon.ctl("show", "old").stdout)
        assert daemon.pid("old") == pid
        assert now is None or int(now[1]) <= int(due[1]), "the same instant"
        until(lambda: daemon.rows()["old"]["restarts"] == 1, "an automatic start")
        assert re.search(r"maxAge: it is [56]s old", daemon.log)


def test_a_restart_for_age_that_its_daemon_did_not_live_to_see_is_done_and_counted_once(tmp_path: Path) -> None:
    deaf = """
        tasks:
          old: {command: "trap '' TERM; touch deaf; while :; do sleep 1; done", autoLaunch: true, maxAge: 1s,
                successfulStartTimeout: 0, gracefulStopTimeout: 600, killMode: process}
    """
    with Daemon(tmp_path, deaf, "-l", "taskmaster.log") as daemon:
        until((tmp_path / "deaf").exists, "one that hears no SIGTERM")
        pid = daemon.pid("old")
        comes_to(daemon, "STOPPING", "old")
        daemon.write(deaf.replace("maxAge: 1s", "maxAge: 1d"))
        assert daemon.ctl("reload").returncode == 0
        killed(daemon)
        assert daemon.rows()["old"] == {"status": "STOPPING", "pid": pid, "restarts": 1}
        os.kill(pid, signal.SIGKILL)
        assert comes_to(daemon, "RUNNING", "old")["restarts"] == 1
        assert not alive(pid)
        daemon.write(deaf.replace("gracefulStopTimeout: 600", "gracefulStopTimeout: 0").replace("maxAge: 1s, ", ""))
        assert daemon.ctl("reload").returncode == 0


def test_only_who_asked_for_it_is_looked_at(tmp_path: Path) -> None:
    config = "tasks: {web: {command: exec sleep 1000, autoLaunch: true, successfulStartTimeout: 0, maxAge: 1d"
    with Daemon(tmp_path, f"{config}, memoryMax: 1GiB}}}}") as daemon:
        before = wake_ups(daemon.daemon)
        until(lambda: wake_ups(daemon.daemon) > before + 1, "a look now and then")
        daemon.write(f"{config}}}}}")
        assert daemon.ctl("reload").returncode == 0
        before = wake_ups(daemon.daemon)
        until(lambda: wake_ups(daemon.daemon) > before, "the last look, which finds nobody to look at")
        sleeps_on(daemon.daemon)
