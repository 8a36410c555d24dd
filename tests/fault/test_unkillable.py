"""A child that no signal ends: it is shown with the reason, a stop does not lie about it, and the daemon can leave."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.fault.kernel import processes
from tests.fault.test_bad_input import open_the_way_to
from tests.integration.driver import Taskmaster, alive
from tests.rpc import Rpc
from tests.waiting import until

NOBODY = 65534
FREEZER = Path("/sys/fs/cgroup/freezer")
"""Of the first version: what it has frozen waits where not even SIGKILL is heard."""


@pytest.fixture
def become_root(tmp_path: Path) -> Iterator[str]:
    """The command of a program that is root for good, whoever starts it; skipped where that cannot be had."""
    program = shutil.which("setpriv")
    if os.geteuid() != 0 or program is None:
        pytest.skip("only root can make a program that is root for everybody, by means of setpriv")
    copy = tmp_path / "become-root"
    shutil.copyfile(program, copy)
    copy.chmod(0o4755)
    open_the_way_to(tmp_path)
    command = [str(copy), "--reuid", "0", "--regid", "0", "--clear-groups"]
    asked = [*command, "id", "-ru"]
    told = subprocess.run(
        asked, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=False, cwd="/"
    )
    if told.stdout != "0\n":
        pytest.skip("set-user-ID programs do nothing here")
    yield " ".join(command)
    copy.unlink()


@contextmanager
def daemon_of_nobody(home: Path, command: str, settings: str = "") -> Iterator[tuple[Taskmaster, int]]:
    """A taskmaster that is nobody and keeps one child that is root; the child's pid."""
    os.chown(home, NOBODY, NOBODY)
    config = f"""
        taskmaster: {{user: nobody{settings}}}
        tasks:
          web: {{command: {command} sleep 1000, autoLaunch: true, gracefulStopTimeout: 100ms}}
    """
    taskmaster = Taskmaster(home, config)
    try:
        with taskmaster:
            pid = until(lambda: taskmaster.status()["web"]["pid"], "a pid")
            until(lambda: os.stat(f"/proc/{pid}").st_uid == 0, "the child is root")
            yield taskmaster, pid
    finally:
        for each in processes(home):
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)


def test_what_may_not_be_signalled_is_told_with_the_reason_and_stops_when_it_ends(
    tmp_path: Path, become_root: str
) -> None:
    with daemon_of_nobody(tmp_path, become_root) as (taskmaster, pid):
        reason = f"taskmaster (uid {NOBODY}) may not signal pid {pid}: it runs as uid 0"
        told = taskmaster.ask("signal HUP web")
        assert told == f"Process 'web' could not be sent SIGHUP: {reason}\n"
        taskmaster.type("stop web")
        rows = taskmaster.wait_for(web="KILLING")
        assert rows["web"]["hint"] == reason
        for name in ("SIGTERM", "SIGKILL"):
            taskmaster.wait_output(re.escape(f"Process 'web' could not be sent {name}: {reason}"))
            assert f"WARNING web signal: Process 'web' could not be sent {name}: {reason}" in taskmaster.log
        assert re.search(
            rf"(?m)^web: KILLING for \d+s, pid {pid} is still there: {re.escape(reason)}$", below(taskmaster)
        )
        os.kill(pid, signal.SIGKILL)
        taskmaster.wait_for(web="STOPPED")
        assert "still there" not in below(taskmaster)


def below(taskmaster: Taskmaster) -> str:
    """What stands under the table."""
    return taskmaster.ask("status").partition("\n\n")[2]


def test_a_third_request_leaves_beside_it_and_names_it(tmp_path: Path, become_root: str) -> None:
    with daemon_of_nobody(tmp_path, become_root) as (taskmaster, pid):
        taskmaster.signal(signal.SIGTERM)
        until(lambda: "asked for by SIGTERM" in taskmaster.log, "the first request")
        with Rpc(tmp_path / "control.sock") as rpc:
            until(lambda: rpc.call("status")["data"][0]["status"] == "KILLING", "the end of the grace")
            told = "\n".join(rpc.call("status")["lines"])
            assert re.search(rf"(?m)^web: KILLING for \d+s, pid {pid} is still there: ", told)
            rpc.call("shutdown")
            until(lambda: "asked again" in taskmaster.log, "the second request")
            assert rpc.call("status")["data"][0]["pid"] == pid
        taskmaster.signal(signal.SIGTERM)
        assert taskmaster.process.wait(20) == 0
        assert f"asked a third time: left alive: web (pid {pid})" in taskmaster.log
        assert f"Left alive: web (pid {pid})" in taskmaster.output
        assert alive(pid)


def test_a_shutdown_that_may_take_only_so_long_leaves_beside_it_too(tmp_path: Path, become_root: str) -> None:
    with daemon_of_nobody(tmp_path, become_root, ", stopTimeout: 200ms") as (taskmaster, pid):
        taskmaster.signal(signal.SIGTERM)
        assert taskmaster.process.wait(20) == 0
        assert (
            f"not done within stopTimeout, and SIGKILL does not end it: left alive: web (pid {pid})" in taskmaster.log
        )
        assert alive(pid)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process in state D, as on a disk that does not answer; the test is skipped where that cannot be had."""
    group = FREEZER / f"taskmaster-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("there is no freezer of the first version to be written here")
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "D", "state D")
        yield
    finally:
        (group / "freezer.state").write_text("THAWED")
        until(lambda: not alive(pid), "it hears the signal at last")
        until(lambda: not (group / "cgroup.procs").read_text(), "nobody in the cgroup")
        group.rmdir()


def test_a_child_that_waits_in_the_kernel_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    config = """
        defaults: {autoLaunch: true, gracefulStopTimeout: 100ms, successfulStartTimeout: 0, restart: always}
        tasks:
          stuck: {command: sleep 1000}
          other: {command: sleep 1001}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        pid = taskmaster.pid("stuck")
        with frozen(pid):
            taskmaster.type("restart stuck")
            row = taskmaster.wait_for(stuck="KILLING")["stuck"]
            assert row["hint"].startswith(f"pid {pid} waits in the kernel (state D)")
            assert f"pid {pid} is still there: pid {pid} waits in the kernel (state D)" in below(taskmaster)
            other = taskmaster.pid("other")
            taskmaster.type("restart other")
            until(lambda: taskmaster.status()["other"]["pid"] not in (None, other), "the others go on")
            assert taskmaster.pid("stuck") == pid, "none is started beside it"
        again = taskmaster.wait_for(stuck="RUNNING")["stuck"]["pid"]
        assert again != pid
        assert taskmaster.log.count("stuck state: KILLING -> STARTED") == 1
