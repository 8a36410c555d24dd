"""Signals to the daemon and the ends of its children, each tried in a real process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until
from tm.edge import procfs, reap

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "programs"


def trial(program: str, what: str, *shell: str) -> Any:
    """What a trial of `program` says; `shell` goes before it, to be inherited."""
    command = [sys.executable, str(PROGRAMS / program), what]
    if shell:
        command = ["sh", "-c", " ".join(shell) + ' exec "$@"', "sh", *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False, timeout=120)
    assert done.returncode == 0, done.returncode
    return json.loads(done.stdout)


def test_of_a_thousand_signals_at_once_no_kind_is_lost() -> None:
    assert trial("signalled.py", "at_once") == {"missed": [], "strangers": []}


def test_a_full_pipe_loses_no_signal() -> None:
    found = trial("signalled.py", "full_bell")
    assert found["first"] == [signal.SIGUSR1, signal.SIGTERM]
    assert found["heard"] == [signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP]
    assert found["rings"]


def test_an_exception_at_one_signal_does_not_lose_the_others() -> None:
    found = trial("signalled.py", "failing")
    assert found == {"heard": [signal.SIGUSR2, signal.SIGHUP, signal.SIGTERM], "errors": 1}


def test_a_signal_ends_the_waiting_of_the_loop() -> None:
    assert trial("signalled.py", "wakes") == {"heard": sorted([signal.SIGUSR2, signal.SIGCHLD])}


def test_what_was_inherited_ignored_is_default_and_close_gives_everything_back() -> None:
    assert trial("signalled.py", "closing", "trap '' ALRM;") == {
        "inherited": True,
        "reset": True,
        "blocked": [],
        "ignored": [True, True],
        "default": True,
        "wakeup": -1,
        "leaked": [],
    }


def test_thousands_that_end_at_once_are_reaped_once_each() -> None:
    assert trial("many_children.py", "thousands") == {"reaped": 3000, "right": True, "left": 0}


def test_while_many_wishes_wait_they_go_before_deaths_and_no_deadline_goes_before_either() -> None:
    found = trial("many_children.py", "beside_wishes")
    assert found == {"errors": 0, "early": True, "in the end": 300, "deadline": [300], "meanwhile": True}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux gives orphans to a subreaper")
def test_an_orphan_becomes_ours_and_its_end_is_heard() -> None:
    found = trial("many_children.py", "orphan")
    assert found == {"adopts": True, "ours": True, "ends": {"False": 3, "True": 7}, "group": False}


def test_a_group_outlives_its_leader() -> None:
    leader = subprocess.Popen(["sh", "-c", "sleep 1000 & sleep 1000 &"], start_new_session=True)
    assert leader.wait() == 0
    assert reap.group_exists(leader.pid)
    assert not reap.send(leader.pid, signal.SIGTERM, group=False)
    assert reap.send(leader.pid, signal.SIGKILL, group=True)
    until(lambda: not reap.group_exists(leader.pid), "the end of the group")
    assert not reap.send(leader.pid, signal.SIGKILL, group=True)


def test_a_signal_goes_to_the_process_or_to_its_group() -> None:
    leader = subprocess.Popen(["sh", "-c", "trap 'exit 5' USR1; sleep 1000 & wait"], start_new_session=True)
    until(lambda: len(procfs.sessions().get(leader.pid, [])) == 2, "leader and member")
    until(lambda: b"sleep" in b"".join(cmdlines(leader.pid)), "the member's program")
    until(lambda: caught(leader.pid) & 1 << signal.SIGUSR1 - 1, "the leader's trap")
    assert reap.send(leader.pid, signal.SIGUSR1, group=False)
    assert leader.wait() == 5
    assert reap.group_exists(leader.pid)
    assert reap.send(leader.pid, signal.SIGTERM, group=True)
    until(lambda: not reap.group_exists(leader.pid), "the end of the group")


def cmdlines(session: int) -> list[bytes]:
    return [procfs.command(each).encode() for each in procfs.sessions().get(session, [])]


def caught(pid: int) -> int:
    """The signals that a process handles, as bits."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_who_may_not_be_signalled_is_not_reached_and_no_error() -> None:
    """A child that changed its user, such as sudo, below a daemon that is not root."""
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    child = os.fork()
    if child == 0:
        os.setresuid(1, 1, 1)
        sent = [reap.send(stranger.pid, signal.SIGTERM, group) for group in (True, False)]
        os._exit(0 if sent == [False, False] and reap.group_exists(stranger.pid) else 1)
    assert os.waitpid(child, 0)[1] == 0
    stranger.kill()
    stranger.wait()
