"""Pids that mean somebody else by now: given out again, of another boot, of another container, of another daemon.

Nobody but what the daemon itself has started is ever taken over, waited for or signalled.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.fault.kernel import instances, killed_by_itself, processes
from tests.integration.driver import PROGRAM, Taskmaster, alive, environment
from tests.rpc import Rpc, listening
from tests.waiting import until
from tm.edge import pidfd

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
CONFIG = """
    defaults: {autoLaunch: true, successfulStartTimeout: 0}
    tasks:
      kept: {command: sleep 1000, restart: always}
      once: {command: sleep 1001, restart: never}
"""
BOTH = {"kept": "RUNNING", "once": "RUNNING"}


def kill(taskmaster: Taskmaster) -> None:
    taskmaster.process.kill()
    taskmaster.process.wait()


def killed(home: Path, config: str = CONFIG) -> dict[str, int]:
    """Let a daemon keep both tasks and be killed; the pids that it leaves."""
    with Taskmaster(home, config) as taskmaster:
        rows = taskmaster.wait_for(**BOTH)
        kill(taskmaster)
    return {name: row["pid"] for name, row in rows.items()}


def end(pid: int) -> None:
    """Kill a survivor, and wait until its number is free."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists(), f"pid {pid} is free")


@contextmanager
def stranger(pid: int, leads: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A process that gets this very number from the kernel; it may lead a session, and a group, of that number too."""

    def at_once() -> subprocess.Popen[bytes] | None:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = subprocess.Popen(["sleep", "1002"], start_new_session=leads)
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
        return None

    process = until(at_once, f"the number {pid}")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_when_each_has_begun_is_on_record_soon(tmp_path: Path) -> None:
    """Not at once, which would wait for its exec; without it a pid that is given out again could be taken for it."""
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        rows = taskmaster.wait_for(**BOTH)
        begun = {row["pid"]: pidfd.start_time(row["pid"]) for row in rows.values()}
        assert None not in begun.values()
        until(lambda: begun == on_record(tmp_path), f"{begun} on record")


def on_record(home: Path) -> dict[int, int | None]:
    """When the processes began that a daemon knows, by pid, as the last line of each has it."""
    (journal,) = home.rglob("journal")
    lines = [json.loads(line) for line in journal.read_text().splitlines() if '"kind":"row"' in line]
    known = {line["task"]: line for line in lines}
    return {line["pid"]: line["start"] for line in known.values()}


@as_root
@pytest.mark.parametrize("leads", [False, True])
def test_who_was_given_the_number_of_a_dead_one_is_left_alone(tmp_path: Path, leads: bool) -> None:
    """Whatever signal reached him would end him."""
    pids = killed(tmp_path)
    for pid in pids.values():
        end(pid)
    with stranger(pids["kept"], leads) as one, stranger(pids["once"], leads) as other:
        with Taskmaster(tmp_path, CONFIG) as taskmaster:
            rows = taskmaster.wait_for(kept="RUNNING", once="FATAL")
            assert rows["kept"]["pid"] != pids["kept"]
            assert rows["kept"]["restarts"] == 1
            for name, pid in pids.items():
                assert re.search(f"{name} adopt: pid {pid} is gone: .*while no daemon was there", taskmaster.log)
            taskmaster.type("signal USR1 once\nsignal USR1 kept")
            taskmaster.type("stop all")
            taskmaster.wait_for(kept="STOPPED")
            assert taskmaster.leave() == 0
        assert (one.poll(), other.poll()) == (None, None)


def test_another_boot_touches_nobody(tmp_path: Path) -> None:
    """The numbers on record are strangers' then, even where everything else looks the same."""
    with subprocess.Popen(["sleep", "1002"], start_new_session=True) as other:
        try:
            pids = killed(tmp_path)
            for pid in pids.values():
                end(pid)
            journal = tmp_path / "state" / "journal"
            text = re.sub(r'"boot":"[^"]*"', '"boot":"another"', journal.read_text())
            text = re.sub(r'"pid":\d+', f'"pid":{other.pid}', text)
            text = re.sub(r'"identity":[1-9]\d*', f'"identity":{identity(other.pid)}', text)
            journal.write_text(re.sub(r'"start":\d+', f'"start":{start(other.pid)}', text))
            with Taskmaster(tmp_path, CONFIG) as taskmaster:
                rows = taskmaster.wait_for(**BOTH)
                assert {row["restarts"] for row in rows.values()} == {0}
                assert " adopt: " not in taskmaster.log
            assert other.poll() is None
        finally:
            other.kill()


def identity(pid: int) -> int:
    fd = os.pidfd_open(pid)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def start(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


class Container(Taskmaster):
    """One as the first process of a pid namespace, with whose end everything in it ends. Its pids are those within."""

    under = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def rows_within(home: Path) -> dict[str, tuple[str, int, int]]:
    with Rpc(listening(home / "control.sock")) as rpc:
        return {row["name"]: (row["status"], row["pid"], row["restarts"]) for row in rpc.call("status")["data"]}


def is_free(lock: Path) -> bool:
    """Whether no daemon is left that holds it."""
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def both_run(home: Path) -> bool:
    return [status for status, *_ in rows_within(home).values()] == ["RUNNING", "RUNNING"]


def test_a_container_that_is_started_again_begins_anew(tmp_path: Path) -> None:
    """Its pids are the same as before, and so may be the number of its namespace, which the kernel gives out again."""
    if subprocess.run([*Container.under, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made here")
    seen = []
    for turn in range(4):
        with Container(tmp_path, CONFIG, "-n", "-l", "taskmaster.log") as taskmaster:
            until(lambda: both_run(tmp_path), "both")
            seen.append(rows_within(tmp_path))
            if turn < 3:
                kill(taskmaster)
                until(lambda: not processes(tmp_path) and is_free(tmp_path / "state" / "lock"), "its end")
            else:
                with Rpc(tmp_path / "control.sock") as rpc:
                    rpc.call("shutdown")
                assert taskmaster.process.wait(30) == 0
    assert seen == [seen[0]] * 4, "the same pids, and nothing was started a second time"
    assert " adopt: " not in taskmaster.log
    assert "FATAL" not in taskmaster.log


class Elsewhere(Taskmaster):
    """One for which the machine was booted at another time than for others, so that every process began later."""

    under = ("unshare", "--time", "--boottime", "100000")


def test_in_another_time_namespace_nobody_is_lost(tmp_path: Path) -> None:
    """Times of starts are not those on record then, but a process says itself whose it is."""
    if subprocess.run([*Elsewhere.under, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no time namespace can be made here")
    pids = killed(tmp_path)
    for kind in (Elsewhere, Taskmaster):
        with kind(tmp_path, CONFIG) as taskmaster:
            rows = taskmaster.wait_for(**BOTH)
            assert {name: row["pid"] for name, row in rows.items()} == pids
            assert instances(tmp_path) == ["kept", "once"]
            kill(taskmaster)


def test_a_process_of_another_daemon_is_not_taken_for_one_that_was_about_to_be_started(tmp_path: Path) -> None:
    """Task, number and start may all be the same."""
    ours, others = tmp_path / "ours", tmp_path / "others"
    ours.mkdir()
    others.mkdir()
    with Taskmaster(others, CONFIG) as other:
        before = {name: row["pid"] for name, row in other.wait_for(**BOTH).items()}
        killed_by_itself(ours, CONFIG, TASKMASTER_FAULT="after-intent:1")
        with Taskmaster(ours, CONFIG) as taskmaster:
            rows = taskmaster.wait_for(**BOTH)
            assert not {row["pid"] for row in rows.values()} & set(before.values())
        assert {name: row["pid"] for name, row in other.status().items()} == before


def test_what_was_about_to_be_started_and_has_left_the_configuration_is_not_started(tmp_path: Path) -> None:
    killed_by_itself(tmp_path, CONFIG, TASKMASTER_FAULT="after-intent:1")
    with Taskmaster(tmp_path, CONFIG.replace("kept:", "other:")) as taskmaster:
        taskmaster.wait_for(other="RUNNING", once="RUNNING")
        assert " kept state: " not in taskmaster.log.rpartition(" start: ")[2]
        assert " bug: " not in taskmaster.log


def test_of_many_that_start_at_once_after_a_kill_one_takes_over_and_the_others_are_refused(tmp_path: Path) -> None:
    pids = killed(tmp_path)
    flags = ("--state-dir", "state", "--socket", "control.sock", "-n", "-l", "taskmaster.log", "web.yaml")
    many = [
        subprocess.Popen([*PROGRAM, *flags], cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE)
        for _ in range(5)
    ]
    try:
        until(lambda: sum(each.poll() is None for each in many) == 1, "one is left")
        refused = [each for each in many if each.poll() is not None]
        assert [each.returncode for each in refused] == [3, 3, 3, 3]
        assert all(b"already running" in each.communicate()[1] for each in refused)
        assert {name: pid for name, (_, pid, _) in rows_within(tmp_path).items()} == pids
        assert instances(tmp_path) == ["kept", "once"]
    finally:
        for each in many:
            with suppress(ProcessLookupError):
                each.terminate()
        for each in many:
            each.communicate(timeout=30)
    assert not any(map(alive, pids.values()))
