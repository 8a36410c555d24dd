"""Much at once. What is held is order and number, never time: see the event log, the answers, and /proc."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.fault.kernel import descriptors, instances, nothing_left, number, processes
from tests.integration.driver import Taskmaster, alive
from tests.waiting import until

PATIENCE_S = 60

GATED = (
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); open('ready', 'w').close(); "
    "signal.sigwait([signal.SIGTERM]); open('gate').read()"
)
"""A program that has got its stop signal ends when something is written to the FIFO `gate`."""


def freeze(taskmaster: Taskmaster) -> None:
    """Stop the daemon itself, so that what comes next is all there when it looks again."""
    daemon = taskmaster.daemon
    os.kill(daemon, signal.SIGSTOP)
    stat = Path(f"/proc/{daemon}/stat")
    until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the daemon is frozen")


def thaw(taskmaster: Taskmaster) -> None:
    os.kill(taskmaster.daemon, signal.SIGCONT)


def place(lines: list[str], pattern: str, last: bool = False) -> int:
    """Where the first (or last) line of an event log stands that matches."""
    found = [n for n, line in enumerate(lines) if re.search(pattern, line)]
    assert found, f"no line matches {pattern}"
    return found[-1 if last else 0]


def test_300_tasks_boot_start_and_stop_while_the_prompt_answers(tmp_path: Path) -> None:
    """One task will not stop before it is let: whatever is answered until then was answered in between."""
    os.mkfifo(tmp_path / "gate")
    tasks = "".join(f"          task{n}: {{command: sleep 1000}}\n" for n in range(299))
    config = f"""
        defaults: {{autoLaunch: true, successfulStartTimeout: 0, gracefulStopTimeout: 1000}}
        tasks:
{tasks}
          gated:
            command: [{sys.executable}, -c, "{GATED}"]
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: len(instances(tmp_path)) == 300 and (tmp_path / "ready").exists(), "all are up", PATIENCE_S)
        taskmaster.type("stop all")
        until(lambda: instances(tmp_path) == ["gated"], "all but one have stopped", PATIENCE_S)

        def states() -> Counter[str]:
            return Counter(row["status"] for row in taskmaster.status().values())

        until(lambda: states() == {"STOPPED": 299, "STOPPING": 1}, "the last one asked to stop", PATIENCE_S)
        with (tmp_path / "gate").open("w") as gate:
            gate.write("go\n")
        taskmaster.wait_for(gated="STOPPED")
        begun = len(taskmaster.log.splitlines())
        (tmp_path / "ready").unlink()
        taskmaster.type("start all\nreload --dry-run")
        until(lambda: len(instances(tmp_path)) == 300 and (tmp_path / "ready").exists(), "all up again", PATIENCE_S)
        log = taskmaster.log.splitlines()[begun:]
        assert place(log, "command: reload") < place(log, r"\(spawned\)", last=True), "answered while it was starting"
        assert Counter(re.findall(r"\w+ state: \S+ -> (\w+) \(start", "\n".join(log))) == {"STARTED": 300}
        taskmaster.type("exit")
        with (tmp_path / "gate").open("w") as gate:
            gate.write("go\n")
        assert taskmaster.process.wait(PATIENCE_S) == 0
    assert instances(tmp_path) == []


def test_1000_deaths_at_once_and_a_command_in_between(tmp_path: Path) -> None:
    config = """
        defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0}
        tasks: {many: {command: sleep 1000, instances: 1000}}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: len(instances(tmp_path)) == 1000, "1,000 processes", PATIENCE_S)
        before = {name: row["pid"] for name, row in taskmaster.status().items()}
        begun = len(taskmaster.log.splitlines())
        freeze(taskmaster)
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in before.values()), "all are dead")
        taskmaster.type("reload --dry-run")
        thaw(taskmaster)
        until(lambda: len(instances(tmp_path)) == 1000, "all are back", PATIENCE_S)
        rows = taskmaster.status()
        assert {row["restarts"] for row in rows.values()} == {1}
        assert {row["status"] for row in rows.values()} == {"RUNNING"}
        assert not set(before.values()) & {row["pid"] for row in rows.values()}
        log = taskmaster.log.splitlines()[begun:]
        assert place(log, r"\(reaped\)") < place(log, "command: reload"), "deaths come before commands"
        assert place(log, "command: reload") < place(log, r"\(reaped\)", last=True), "but not all of them"
        assert sum("(reaped)" in line for line in log) == 1000
        assert sum("(spawned)" in line for line in log) == 1000


def test_a_crash_loop_of_50_leaves_the_prompt_alone(tmp_path: Path) -> None:
    config = """
        defaults: {autoLaunch: true, restart: always, restartsAttempts: 0, restartDelay: 1ms, restartDelayMax: 10ms}
        tasks:
          loop: {command: "false", instances: 50}
          quiet: {command: sleep 1000, successfulStartTimeout: 0}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        pid = taskmaster.pid("quiet")
        answered = 0
        while min(row["restarts"] for row in taskmaster.status().values() if row["name"] != "quiet") < 10:
            answered += 1
        assert answered > 2
        taskmaster.type("stop loop")
        taskmaster.wait_for(**{f"loop_{n}": "STOPPED" for n in range(1, 51)})
        assert instances(tmp_path) == ["quiet"]
        assert taskmaster.pid("quiet") == pid
        rows = taskmaster.status()
        assert {row["restarts"] for row in taskmaster.status().values()} == {row["restarts"] for row in rows.values()}


def test_floods_into_a_file_and_into_memory_while_status_is_answered(tmp_path: Path) -> None:
    config = """
        defaults: {autoLaunch: true, successfulStartTimeout: 0, logMaxSize: 0}
        tasks:
          file: {command: "yes to the file", stdout: flood.log}
          memory: {command: "yes to the tail"}
          error: {command: [sh, -c, "exec yes an error >&2"]}
          quiet: {command: [sh, -c, "echo one line; exec sleep 1000"]}
    """
    flood = tmp_path / "flood.log"
    with Taskmaster(tmp_path, config) as taskmaster:
        pids = {name: row["pid"] for name, row in taskmaster.status().items()}
        memory = number(taskmaster.daemon, "VmRSS")
        for _ in range(10):
            size = flood.stat().st_size
            assert {name: row["pid"] for name, row in taskmaster.status().items()} == pids
            assert taskmaster.ask("logs quiet") == "one line\n"
            first, last = taskmaster.ask("logs file 2").splitlines()
            assert (first, "to the file".startswith(last)) == ("to the file", True), "what is there, also half a line"
            assert "to the tail\n" in taskmaster.ask("logs memory 3")
            until(lambda last=size: flood.stat().st_size > last, "the flood goes on")
        assert number(taskmaster.daemon, "VmRSS") < memory + 16 * 1024
        taskmaster.type("stop all")
        taskmaster.wait_for(file="STOPPED", memory="STOPPED", error="STOPPED")
    with flood.open("rb") as file:
        odd = [block for block in iter(lambda: file.read(12 * 65536), b"") if block.strip(b"to the file\n")]
        file.seek(0)
        assert not odd
        assert file.read(12) == b"to the file\n"
    flood.unlink()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_20_ends_in_the_instant_of_the_reload_that_removes_them(tmp_path: Path, signum: signal.Signals) -> None:
    config = """
        defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0}
        tasks:
          kept: {command: sleep 1000}
          GONE: {command: sleep 1001, instances: 20}
    """
    with Taskmaster(tmp_path, config.replace("GONE", "gone")) as taskmaster:
        for turn in range(5):
            rows = taskmaster.status()
            assert len(rows) == 21
            kept = rows.pop("kept")["pid"]
            freeze(taskmaster)
            for row in rows.values():
                os.kill(row["pid"], signum)
            until(lambda now=rows: not any(alive(row["pid"]) for row in now.values()), "all are dead")
            taskmaster.write("\n".join(line for line in config.splitlines() if "GONE" not in line))
            if turn % 2:
                taskmaster.signal(signal.SIGHUP)
            else:
                taskmaster.type("reload")
            thaw(taskmaster)
            until(lambda: list(taskmaster.status()) == ["kept"], "they are gone")
            assert instances(tmp_path) == ["kept"]
            assert taskmaster.pid("kept") == kept
            taskmaster.write(config.replace("GONE", "gone"))
            taskmaster.type("reload")
            until(lambda: len(instances(tmp_path)) == 21, "they are added again")
        assert "bug" not in taskmaster.log


SEEDS = (1, 7, 42)


@pytest.mark.parametrize("seed", SEEDS)
def test_wishes_in_any_order_never_make_two_of_one(tmp_path: Path, seed: int) -> None:
    """Some stop at once, some have to be killed, some end by themselves meanwhile."""
    config = """
        defaults: {restart: always, restartsAttempts: 0, restartDelay: 5ms, restartDelayMax: 20ms}
        taskmaster: {restartFloor: 10ms}
        tasks:
          good: {command: sleep 1000, instances: 3, successfulStartTimeout: 0}
          deaf: {command: 'trap "" TERM; sleep 1000; true', gracefulStopTimeout: 50ms, instances: 2}
          ends: {command: [sleep, "0.05"], instances: 2, successfulStartTimeout: 10ms}
          slow: {command: sleep 1000, nice: 0, successfulStartTimeout: 1000}
    """
    chance = random.Random(seed)
    names = ["good_1", "good_2", "good_3", "deaf_1", "deaf_2", "ends_1", "ends_2", "slow"]
    words = [*names, "good", "deaf", "ends", "all"]
    last: dict[str, str] = {}
    with Taskmaster(tmp_path, config) as taskmaster:
        for _ in range(60):
            burst = [(chance.choice(("stop", "start", "restart")), chance.choice(words)) for _ in range(5)]
            last.update({name: verb for verb, word in burst for name in names if is_meant(word, name)})
            taskmaster.type("\n".join(f"{verb} {word}" for verb, word in burst))
            now = Counter(instances(tmp_path))
            assert not now or max(now.values()) == 1, now
            assert set(now) <= set(names)
        final = {name: chance.choice(("stop", "start")) for name in names} | {"good_1": "start", "deaf_1": "stop"}
        last.update(final)
        taskmaster.type("\n".join(f"{verb} {name}" for name, verb in final.items()))
        up = sorted(name for name, verb in last.items() if verb != "stop" and not name.startswith("ends"))
        until(lambda: settled(taskmaster, last), "every last wish")
        assert [each for each in instances(tmp_path) if not each.startswith("ends")] == up
        assert "bug" not in taskmaster.log
    nothing_left(tmp_path)


def is_meant(word: str, name: str) -> bool:
    return word in ("all", name, name.rpartition("_")[0])


def settled(taskmaster: Taskmaster, last: dict[str, str]) -> bool:
    rows = taskmaster.status()
    up = {"STARTED", "RUNNING", "BACKOFF"}
    allowed = {name: {"STOPPED"} if verb == "stop" else up for name, verb in last.items()}
    return all(rows[name]["status"] in states for name, states in allowed.items())


def test_50_reloads_leak_nothing(tmp_path: Path) -> None:
    """Not even the pipes of what was removed, which a child that nobody stops still holds."""
    config = """
        defaults: {autoLaunch: true, successfulStartTimeout: 0}
        tasks:
          kept: {command: sleep 1000}
    """
    added = """
          added: {command: [sh, -c, "echo words; echo words >&2; exec sleep 1001"], instances: 3, stdout: added.log}
          otherTURN: {command: sleep 1002 & exec sleep 1003, killMode: process}
    """
    try:
        with Taskmaster(tmp_path, config) as taskmaster:
            pid, kept = taskmaster.daemon, taskmaster.pid("kept")
            used, memory = (0, 0), 0
            for turn in range(50):
                taskmaster.write(config.rstrip() + added.replace("TURN", str(turn)))
                taskmaster.type("reload")
                until(lambda now=turn: len(instances(tmp_path)) == 5 and holders(tmp_path) == now + 1, "four are added")
                taskmaster.write(config)
                taskmaster.type("reload")
                until(lambda: list(taskmaster.status()) == ["kept"], "and removed")
                if turn == 10:
                    used, memory = (descriptors(pid), number(pid, "Threads")), number(pid, "VmRSS")
            assert (descriptors(pid), number(pid, "Threads")) == used
            assert number(pid, "VmRSS") < memory + 8 * 1024
            assert taskmaster.pid("kept") == kept
            assert instances(tmp_path) == ["kept"]
    finally:
        for each in processes(tmp_path):
            os.kill(each.pid, signal.SIGKILL)


def holders(home: Path) -> int:
    """How many processes are no instance's own."""
    return sum(not each.leads for each in processes(home))
