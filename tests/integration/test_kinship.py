"""Who may speak for an instance: real processes, in all the ways that they can belong to one or not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.waiting import until
from tm.daemon.kinship import is_own, may_speak

MARKS = {"TASKMASTER_TASK=web", "TASKMASTER_N=1", "TASKMASTER_GENERATION=7"}
MARKED = dict(mark.split("=") for mark in MARKS)
US, ROOT, SOMEBODY = os.geteuid(), 0, 4321


class Started:
    """Processes that sleep, ended with the test."""

    def __init__(self) -> None:
        self._all: list[subprocess.Popen[bytes]] = []

    def sleeper(self, command: str = "exec sleep 1000", **how: Any) -> int:
        """One of them, which has begun to sleep."""
        given = {"env": {"PATH": os.environ["PATH"], **how.pop("marks", {})}, "start_new_session": True, **how}
        self._all.append(subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, **given))
        return self._all[-1].pid

    def says(self) -> int:
        """The number that the latest has written."""
        out = self._all[-1].stdout
        assert out is not None
        return int(out.readline())

    def end(self) -> None:
        for each in self._all:
            os.killpg(each.pid, 9)
            each.communicate()


@pytest.fixture
def started() -> Iterator[Started]:
    started = Started()
    yield started
    started.end()


def test_the_process_itself_its_session_and_its_descendants_are_its_own(started: Started) -> None:
    leader = started.sleeper("sleep 1000 & echo $!; wait")
    child = started.says()
    assert is_own(leader, leader, MARKS) and is_own(child, leader, MARKS)
    assert is_own(os.getpid(), os.getppid(), set()), "who has left the session has a parent"
    assert may_speak(child, SOMEBODY, leader, MARKS), "whoever it has become"


def test_a_stranger_is_none_and_neither_is_another_start(started: Started) -> None:
    leader, stranger = started.sleeper(), started.sleeper()
    earlier = started.sleeper(marks={**MARKED, "TASKMASTER_GENERATION": "6"})
    for each in (stranger, earlier, 1):
        assert is_own(each, leader, MARKS) is False
        assert not may_speak(each, ROOT, leader, MARKS)
    assert not may_speak(0, US, leader, MARKS), "one of another pid namespace"
    assert not may_speak(-1, US, leader, MARKS)


def test_marks_count_for_its_own_user_and_root(started: Started) -> None:
    leader, marked = started.sleeper(), started.sleeper(marks=MARKED)
    until(lambda: is_own(marked, leader, MARKS), "its environment")
    assert may_speak(marked, US, leader, MARKS) and may_speak(marked, ROOT, leader, MARKS)
    assert not may_speak(marked, SOMEBODY, leader, MARKS), "anybody can set variables of his own"


def test_who_is_gone_counts_by_his_user(started: Started) -> None:
    leader = started.sleeper()
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert is_own(gone.pid, leader, MARKS) is None
    assert may_speak(gone.pid, US, leader, MARKS) and may_speak(gone.pid, ROOT, leader, MARKS)
    assert not may_speak(gone.pid, SOMEBODY, leader, MARKS)
