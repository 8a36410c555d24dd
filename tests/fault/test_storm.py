"""Deaths by the thousand, pipes that are closed, given away or flooded, descriptors used again: nothing is mixed up."""

from __future__ import annotations

import os
import resource
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.fault.kernel import descriptors, instances, nothing_left, number
from tests.fault.test_idle import sleeps_on
from tests.fault.test_stress import freeze, place, thaw
from tests.integration.driver import Taskmaster, alive
from tests.rpc import Rpc, listening
from tests.waiting import until

PATIENCE_S = 120
DEATHS = int(os.environ.get("TASKMASTER_DEATHS", "5000"))
"""How many die at once, where the limit of descriptors lets as many live: a pipe each."""


def test_thousands_of_deaths_at_once_are_all_known_and_a_client_is_answered_in_between(tmp_path: Path) -> None:
    half = min(DEATHS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2
    config = f"""
        defaults: {{autoLaunch: true, successfulStartTimeout: 0, stderr: stdout, instances: {half}, command: sleep 1e3}}
        tasks:
          expected: {{restart: on-failure, expectedExitCodes: [KILL]}}
          lost: {{restart: never}}
    """
    with (
        Taskmaster(tmp_path, config, "-n", "-l", "taskmaster.log") as taskmaster,
        Rpc(listening(tmp_path / "control.sock")) as rpc,
    ):
        until(lambda: taskmaster.log.count("(spawned)") == 2 * half, f"{2 * half} processes", PATIENCE_S)
        assert len(instances(tmp_path)) == 2 * half
        used = descriptors(taskmaster.daemon)
        rows = rpc.call("status")["data"]
        assert {row["status"] for row in rows} == {"RUNNING"}
        begun = len(taskmaster.log.splitlines())
        freeze(taskmaster)
        for row in rows:
            os.kill(row["pid"], signal.SIGKILL)
        until(lambda: not any(alive(row["pid"]) for row in rows), "all are dead", PATIENCE_S)
        asked = [rpc.ask("reload", options=["--dry-run"]), rpc.ask("version")]
        thaw(taskmaster)
        assert [rpc.answer()["id"] for _ in asked] == asked
        until(lambda: taskmaster.log.count("(reaped)") == 2 * half, "all are known", PATIENCE_S)
        log = taskmaster.log.splitlines()[begun:]
        assert place(log, "command: reload") < place(log, r"\(reaped\)", last=True), "answered in between"
        states = Counter((row["task"], row["status"]) for row in rpc.call("status")["data"])
        assert states == {("expected", "EXITED"): half, ("lost", "FATAL"): half}
        assert descriptors(taskmaster.daemon) == used - 2 * half
        assert children(taskmaster.daemon) == []
        assert " bug: " not in taskmaster.log


def children(pid: int) -> list[str]:
    """The children of the daemon, dead ones that nobody has waited for included."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_pipes_closed_given_away_and_flooded_leave_no_descriptor_after_200_restarts(tmp_path: Path) -> None:
    config = """
        defaults: {restart: always, successfulStartTimeout: 0, gracefulStopTimeout: 1}
        taskmaster: {restartFloor: 1ms, logLevel: error}
        tasks:
          closes: {command: "exec >&- 2>&-; exit 1"}
          gives: {command: "(setsid sleep 0.2 &); exit 0"}
          floods: {command: "head -c 100000 /dev/zero && echo >> runs; exit 1", stdout: flood.log, logMaxSize: 0}
          mutters: {command: "head -c 100000 /dev/zero >&2; kill -9 $$"}
    """
    with (
        Taskmaster(tmp_path, config, "-n", "-l", "taskmaster.log") as taskmaster,
        Rpc(listening(tmp_path / "control.sock")) as rpc,
    ):
        rpc.call("version")
        used, memory = descriptors(taskmaster.daemon), number(taskmaster.daemon, "VmRSS")
        rpc.call("start", words=["all"])
        until(lambda: min(row["restarts"] for row in rpc.call("status")["data"]) >= 200, "200 restarts", PATIENCE_S)
        rpc.call("stop", words=["all"])
        until(lambda: {row["status"] for row in rpc.call("status")["data"]} == {"STOPPED"}, "all have stopped")
        nothing_left(tmp_path)
        until(lambda: descriptors(taskmaster.daemon) == used, "every descriptor is back")
        assert children(taskmaster.daemon) == []
        assert number(taskmaster.daemon, "VmRSS") < memory + 16 * 1024
        runs = len((tmp_path / "runs").read_text())
        assert (tmp_path / "flood.log").stat().st_size >= runs * 100_000
        assert taskmaster.log == ""
    (tmp_path / "flood.log").unlink()


def test_descriptors_used_again_in_one_turn_are_nobody_elses(tmp_path: Path) -> None:
    """Children die and clients leave while others come, all in what is one turn for the daemon."""
    config = """
        defaults: {autoLaunch: true, restart: always, successfulStartTimeout: 0}
        taskmaster: {restartFloor: 1ms}
        tasks:
          says: {command: "echo $TASKMASTER_INSTANCE; exec sleep 1000", instances: 10}
    """
    with Taskmaster(tmp_path, config, "-n", "-l", "taskmaster.log") as taskmaster, ExitStack() as stack:
        clients = [stack.enter_context(Rpc(listening(tmp_path / "control.sock"))) for _ in range(10)]
        for turn in range(1, 21):
            first, often = clients[0], {f"says_{n}": turn for n in range(1, 11)}
            until(lambda rpc=first, wanted=often: said(rpc) == wanted, "each has said its own name")
            rows = first.call("status")["data"]
            freeze(taskmaster)
            for row in rows:
                os.kill(row["pid"], signal.SIGKILL)
            for client in clients[:: 1 + turn % 2]:
                client.socket.close()
            clients = [stack.enter_context(Rpc(tmp_path / "control.sock")) for _ in range(10)]
            asked = [[client.ask("version") for _ in range(n + 1)] for n, client in enumerate(clients)]
            thaw(taskmaster)
            for client, numbers in zip(clients, asked, strict=True):
                assert [client.answer()["id"] for _ in numbers] == numbers
        assert " bug: " not in taskmaster.log


def said(rpc: Rpc) -> dict[str, int]:
    """How often each has said its own name; 0 where it has said anything else."""
    names = [row["name"] for row in rpc.call("status")["data"]]
    lines = {name: rpc.call("logs", words=[name], lines=1000)["lines"] for name in names}
    return {name: len(each) if set(each) == {name} else 0 for name, each in lines.items()}


def test_300_reloads_that_add_and_remove_leave_nothing(tmp_path: Path) -> None:
    """What goes was up, in its proof, waiting for its next attempt, or given up."""
    config = """
        defaults: {autoLaunch: true, successfulStartTimeout: 0}
        taskmaster: {logLevel: error}
        tasks:
          kept: {command: sleep 1000}
    """
    added = """
          up: {command: sleep 1001, stdout: up.log, logTimestamps: true}
          proving: {command: sleep 1002, successfulStartTimeout: 1h}
          waits: {command: "false", restart: always, successfulStartTimeout: 1h, restartDelay: 1h, restartDelayMax: 1h}
          lost: {command: no-such-program, restart: never}
    """
    states = {"kept": "RUNNING", "up": "RUNNING", "proving": "STARTED", "waits": "BACKOFF", "lost": "FATAL"}
    with (
        Taskmaster(tmp_path, config, "-n", "-l", "taskmaster.log") as taskmaster,
        Rpc(listening(tmp_path / "control.sock")) as rpc,
    ):
        used, memory = 0, 0
        for turn in range(150):
            for text, expected in ((config.rstrip() + added, states), (config, {"kept": "RUNNING"})):
                taskmaster.write(text)
                rpc.call("reload")
                until(lambda wanted=expected: states_of(rpc) == wanted, str(expected))
            if turn == 20:
                sleeps_on(taskmaster.daemon, 1)
                used, memory = descriptors(taskmaster.daemon), number(taskmaster.daemon, "VmRSS")
        sleeps_on(taskmaster.daemon, 2)
        assert descriptors(taskmaster.daemon) == used
        assert number(taskmaster.daemon, "VmRSS") < memory + 4 * 1024
        assert len(children(taskmaster.daemon)) == 1


def states_of(rpc: Rpc) -> dict[str, str]:
    return {row["name"]: row["status"] for row in rpc.call("status")["data"]}
