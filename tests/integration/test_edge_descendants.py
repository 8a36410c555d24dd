"""Descendants without a cgroup: who counts as one, who never does."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.driver import alive
from tests.waiting import until
from tm.edge import cgroup, pidfd
from tm.edge.descendants import Kin

MARK = f"TASKMASTER_DAEMON=test{os.getpid()}"
MARKS = frozenset({MARK.encode(), b"TASKMASTER_TASK=web"})


def shell(script: str, *marks: str) -> subprocess.Popen[bytes]:
    """A process in a session of its own, with these variables and PATH."""
    variables = dict(each.split("=", 1) for each in marks)
    return subprocess.Popen(["sh", "-c", script], start_new_session=True, env=variables | {"PATH": os.environ["PATH"]})


def pids(kin: Kin) -> set[int]:
    return {each.pid for each in kin.members()}


def test_children_sessions_and_marks_count(tmp_path: Path) -> None:
    process = shell(f"setsid sleep 1000 & echo $! > {tmp_path}/child; sleep 1001; true")
    marked = subprocess.Popen(
        ["sleep", "1002"], env={"TASKMASTER_DAEMON": MARK.partition("=")[2], "TASKMASTER_TASK": "web"}
    )
    half = subprocess.Popen(["sleep", "1003"], env={"TASKMASTER_TASK": "web"})
    try:
        child = int(until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text(), "a child"))
        until(lambda: os.getsid(child) == child, "a session of its own")
        kin = Kin(process.pid, MARKS)
        until(lambda: len(pids(kin)) == 4, "all of them")
        assert {process.pid, child, marked.pid} < pids(kin)
        assert half.pid not in pids(kin), "it shares its session, ours, with one that has the marks"
        assert os.getpid() not in pids(kin)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert child in pids(kin), "who was seen once is known"
        assert kin.send(signal.SIGKILL, pidfd.deliver)
        marked.wait()
        until(lambda: not kin.left(), "the end of all")
        assert not alive(child)
        assert not kin.send(signal.SIGKILL, pidfd.deliver)
        assert half.poll() is None
    finally:
        for each in (process, marked, half):
            each.kill()
            each.wait()


def test_a_session_that_outlives_its_leader_counts_and_a_number_that_was_given_again_does_not(tmp_path: Path) -> None:
    process = shell(f"sleep 1000 & echo $! > {tmp_path}/child")
    process.wait()
    child = int((tmp_path / "child").read_text())
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        kin = Kin(None, MARKS)
        assert not kin.left()
        kin.led_by(stranger.pid)
        assert not kin.left(), "the number is somebody's who lives"
        kin.led_by(process.pid)
        assert pids(kin) == {child}
        assert kin.left()
        assert kin.send(signal.SIGKILL, pidfd.deliver)
        until(lambda: not kin.left(), "its end")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        if alive(child):
            os.kill(child, signal.SIGKILL)


def test_without_a_descriptor_nothing_is_concluded() -> None:
    process = shell("sleep 1000; true")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        kin = Kin(process.pid, MARKS)
        assert kin.left()
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        for ask in (kin.left, lambda: kin.send(signal.SIGTERM, pidfd.deliver), lambda: Kin(process.pid, MARKS)):
            with pytest.raises(OSError, match="Too many open files"):
                ask()
        assert cgroup.populated("/proc/self")
        assert pidfd.deliver(process.pid, signal.SIGKILL, lambda pid: True), "by its number"
        assert process.wait() == -signal.SIGKILL
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        process.kill()
        process.wait()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_leader_that_is_gone_has_no_kin(signum: int) -> None:
    process = shell("true")
    process.wait()
    kin = Kin(process.pid, MARKS)
    assert not kin.left()
    assert not kin.send(signum, pidfd.deliver)
