"""A machine that has too little left: descriptors, processes. Nothing is given up, and what to raise is said."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fault.kernel import instances, number, processes
from tests.fault.test_bad_input import is_an_event_log, nobodys_own, open_the_way_to
from tests.integration.driver import Taskmaster, daemons_of, environment
from tests.rpc import Rpc, listening, request
from tests.waiting import until

UID = 54397
"""Somebody who has no process, so that his limit of processes is this test's alone."""
AS_UID = Path(__file__).resolve().parents[1] / "programs" / "as_nobody.py"
MANY = """
    defaults: {autoLaunch: true, restart: always, restartsAttempts: 1, restartDelay: 50ms, restartDelayMax: 200ms,
               successfulStartTimeout: 0}
    taskmaster: {restartFloor: 50ms}
    tasks:
      many: {command: sleep 1000, instances: 40}
      once: {command: sleep 1001, restart: never, autoLaunch: false}
"""


def rows_of(home: Path) -> dict[str, dict[str, Any]]:
    """`status` as a client hears it, who comes for it alone."""
    with Rpc(home / "control.sock") as rpc:
        return {row["name"]: row for row in rpc.call("status")["data"]}


def states(home: Path) -> Counter[str]:
    return Counter(row["status"] for name, row in rows_of(home).items() if name != "once")


def raise_limit(pid: int, soft: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))


def test_more_tasks_than_descriptors_wait_without_using_up_attempts_and_come_up(tmp_path: Path) -> None:
    """The limit is lowered when it runs: before, it would be raised by taskmaster itself."""
    config = MANY.replace("autoLaunch: true", "autoLaunch: false")
    with Taskmaster(tmp_path, config, "-n", "-l", "taskmaster.log") as taskmaster:
        listening(tmp_path / "control.sock")
        until(lambda: set(states(tmp_path)) == {"STOPPED"}, "a daemon that has begun")
        raise_limit(taskmaster.daemon, 64)
        with Rpc(tmp_path / "control.sock") as rpc:
            rpc.call("start", words=["many"])
        until(lambda: "BACKOFF" in taskmaster.log, "a shortage")
        until(lambda: set(states(tmp_path)) == {"RUNNING", "BACKOFF"}, "as many as fit are up")
        until(lambda: taskmaster.log.count("many_40 state: STARTED -> BACKOFF") > 3, "more tries than attempts")
        row = rows_of(tmp_path)["many_40"]
        assert (row["status"], row["retries"]) == ("BACKOFF", 0)
        assert re.search("no descriptors left|gives no new process", row["cause"])
        assert row["cause"].endswith("Too many open files")
        assert "ulimit -n" in row["hint"]
        assert "LimitNOFILE=" in row["hint"]
        with Rpc(tmp_path / "control.sock") as rpc:
            rpc.call("start", words=["once"])
        assert rows_of(tmp_path)["once"]["status"] == "FATAL", "never is never"
        raise_limit(taskmaster.daemon, 1024)
        until(lambda: states(tmp_path) == {"RUNNING": 40}, "all are up")
        assert "FATAL" not in taskmaster.log.replace("once state: STARTED -> FATAL", "")
        assert " bug: " not in taskmaster.log
        is_an_event_log(taskmaster.log)
    assert not processes(tmp_path)


class Bounded(Taskmaster):
    """One that may never have more descriptors."""

    under = ("prlimit", "--nofile=100:100")


def next_daemon(taskmaster: Taskmaster, before: int) -> None:
    until(lambda: taskmaster.daemon not in (before, taskmaster.process.pid), "the next daemon")


def test_all_are_taken_over_where_no_descriptor_is_left_for_each(tmp_path: Path) -> None:
    """One that is opened for each signal serves as well."""
    config = MANY.replace("instances: 40", "instances: 40, stderr: stdout, gracefulStopTimeout: 1000")
    with Bounded(tmp_path, config, "-n", "-l", "taskmaster.log") as taskmaster:
        listening(tmp_path / "control.sock")
        until(lambda: states(tmp_path) == {"RUNNING": 40}, "forty")
        up = instances_pids(tmp_path)
        for _ in range(2):
            before = taskmaster.daemon
            os.kill(before, signal.SIGKILL)
            next_daemon(taskmaster, before)
            until(lambda before=before: rows_after(tmp_path, before) == {"RUNNING": 40}, "the same")
            assert instances_pids(tmp_path) == up
            assert len(os.listdir(f"/proc/{taskmaster.daemon}/fd")) < 90, "no pidfds"
        os.kill(up[0], signal.SIGKILL)
        until(lambda: len(set(instances_pids(tmp_path)) - {up[0]}) == 40, "its death is heard")
        with Rpc(tmp_path / "control.sock") as rpc:
            rpc.call("stop", words=["all"])
            until(lambda: states(tmp_path) == {"STOPPED": 40}, "each got its signal")
        assert not processes(tmp_path)
        assert taskmaster.log.count("is gone") == 0
        assert " bug: " not in taskmaster.log


def test_where_no_descriptor_is_left_for_each_a_guardian_is_replaced_and_deaths_are_heard(tmp_path: Path) -> None:
    """Those of whom it would have told, and for whom there is no pidfd, are looked for now and then."""
    config = MANY.replace("instances: 40", "instances: 40, stderr: stdout")
    with Bounded(tmp_path, config, "-n", "-l", "taskmaster.log", "-p", str(tmp_path / "pid")) as taskmaster:
        listening(tmp_path / "control.sock")
        until(lambda: states(tmp_path) == {"RUNNING": 40}, "forty")
        up, before = instances_pids(tmp_path), taskmaster.daemon
        os.kill(before, signal.SIGKILL)
        next_daemon(taskmaster, before)
        until(lambda: rows_after(tmp_path, before) == {"RUNNING": 40}, "the same")
        daemon = taskmaster.daemon
        os.kill(taskmaster.process.pid, signal.SIGKILL)
        taskmaster.process.wait()
        until(lambda: (tmp_path / "pid").read_text().split()[:1] == [str(daemon)], "it becomes the next guardian")
        try:
            until(lambda: rows_after(tmp_path, 0) == {"RUNNING": 40}, "the daemon goes on")
            assert instances_pids(tmp_path) == up
            for each in (up[0], up[-1]):
                os.kill(each, signal.SIGKILL)
            until(lambda: len(set(instances_pids(tmp_path)) - {up[0], up[-1]}) == 40, "both deaths are heard")
            up = instances_pids(tmp_path)
            later = daemons_of(daemon)[0]
            os.kill(later, signal.SIGKILL)
            until(lambda: daemons_of(daemon) not in ([], [later]), "the one after it")
            until(lambda: rows_after(tmp_path, 0) == {"RUNNING": 40}, "the same")
            assert instances_pids(tmp_path) == up
            os.kill(up[0], signal.SIGKILL)
            os.kill(up[20], signal.SIGKILL)
            until(lambda: len(set(instances_pids(tmp_path)) - {up[0], up[20]}) == 40, "that is heard as well")
            assert "nobody can take its place" not in taskmaster.log
            assert " bug: " not in taskmaster.log
        finally:
            os.kill(daemon, signal.SIGTERM)
            until(lambda: not processes(tmp_path), "the end")


def rows_after(home: Path, before: int) -> Counter[str] | None:
    """The states as a daemon has them that is not `before`; None while none answers, or too many ask."""
    with suppress(OSError, EOFError), Rpc(home / "control.sock") as rpc:
        rpc.ask("status")
        answer = rpc.answer()
        if rpc.peer != before and "result" in answer:
            return Counter(row["status"] for row in answer["result"]["data"] if row["name"] != "once")
    return None


def test_clients_that_take_every_descriptor_are_told_and_tasks_come_up_when_they_go(tmp_path: Path) -> None:
    """The limit is lowered when it runs, so that the clients reach it before their own number is too high."""
    config = MANY.replace("instances: 40", "instances: 4")
    with Taskmaster(tmp_path, config, "-n", "-l", "taskmaster.log") as taskmaster:
        until(lambda: len(instances(tmp_path)) == 4, "four")
        listening(tmp_path / "control.sock")
        pid = taskmaster.daemon
        raise_limit(pid, 64)
        busy: list[dict[str, Any]] = []
        with ExitStack() as stack:
            for _ in range(100):
                client = stack.enter_context(Rpc(tmp_path / "control.sock"))
                with suppress(BrokenPipeError):  # who is turned away need not have been listened to
                    client.ask("version")
                answer = client.answer()
                busy += [answer] if "error" in answer else []
            assert busy
            assert {each["error"]["message"] for each in busy} == {"too many clients are connected"}
            doomed = instances_pids(tmp_path)
            for each in doomed:
                os.kill(each, signal.SIGKILL)
            fill(stack, tmp_path)
            until(lambda: re.search(r"many_\d state: STARTED -> BACKOFF \(spawn-failed\)", taskmaster.log), "short")
        until(lambda: states(tmp_path) == {"RUNNING": 4}, "they are back")
        assert not set(doomed) & set(instances_pids(tmp_path))
        assert "FATAL" not in taskmaster.log
        assert " bug: " not in taskmaster.log


def instances_pids(home: Path) -> list[int]:
    return [each.pid for each in processes(home)]


def fill(stack: ExitStack, home: Path) -> None:
    """Take what the dead have left."""
    for _ in range(20):
        client = socket.socket(socket.AF_UNIX)
        stack.enter_context(client)
        client.connect(str(home / "control.sock"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_no_processes_left_for_its_user(tmp_path: Path) -> None:
    open_the_way_to(tmp_path)
    (tmp_path / "web.yaml").write_text(MANY.replace("instances: 40", "instances: 5"))
    place = nobodys_own(tmp_path)
    os.chown(tmp_path / "nobodys", UID, UID)
    log = tmp_path / "nobodys" / "event.log"
    daemon = subprocess.Popen(
        [sys.executable, str(AS_UID), *place, "-l", str(log), "-n", "web.yaml"],
        cwd=tmp_path,
        env=environment(tmp_path) | {"AS_UID": str(UID)},
    )
    try:
        until(lambda: len(instances(tmp_path)) == 5, "five")
        listening(tmp_path / "nobodys" / "control.sock")
        is_waited_out(daemons_of(daemon.pid)[0], tmp_path, log)
        daemon.terminate()
        assert daemon.wait(30) == 0
    finally:
        daemon.kill()
        daemon.wait()


def limit_processes(pid: int, soft: str) -> None:
    """Asked for by the process's own user, who may."""
    subprocess.run(["prlimit", "--pid", str(pid), f"--nproc={soft}:"], user=UID, group=UID, cwd="/", check=True)


def is_waited_out(pid: int, home: Path, log: Path) -> None:
    """No more processes for a while: what died meanwhile waits, and comes back."""
    limit_processes(pid, "1")
    for each in instances_pids(home):
        os.kill(each, signal.SIGKILL)
    until(lambda: log.read_text().count("STARTED -> BACKOFF (spawn-failed)") > 15, "more tries than attempts")
    rows = rows_of(home / "nobodys")
    found = {(row["status"], row["retries"]) for name, row in rows.items() if name != "once"}
    assert found == {("BACKOFF", 0)}
    row = rows["many_1"]
    assert row["cause"] == "the system gives no new process: Resource temporarily unavailable"
    assert "ulimit -u" in row["hint"]
    limit_processes(pid, "1000")
    until(lambda: states(home / "nobodys") == {"RUNNING": 5}, "all are back")
    assert "FATAL" not in log.read_text()


@contextmanager
def pids_cgroup(most: int) -> Iterator[Path]:
    """A group that may have so many processes; the test is skipped where none can be made."""
    for base in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        place = base / f"taskmaster-test-{os.getpid()}"
        try:
            place.mkdir()
        except OSError:
            continue
        try:
            (place / "pids.max").write_text(f"{most}\n")
        except OSError:
            place.rmdir()
            continue
        break
    else:
        pytest.skip("no cgroup with a limit of processes can be made here")
    try:
        yield place
    finally:
        until(lambda: not (place / "cgroup.procs").read_text(), "nobody in the cgroup")
        place.rmdir()


def test_no_processes_left_in_its_cgroup(tmp_path: Path) -> None:
    """The shell of the taskmaster and ten children fit, the others do not."""
    with pids_cgroup(11) as group, Taskmaster(tmp_path, "tasks: {}") as taskmaster:
        (group / "cgroup.procs").write_text(str(taskmaster.daemon))
        taskmaster.write(MANY.replace("instances: 40", "instances: 20"))
        taskmaster.type("reload")
        until(lambda: taskmaster.log.count("many_20 state: STARTED -> BACKOFF") > 3, "more tries than attempts")
        rows = taskmaster.status()
        assert Counter(row["status"] for row in rows.values()) == {"RUNNING": 10, "BACKOFF": 10, "STOPPED": 1}
        assert "pids.max" in rows["many_20"]["hint"]
        taskmaster.wait_output("Process 'many_20' could not be started: the system gives no new process: ")
        (group / "pids.max").write_text("100\n")
        taskmaster.type("start many_20")
        taskmaster.wait_for(**{f"many_{n}": "RUNNING" for n in range(1, 21)})
        assert "FATAL" not in taskmaster.log


class WithoutMemory(Taskmaster):
    """One to which the kernel gives no memory for its first processes but the one that reads the configuration."""

    under = ("strace", "-D", "-qq", "-o", "/dev/null", "-e", "inject=vfork:error=ENOMEM:when=1..6",
             "-e", "inject=fork,clone,clone3:error=ENOMEM:when=2..7")  # fmt: skip


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_no_memory_for_a_process_is_waited_out(tmp_path: Path) -> None:
    """In either way to start one, of which the first is asked for six times."""
    config = """
        defaults: {autoLaunch: true, restart: always, restartsAttempts: 1, restartDelay: 20ms, restartDelayMax: 50ms,
                   successfulStartTimeout: 0, command: sleep 1000}
        tasks: {quick: {instances: 2}, full: {nice: 1, priority: 1}}
    """
    with WithoutMemory(tmp_path, config) as taskmaster:
        taskmaster.wait_for(quick_1="RUNNING", quick_2="RUNNING", full="RUNNING")
        told = re.findall(r"(\S+) state: STARTED -> BACKOFF \(spawn-failed\), (.*)", taskmaster.log)
        assert len(told) == 6
        assert {name for name, _ in told} == {"quick_1", "quick_2", "full"}
        assert all("the system gives no new process: Cannot allocate memory" in why for _, why in told), told
        assert {row["retries"] for row in taskmaster.status().values()} == {0}
        assert "FATAL" not in taskmaster.log


def memory_limit(pid: int, more_bytes: int | None) -> None:
    """Let the process have so much more than it has; None: what it likes."""
    whole = number(pid, "VmSize") * 1024
    most = resource.RLIM_INFINITY if more_bytes is None else whole + more_bytes
    resource.prlimit(pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


@pytest.mark.parametrize("more_bytes", [0, 1 << 20])
def test_a_daemon_without_memory_goes_on_as_well_as_it_can_and_heals(tmp_path: Path, more_bytes: int) -> None:
    """What cannot be answered or started then is, when there is memory again; nobody is killed or runs twice."""
    config = MANY.replace("instances: 40", "instances: 10")
    with Taskmaster(tmp_path, config, "-n", "-l", "taskmaster.log") as taskmaster:
        until(lambda: len(instances(tmp_path)) == 10, "ten")
        listening(tmp_path / "control.sock")
        pid = taskmaster.daemon
        before = set(instances_pids(tmp_path))
        memory_limit(pid, more_bytes)
        with ExitStack() as stack:
            for _ in range(20):
                client = stack.enter_context(Rpc(tmp_path / "control.sock"))
                client.socket.setblocking(False)
                with suppress(OSError):
                    client.send(request(1, "check", words=["x" * 50_000]) * 20)
            taskmaster.write(config.replace("sleep 1001", "sleep 1003") + "# " + "long " * 200_000)
            taskmaster.signal(signal.SIGHUP)
            doomed = sorted(before)[:3]
            for each in doomed:
                os.kill(each, signal.SIGKILL)
            until(lambda: "reload" in taskmaster.log or "SIGHUP" in taskmaster.log, "it has looked")
        memory_limit(pid, None)
        until(lambda: states(tmp_path) == {"RUNNING": 10}, "all are back")
        assert before - set(doomed) < set(instances_pids(tmp_path))
        assert len(instances(tmp_path)) == 10
        assert taskmaster.process.poll() is None
