"""Limits of the machine: taskmaster's own is raised where that helps, its children keep theirs, and a lack is told."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.fault.test_shortage import pids_cgroup
from tests.integration.client import CLIENT, Daemon
from tests.integration.driver import OWN, PROGRAM, environment
from tests.unit.build import row, tasks
from tests.waiting import until
from tm.core.config import Config
from tm.core.demand import OWN_DESCRIPTORS, demand
from tm.core.journal import Ledger
from tm.core.lasting import saved
from tm.core.settings import Settings
from tm.core.timers import Instant
from tm.core.transitions import State
from tm.daemon.chronicle import identify
from tm.daemon.recognition import Recognition
from tm.daemon.ward import Inheritance, Ward

FEW, HARD = 100, 4096
MANY = """
    defaults: {command: sleep 1000, autoLaunch: true, restart: always, successfulStartTimeout: 0}
    tasks:
      quick: {instances: 30}
      full: {nice: 1}
      hooked: {hooks: {postStart: "sh -c 'ulimit -Sn >told'"}}
"""


class Short(Daemon):
    """One that is started with few descriptors, and may have more."""

    under = ("prlimit", f"--nofile={FEW}:{HARD}")


def soft(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]


def are_up(daemon: Daemon, count: int) -> dict[str, int]:
    """Their pids, when so many run."""

    def up() -> dict[str, int] | None:
        found = {name: row["pid"] for name, row in daemon.rows().items() if row["status"] == "RUNNING"}
        return found if len(found) == count else None

    return until(up, f"{count} are up")


def test_what_is_raised_is_our_own_limit_and_never_the_childrens(tmp_path: Path) -> None:
    with Short(tmp_path, MANY) as daemon:
        pids = are_up(daemon, 32)
        told = until(lambda: (tmp_path / "told").exists() and (tmp_path / "told").read_text(), "the hook")
        assert told == f"{FEW}\n"
        assert {soft(pid) for pid in pids.values()} == {FEW}
        raised = soft(daemon.daemon)
        assert FEW < raised < HARD
        assert soft(daemon.process.pid) == raised
        before = daemon.daemon
        os.kill(before, signal.SIGKILL)
        until(lambda: daemon.daemon not in (before, daemon.process.pid) and daemon.answers(), "the next one")
        assert are_up(daemon, 32) == pids
        assert soft(daemon.daemon) == raised
        assert daemon.ctl("scale", "quick", "300").returncode == 0
        pids = are_up(daemon, 302)
        assert {soft(pid) for pid in pids.values()} == {FEW}
        assert soft(daemon.daemon) == soft(daemon.process.pid) > raised
        assert "limits: " not in daemon.errors


def test_a_limit_that_suffices_is_left_alone(tmp_path: Path) -> None:
    with Short(tmp_path, "tasks: {one: {command: sleep 1000, autoLaunch: true}}") as daemon:
        assert soft(daemon.daemon) == FEW


EVERY_KIND = """
    defaults: {command: sleep 1000, autoLaunch: true, successfulStartTimeout: 0}
    tasks:
      two: {instances: 5}
      merged: {instances: 5, stdout: all.log, stderr: stdout}
      files: {instances: 5, stdout: "{n}.log", stderr: "{n}.err"}
      typed: {instances: 5, tty: true}
      speaks: {instances: 5, watchdog: 60}
      given: {instances: 5, sockets: {one: "unix:///{}/one.sock", two: "unix:///{}/two.sock"}}
"""


def test_what_is_declared_is_what_is_open(tmp_path: Path) -> None:
    """But for what is only there for a moment, and a process that names another one as its own."""
    text = EVERY_KIND.replace("{}", str(tmp_path))
    need = demand(Config("web.yaml", tasks(text), Settings())).descriptors
    with Daemon(tmp_path, text) as daemon:
        are_up(daemon, 30)
        before = daemon.daemon
        os.kill(before, signal.SIGKILL)
        until(lambda: daemon.daemon not in (before, daemon.process.pid) and daemon.answers(), "the next one")
        are_up(daemon, 30)
        found = len(os.listdir(f"/proc/{daemon.daemon}/fd"))
        kept = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    named = 5
    assert need - OWN_DESCRIPTORS - named <= found <= need
    assert kept <= need


def begun(home: Path, config: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One whole run, by these words and then the program's."""
    (home / "web.yaml").write_text(config)
    return subprocess.run(
        words, cwd=home, env=environment(home), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_lack_is_told_where_it_is_checked(tmp_path: Path) -> None:
    config = "tasks: {many: {command: sleep 1, user: nobody, instances: 50}}"
    limits = ("prlimit", f"--nofile={FEW}:{FEW}", "--nproc=8:", *PROGRAM)
    done = begun(tmp_path, config, *limits, "--check", "web.yaml")
    assert done.returncode == 0, done.stderr
    first, files, users = done.stdout.splitlines()
    assert first == "web.yaml: no problems, 1 task(s)."
    assert files.startswith(
        f"web.yaml: 50 processes may need 214 descriptors in taskmaster, whose hard limit of open files is {FEW}:"
    )
    assert "`ulimit -n 1024`" in files
    assert "50 process ids for user 'nobody', and the limit of one user is 8:" in users
    assert len(begun(tmp_path, config.replace("50", "1"), *limits, "--check", "web.yaml").stdout.splitlines()) == 1


def test_a_lack_is_told_by_the_cgroup_that_is_tightest(tmp_path: Path) -> None:
    with pids_cgroup(20) as group:
        enter = f'echo $$ >{group}/cgroup.procs; exec "$@"'
        words = ("sh", "-c", enter, "sh", *PROGRAM, "--check", "web.yaml")
        done = begun(tmp_path, "tasks: {many: {command: sleep 1, instances: 13}}", *words)
        assert f"13 processes may need 21 process ids with its own, and {group}/pids.max is 20:" in done.stdout
        assert "TasksMax=1024" in done.stdout
        done = begun(tmp_path, "tasks: {many: {command: sleep 1, instances: 12}}", *words)
        assert "may need" not in done.stdout


def test_a_lack_is_told_at_the_start_and_what_can_run_runs(tmp_path: Path) -> None:
    """In the background: where it was started, and in the event log; at each reload and `scale` again."""
    own = [word for pair in OWN.items() for word in pair]
    words = ("prlimit", f"--nofile={FEW}:{FEW}", *PROGRAM, *own, "-l", "event.log", "-p", "pid", "-d", "web.yaml")
    many = "tasks: {{many: {{command: sleep 1000, instances: {}, autoLaunch: true, successfulStartTimeout: 0}}}}"
    done = begun(tmp_path, many.format(15), *words)
    log = tmp_path / "event.log"
    try:
        assert done.returncode == 0, done.stderr
        lack = "web.yaml: 15 processes may need 109 descriptors in taskmaster"
        assert done.stderr.count(lack) == log.read_text().count(f"WARNING taskmaster limits: {tmp_path}/{lack}") == 1
        until(lambda: log.read_text().count("-> RUNNING") == 15, "they run all the same")
        (tmp_path / "web.yaml").write_text(many.format(14))
        for command, told in (("reload", True), ("scale many 2", False), ("scale many 20", True), ("check", True)):
            done = begun(tmp_path, many.format(14), *CLIENT, "-s", OWN["--socket"], *command.split())
            assert done.returncode == 0, done.stderr
            assert ("may need" in done.stdout) is told, (command, done.stdout)
        assert log.read_text().count("WARNING taskmaster limits: ") == 3
    finally:
        os.kill(int((tmp_path / "pid").read_text().split()[0]), signal.SIGTERM)
        until(lambda: "taskmaster end: leaving" in log.read_text(), "the end")


class Told:
    """An event log of which one sentence is kept."""

    def write(self, _level: object, _who: str, _kind: str, sentence: str) -> None:
        os.write(1, sentence.encode())


def test_whoever_cannot_look_at_what_runs_ends_and_takes_nobody_for_dead() -> None:
    """It would be started a second time."""
    alive = row(State.RUNNING, pid=os.getpid(), spawned_at=Instant(1.0))
    known = saved(alive, 1, identify(os.getpid()), {})
    recognition = Recognition(None, Ward(None, {}), Ledger(), Inheritance(), Told())  # type: ignore[arg-type]
    look = recognition.look(known)
    assert look.lives
    assert look.fd is not None
    os.close(look.fd)
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.dup2(writing, 1)
        used = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, HARD))
        with suppress(OSError):
            while True:
                os.dup(1)
        recognition.look(known)
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read().startswith(b"pid %d cannot be looked at (Too many open files)" % known.pid)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
