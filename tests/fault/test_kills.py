"""A daemon that is killed in the middle: at a system call, or at a named point; and a journal that was hurt.

The next one goes on with what was left: nothing runs twice, and nothing that was written is lost.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fault.kernel import instances, killed_by_itself, nothing_left, processes
from tests.fault.test_identity import BOTH, CONFIG, kill, killed
from tests.integration.driver import ROOT, Taskmaster
from tests.waiting import until

NUMBERED = ROOT / "tests" / "programs" / "numbered_lines.py"
traced = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")


def strace(fault: str, *flags: str) -> tuple[str, ...]:
    """What runs a program whose system calls fail like this; the program is the one that was started."""
    return ("strace", "-D", "-qq", "-o", "/dev/null", *flags, "-e", f"inject={fault}")


def pids(taskmaster: Taskmaster) -> dict[str, int]:
    return {name: row["pid"] for name, row in taskmaster.status().items()}


def goes_on_with(before: dict[str, int], home: Path, config: str = CONFIG) -> None:
    """Nothing was started again, nothing is missed."""
    with Taskmaster(home, config) as taskmaster:
        assert pids(taskmaster) == before
        assert {row["restarts"] for row in taskmaster.status().values()} == {0}
        assert instances(home) == sorted(before)
    nothing_left(home)


# ---- while the journal is written


@traced
@pytest.mark.parametrize("call", ["openat", "write", "rename"])
def test_killed_while_it_takes_over_and_writes_the_journal_anew(tmp_path: Path, call: str) -> None:
    before = killed(tmp_path)
    for _ in range(2):
        killed_by_itself(tmp_path, CONFIG, strace(f"{call}:signal=KILL:when=1", "-P", str(journal(tmp_path)) + ".new"))
    goes_on_with(before, tmp_path)


@traced
@pytest.mark.parametrize("call", ["openat", "write", "rename"])
def test_killed_while_the_journal_is_compacted(tmp_path: Path, call: str) -> None:
    """It has grown by what happened since."""
    flapping = CONFIG + '      flaps: {command: "true", restart: always}\n    taskmaster: {restartFloor: 1ms}\n'
    before = killed(tmp_path)
    new = str(journal(tmp_path)) + ".new"
    killed_by_itself(tmp_path, flapping, strace(f"{call}:signal=KILL:when=2", "-P", new))
    assert journal(tmp_path).stat().st_size > 64 * 1024, "it was not the first time that it died of"
    with Taskmaster(tmp_path, flapping) as taskmaster:
        after = pids(taskmaster)
        assert {name: after[name] for name in before} == before
        assert "makes no sense" not in taskmaster.log
        until(lambda: taskmaster.status()["flaps"]["restarts"] > 200, "and goes on")


def journal(home: Path) -> Path:
    return home / "state" / "journal"


# ---- while output is moved


@traced
def test_killed_at_a_transfer_of_output(tmp_path: Path) -> None:
    """Each time at a later one, into a log of its own and into one that two share."""
    config = f"""
        defaults: {{autoLaunch: true, successfulStartTimeout: 0, restart: never, logMaxSize: 0}}
        tasks:
          alone: {{command: [{sys.executable}, {NUMBERED}, alone, "60000"], stdout: alone.log}}
          shared: {{command: [{sys.executable}, {NUMBERED}, "{{instance}}", "20000"], stdout: shared.log, instances: 2}}
    """
    for when in (1, 2, 3, 5, 8, 13, 21):
        killed_by_itself(tmp_path, config, strace(f"splice:signal=KILL:when={when}"))
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.wait_for(alone="EXITED", shared_1="EXITED", shared_2="EXITED")
        assert taskmaster.log.count(" adopt: ") >= 3
    found: dict[str, list[int]] = {}
    for name in ("alone.log", "shared.log"):
        for line in (tmp_path / name).read_text().splitlines():
            who, number, length, text = line.split(" ")
            assert text == "x" * int(length)
            found.setdefault(who, []).append(int(number))
    assert found == {name: list(range(60_000 if name == "alone" else 20_000)) for name in found}
    assert len(found) == 3


# ---- between two steps of a start or an end


@pytest.mark.parametrize(("name", "state", "restarts"), [("again", "RUNNING", 1), ("done", "EXITED", 0)])
def test_killed_between_the_note_of_an_end_and_its_wait_the_end_counts_once(
    tmp_path: Path, name: str, state: str, restarts: int
) -> None:
    """How it ended is on record by then, and told when nobody could ask for it any more."""
    config = """
        defaults: {autoLaunch: true, successfulStartTimeout: 0, restart: on-failure,
                   command: "read x < $TASKMASTER_TASK; exit 7"}
        tasks: {again: {}, done: {expectedExitCodes: [7]}}
    """
    for each in ("again", "done"):
        os.mkfifo(tmp_path / each)
    with Taskmaster(tmp_path, config, TASKMASTER_FAULT="after-ended:1") as taskmaster:
        before = {key: row["pid"] for key, row in taskmaster.wait_for(again="RUNNING", done="RUNNING").items()}
        (tmp_path / name).write_text("\n")
        assert taskmaster.process.wait(30) == -signal.SIGKILL
    until(lambda: not Path(f"/proc/{before[name]}").exists(), "nobody can ask for its end")
    with Taskmaster(tmp_path, config) as taskmaster:
        rows = taskmaster.wait_for(again="RUNNING", done=state if name == "done" else "RUNNING")
        assert rows[name]["restarts"] == restarts
        assert (
            f"{name} adopt: pid {before[name]} is gone: exit code 7, it ended while no daemon was there"
            in taskmaster.log
        )
        assert {rows[key]["pid"] for key in before if key != name} == {
            pid for key, pid in before.items() if key != name
        }


@traced
def test_killed_between_fork_and_exec_the_child_is_taken_over_when_it_has_become_the_program(tmp_path: Path) -> None:
    """It says nowhere whose it is until then, but holds what only one may hold, so that no next daemon comes before."""
    config = """
        tasks: {web: {command: "echo >> runs; exec sleep 1000", nice: 1, autoLaunch: true, successfulStartTimeout: 0}}
    """

    class Slow(Taskmaster):
        under = strace("setpriority:delay_enter=2000000", "-f")

    slow = Slow(tmp_path, config)
    until(lambda: journal(tmp_path).exists() and b'"intent"' in journal(tmp_path).read_bytes(), "the start, noted")
    child = until(lambda: children(slow.process.pid), "a child before its exec")[0]  # who read the file is gone by then
    kill(slow)
    slow.end()
    with until(lambda: admitted(tmp_path, config), "the next one") as taskmaster:
        assert pids(taskmaster) == {"web": child}
        until(lambda: (tmp_path / "runs").read_text() == "\n", "one run")
        assert instances(tmp_path) == ["web"]


def admitted(home: Path, config: str) -> Taskmaster | None:
    """One more; None where it is told that there is one already."""
    taskmaster = Taskmaster(home, config)
    shown = len(taskmaster.output)
    until(
        lambda: taskmaster.process.poll() is not None or "Taskmaster " in taskmaster.output[shown:], "its prompt or end"
    )
    if taskmaster.process.poll() is None:
        return taskmaster
    taskmaster.end()
    assert taskmaster.process.returncode == 3
    return None


def children(pid: int) -> list[int]:
    """Its children that lead a session: all but what traces it."""
    pids = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    with suppress(ProcessLookupError):
        return [each for each in pids if os.getsid(each) == each]
    return []


# ---- what was on record is hurt


def test_the_last_record_torn_anywhere_keeps_the_children(tmp_path: Path) -> None:
    """It is the one that has the pid."""
    config = "tasks: {web: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}}"
    killed_by_itself(tmp_path, config, TASKMASTER_FAULT="after-spawned:1")
    whole = journal(tmp_path).read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    before = {"web": json.loads(last)["pid"]}
    for length in (0, 1, 2, *range(20, len(last), 60), len(last) - 1):
        journal(tmp_path).write_bytes(whole[: len(whole) - len(last) + length])
        with Taskmaster(tmp_path, config) as taskmaster:
            assert pids(taskmaster) == before
            kill(taskmaster)
    assert "makes no sense" not in taskmaster.log
    goes_on_with(before, tmp_path, config)


def test_any_line_lost_keeps_the_children(tmp_path: Path) -> None:
    """The head included, without which nobody knows of what boot it is: a process says itself whose it is."""
    before = killed(tmp_path)
    lines = journal(tmp_path).read_bytes().splitlines(keepends=True)
    hurt = [b"".join([*lines[:at], b"\xff\0junk\n", *lines[at + 1 :]]) for at in range(len(lines))]
    for number, content in enumerate([*hurt, bytes(4096)]):
        journal(tmp_path).write_bytes(content)
        with Taskmaster(tmp_path, CONFIG) as taskmaster:
            assert taskmaster.wait_for(**BOTH).keys() == before.keys()
            assert pids(taskmaster) == before, number
            assert "makes no sense" in taskmaster.log
            assert instances(tmp_path) == sorted(before)
            kill(taskmaster)
        for copy in (tmp_path / "state").glob("journal.broken-*"):
            assert copy.read_bytes() == content
            copy.unlink()
    goes_on_with(before, tmp_path)
    assert not processes(tmp_path)
