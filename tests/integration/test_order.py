"""dependsOn: what is needed is started first, what needs it is stopped first, and what waits is told."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.client import Daemon
from tests.integration.driver import ROOT, Taskmaster, run
from tests.waiting import until

GATE = "{command: read x < gate.fifo; exit $x, successfulStartTimeout: 600}"
GATED = f"""
    defaults: {{successfulStartTimeout: 0}}
    tasks:
      web: {{command: sleep 1000, dependsOn: [db]}}
      db: {{command: sleep 1000, dependsOn: {{gate: completed}}}}
      gate: {GATE}
      other: {{command: sleep 1000}}
"""
STOPS = (
    """trap 'echo {name} >> order.txt; {then} exit 0' TERM; echo up {name} >> order.txt; while :; do sleep 0.05; done"""
)


def slow(name: str, then: str = "", **keys: str) -> str:
    """A task that says in order.txt that it is up and that it is being stopped, and what it does before it ends."""
    command = json.dumps(["/bin/sh", "-c", STOPS.format(name=name, then=then)])
    more = "".join(f", {key}: {value}" for key, value in keys.items())
    return f"  {name}: {{command: {command}, autoLaunch: true{more}}}\n"


def file(*tasks: str) -> str:
    return "defaults: {successfulStartTimeout: 0, gracefulStopTimeout: 60}\ntasks:\n" + "".join(tasks)


def order(home: Path) -> list[str]:
    path = home / "order.txt"
    return path.read_text().splitlines() if path.exists() else []


def all_up(home: Path, count: int) -> None:
    until(lambda: sum(line.startswith("up ") for line in order(home)) == count, "all of them up, with their traps")


def gate(home: Path, code: int) -> None:
    """Let the gate end with this code."""
    with (home / "gate.fifo").open("w") as fifo:
        fifo.write(f"{code}\n")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "gate.fifo")
    return tmp_path


def blocked(daemon: Daemon, name: str) -> str:
    row: dict[str, Any] = json.loads(daemon.ctl("--json", "status", name).stdout)[0]
    return str(row["blocked"])


# ---- starts


def test_a_start_starts_what_it_needs_says_so_and_waits_for_it(home: Path) -> None:
    with Daemon(home, GATED, "-l", "taskmaster.log") as daemon:
        client = daemon.begin("start", "web")
        until(lambda: blocked(daemon, "web"), "one that waits")
        assert "web state: STOPPED (start), waits for db (started): db is blocked itself, by uid" in daemon.log
        assert blocked(daemon, "web") == "waits for db (started): db is blocked itself"
        assert blocked(daemon, "db") == "waits for gate (completed): gate is STARTED"
        shown = daemon.ctl("status").stdout
        assert (
            "\nweb waits for db (started): db is blocked itself\ndb waits for gate (completed): gate is STARTED\n"
            in shown
        )
        assert "s, waits for db (started): db is blocked itself\n" in daemon.ctl("show", "web").stdout
        gate(home, 0)
        out, err = client.communicate(timeout=30)
        assert (client.returncode, err) == (0, ""), out
        assert out.splitlines() == [
            "Starting 'gate', 'db' as well, needed by 'web'",
            "Process 'web' waits for db (started): db is blocked itself",
            f"Process 'web' started with PID {daemon.pid('web')}",
        ]
        states = {name: row["status"] for name, row in daemon.rows().items()}
        assert states == {"web": "RUNNING", "db": "RUNNING", "gate": "EXITED", "other": "STOPPED"}
        assert blocked(daemon, "web") == ""


def test_a_wait_ends_when_what_is_waited_for_does_not_come(home: Path) -> None:
    with Daemon(home, GATED) as daemon:
        client = daemon.begin("start", "web")
        until(lambda: blocked(daemon, "db"), "one that waits")
        gate(home, 3)
        out, err = client.communicate(timeout=30)
        assert client.returncode == 1, out
        assert err == "Process 'web' waits for db (started): db is blocked itself; type: status db\n"
        assert blocked(daemon, "db") == "waits for gate (completed): gate is FATAL; type: start gate"
        data = json.loads(daemon.ctl("--json", "start", "db", "--timeout", "0.1").stdout)
        assert (data["asked"], data["needed"], data["pending"]) == (["db"], ["gate"], ["db"])
        gate(home, 0)
        until(lambda: daemon.state("web") == "RUNNING", "what waits, since it was helped")


def test_a_wait_is_given_up_in_time_and_the_start_goes_on(home: Path) -> None:
    with Daemon(home, GATED) as daemon:
        done = daemon.ctl("--timeout", "0.2", "start", "db")
        assert done.returncode == 124
        assert "not within 0.2s: 'db' waits for gate (completed): gate is STARTED. It goes on." in done.stderr
        gate(home, 0)
        until(lambda: daemon.state("db") == "RUNNING", "what waits")


def test_a_stop_takes_the_start_back(home: Path) -> None:
    with Daemon(home, GATED) as daemon:
        client = daemon.begin("start", "web")
        until(lambda: blocked(daemon, "web"), "one that waits")
        done = daemon.ctl("stop", "web")
        assert (done.returncode, done.stdout) == (0, "Process 'web' no longer waits\n")
        _, err = client.communicate(timeout=30)
        assert (client.returncode, err) == (1, "Process 'web' was stopped by somebody else meanwhile\n")
        gate(home, 0)
        until(lambda: daemon.state("db") == "RUNNING", "what it needed")
        assert daemon.state("web") == "STOPPED"


def test_the_prompt_tells_what_waits(home: Path) -> None:
    with Taskmaster(home, GATED) as taskmaster:
        assert "Starting 'gate' as well, needed by 'db'" in taskmaster.ask("start db")
        taskmaster.wait_output("Process 'db' waits for gate \\(completed\\): gate is STARTED")
        assert taskmaster.status()["db"]["blocked"] == "waits for gate (completed): gate is STARTED"
        gate(home, 0)
        taskmaster.wait_output("Process 'db' started with PID")


def test_a_boot_and_a_reload_start_in_the_order_of_the_graph(home: Path) -> None:
    first = file(slow("c", dependsOn="b"), slow("b", dependsOn="a"), slow("a"))
    with Daemon(home, first) as daemon:
        all_up(home, 3)
        more = file(slow("f", dependsOn="[e, a]"), slow("e", dependsOn="d"), slow("d"))
        daemon.write(first + more.partition("tasks:\n")[2])
        answer = json.loads(daemon.ctl("--json", "reload").stdout)
        assert (answer["starts"], sorted(answer["done"]), answer["failed"]) == (["d", "e", "f"], ["d", "e", "f"], {})
        pids = [daemon.pid(name) for name in "abcdef"]
        assert pids == sorted(pids)


def test_what_cannot_be_waited_for_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("tasks:\n  web: {command: sleep 1, dependsOn: [wbe]}\n")
    done = run(tmp_path, "-t", "web.yaml")
    assert done.returncode == 2
    assert (
        "web.yaml:2:39: 'dependsOn' of task 'web': there is no task 'wbe' [unknown-task]" in done.stderr + done.stdout
    )


def test_the_example_is_what_it_says(tmp_path: Path) -> None:
    with Daemon(tmp_path, (ROOT / "etc/examples/order.yaml").read_text(), "-l", "taskmaster.log") as daemon:
        until(lambda: {daemon.rows()[name]["status"] for name in ("web_1", "web_2")} == {"RUNNING"}, "all of it")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        log = daemon.log
    for earlier, later in (
        ("database state: STARTED -> RUNNING", "migrate state: STOPPED -> STARTED"),
        ("cache state: STARTED (spawned)", "migrate state: STOPPED -> STARTED"),
        ("migrate state: RUNNING -> EXITED", "web_1 state: STOPPED -> STARTED"),
        ("web_1 state: STOPPING -> STOPPED", "database state: RUNNING -> STOPPING"),
        ("web_2 state: STOPPING -> STOPPED", "cache state: RUNNING -> STOPPING"),
    ):
        assert 0 < log.index(earlier) < log.index(later), (earlier, later, log)


# ---- stops


def test_a_shutdown_stops_dependents_first(tmp_path: Path) -> None:
    config = file(slow("db"), slow("web", "sleep 0.2;", dependsOn="db"), slow("cdn", "sleep 0.2;", dependsOn="web"))
    with Daemon(tmp_path, config) as daemon:
        all_up(tmp_path, 3)
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        assert order(tmp_path)[3:] == ["cdn", "web", "db"]


def test_what_is_independent_is_stopped_at_once(tmp_path: Path) -> None:
    """Each of the eight ends only when all eight have been told to."""
    waits = "while [ $(grep -c '^t[0-9]$' order.txt) -lt 8 ]; do sleep 0.05; done;"
    names = [f"t{n}" for n in range(8)]
    with Daemon(tmp_path, file(*(slow(name, waits) for name in names))) as daemon:
        all_up(tmp_path, 8)
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
        assert sorted(order(tmp_path)[8:]) == names


def test_stop_all_stops_dependents_first_and_stop_of_one_stops_that_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go.fifo")
    config = file(slow("db"), slow("web", "read x < go.fifo;", dependsOn="db"), slow("lone"))
    with Daemon(tmp_path, config) as daemon:
        all_up(tmp_path, 3)
        client = daemon.begin("stop", "all")
        until(lambda: {"web", "lone"} <= set(order(tmp_path)), "those that nobody needs")
        assert blocked(daemon, "db") == "is stopped after web, which depends on it"
        assert "db is stopped after web, which depends on it" in daemon.ctl("status").stdout
        assert daemon.state("db") == "RUNNING"
        (tmp_path / "go.fifo").write_text("x\n")
        out, err = client.communicate(timeout=30)
        assert (client.returncode, err) == (0, "")
        assert "Process 'db' is stopped after web, which depends on it\n" in out
        assert order(tmp_path)[-1] == "db"
        assert daemon.ctl("start", "web").returncode == 0
        assert daemon.ctl("stop", "db").returncode == 0
        assert daemon.state("web") == "RUNNING"
        client = daemon.begin("stop", "web")
        (tmp_path / "go.fifo").write_text("x\n")
        assert client.communicate(timeout=30)[1] == ""


def test_a_second_request_to_leave_kills_now(tmp_path: Path) -> None:
    with Daemon(tmp_path, file(slow("db", "sleep 600;"), slow("web", "sleep 600;", dependsOn="db"))) as daemon:
        all_up(tmp_path, 2)
        daemon.signal(signal.SIGTERM)
        until(lambda: order(tmp_path)[2:] == ["web"], "the stop of the dependent")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0


def test_a_reload_that_removes_both_stops_the_dependent_first(tmp_path: Path) -> None:
    with Daemon(tmp_path, file(slow("db"), slow("web", "sleep 0.2;", dependsOn="db"), slow("lone"))) as daemon:
        all_up(tmp_path, 3)
        daemon.write(file(slow("lone")))
        assert daemon.ctl("reload").returncode == 0
        assert order(tmp_path)[3:] == ["web", "db"]
        assert list(daemon.rows()) == ["lone"]
