"""Each command at a pipe: `echo status | taskmaster c.yaml` and its answers."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.integration.driver import Taskmaster, alive, run
from tests.waiting import until

CONFIG = """
    tasks:
      web:
        command: sh -c 'echo ready; echo oops >&2; exec sleep 1000'
        autoLaunch: true
        successfulStartTimeout: 0
        labels: [front]
      worker:
        command: sleep 1000
        instances: 2
        successfulStartTimeout: 0
"""


def test_status_start_stop_restart(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        rows = taskmaster.status()
        assert {name: row["status"] for name, row in rows.items()} == {
            "web": "RUNNING",
            "worker_1": "STOPPED",
            "worker_2": "STOPPED",
        }
        answer = taskmaster.ask("start worker_2")
        pid = taskmaster.pid("worker_2")
        assert answer == f"Process 'worker_2' started with PID {pid}\n"
        assert taskmaster.ask("start worker_2") == "Process 'worker_2' is already running\n"
        taskmaster.type("stop worker_2")
        taskmaster.wait_output("Process 'worker_2' stopped gracefully\n")
        assert not alive(pid)
        assert taskmaster.ask("stop worker_2") == "Process 'worker_2' is not running\n"
        web = taskmaster.pid("web")
        taskmaster.type("restart web worker:*")
        until(lambda: taskmaster.status()["web"]["pid"] not in (None, web), "a new web")
        rows = taskmaster.wait_for(web="RUNNING", worker_1="RUNNING", worker_2="RUNNING")
        assert {row["restarts"] for row in rows.values()} == {0}


def test_the_table_for_people(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        lines = taskmaster.ask("status").splitlines()
        assert re.fullmatch(r"Task      Status   PID +Uptime  Restarts  Command", lines[0])
        assert re.fullmatch(r"web       RUNNING  \d+ +\d+s      0         sh -c 'echo ready.*", lines[1])
        assert re.fullmatch(r"worker_1  STOPPED  - +-       0         sleep 1000", lines[2])
        assert "Last change: " in taskmaster.ask("status -l web")


def test_a_name_that_is_wrong_carries_out_nothing(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        assert taskmaster.ask("start worker wbe") == "Task 'wbe' not found. Did you mean 'web'?\n"
        assert taskmaster.status()["worker_1"]["status"] == "STOPPED"
        assert taskmaster.ask("strat web").startswith("Unknown command: strat. Type 'help' for a list of commands.")


def test_logs_of_both_streams_from_memory(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        until(lambda: taskmaster.ask("logs web") == "ready\n", "stdout of web")
        assert taskmaster.ask("logs web --stderr") == "oops\n"
        assert sorted(taskmaster.ask("logs web --all").splitlines()) == ["! oops", "ready"]
        assert taskmaster.ask("logs worker_1") == "No logs available for this task.\n"


def test_logs_from_a_file_and_following(tmp_path: Path) -> None:
    config = """
        tasks:
          talk:
            command: sh -c 'while read -r line; do echo "$line"; done < fifo'
            autoLaunch: true
            stdout: talk.log
            stderr: stdout
    """
    os.mkfifo(tmp_path / "fifo")
    with Taskmaster(tmp_path, config) as taskmaster, (tmp_path / "fifo").open("w") as fifo:
        fifo.write("".join(f"line {n}\n" for n in range(100)))
        fifo.flush()
        until(lambda: "line 99" in (tmp_path / "talk.log").read_text(), "the log")
        assert taskmaster.ask("logs talk 3") == "line 97\nline 98\nline 99\n"
        taskmaster.type("logs talk 1 -f")
        taskmaster.wait_output("line 99\n$")
        fifo.write("and more\n")
        fifo.flush()
        taskmaster.wait_output("and more\n$")


def test_signals_have_the_names_that_the_file_takes(tmp_path: Path) -> None:
    config = "tasks: {idle: {command: sleep 1000}}\n"
    with Taskmaster(tmp_path, config) as taskmaster:
        for name in ("RTMIN+1", "sigrtmin+1", "hup", "15"):
            assert taskmaster.ask(f"signal {name} idle") == "Process 'idle' is not running\n"
        assert taskmaster.ask("signal RTMIN+99 idle").startswith("No such signal: RTMIN+99.")


def test_signal_pid_show_events(tmp_path: Path) -> None:
    config = """
        tasks:
          trap:
            command: sh -c 'trap "echo got it" USR1; echo up; while :; do read x; done < fifo'
            autoLaunch: true
            environment: {SECRET: hunter2}
    """
    os.mkfifo(tmp_path / "fifo")
    with Taskmaster(tmp_path, config) as taskmaster, (tmp_path / "fifo").open("w"):
        until(lambda: taskmaster.ask("logs trap") == "up\n", "up")
        assert taskmaster.ask("signal usr1 trap") == ""
        until(lambda: "got it" in taskmaster.ask("logs trap"), "the signal's answer")
        assert taskmaster.ask("signal NOPE trap").startswith("No such signal: NOPE.")
        assert taskmaster.ask("pid") == f"{taskmaster.process.pid}\n"
        assert taskmaster.ask("pid trap") == f"{taskmaster.pid('trap')}\n"
        shown = taskmaster.ask("show trap")
        assert "SECRET" in shown
        assert "hunter2" not in shown + taskmaster.log + taskmaster.ask("show trap --json")
        assert "web.yaml:4" in shown
        assert "hunter2" in taskmaster.ask("show trap --env")
        assert "STOPPED -> STARTED (start)" in taskmaster.ask("events trap")


def test_check_help_version(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        assert taskmaster.ask("check") == f"{taskmaster.path}: no problems, 2 task(s).\n"
        (tmp_path / "bad.yaml").write_text("tasks: {web: {comand: x}}")
        assert "did you mean 'command'?" in taskmaster.ask("check bad.yaml")
        assert "Commands:" in taskmaster.ask("help")
        assert taskmaster.ask("help stop").startswith("Usage: stop SEL ...")


def test_piped_commands_and_the_end_of_input_is_exit(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("tasks: {web: {command: sleep 1000, autoLaunch: true}}")
    done = run(tmp_path, "--state-dir", "state", "c.yaml", stdin="status\n")
    assert done.returncode == 0, done
    assert re.search(r"(?m)^web   STARTED  \d+", done.stdout)
    assert "Exiting Taskmaster...\n" in done.stdout
    assert "Process 'web' stopped gracefully\n" in done.stdout
    assert done.stderr == ""


def test_json_is_json(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        for line in ("pid --json", "events --json", "show web --json", "version --json", "status --json"):
            assert json.loads(taskmaster.ask(line)) is not None


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_shut_down_in_order(tmp_path: Path, signum: signal.Signals) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        pid = taskmaster.pid("web")
        taskmaster.signal(signum)
        assert taskmaster.process.wait(20) == 0
        assert not alive(pid)
        assert f"{signum.name} received" in taskmaster.log


def test_asked_twice_it_kills_and_asked_thrice_it_leaves(tmp_path: Path) -> None:
    config = """
        tasks:
          stubborn:
            command: sh -c 'trap "" TERM; echo up; while :; do read x; done < fifo'
            autoLaunch: true
            gracefulStopTimeout: 1h
    """
    os.mkfifo(tmp_path / "fifo")
    with Taskmaster(tmp_path, config) as taskmaster, (tmp_path / "fifo").open("w"):
        until(lambda: taskmaster.ask("logs stubborn") == "up\n", "up")
        pid = taskmaster.pid("stubborn")
        taskmaster.signal(signal.SIGTERM)
        until(lambda: "STARTED -> STOPPING" in taskmaster.log, "stopping")
        assert alive(pid)
        taskmaster.signal(signal.SIGTERM)
        assert taskmaster.process.wait(20) == 0
        assert not alive(pid)


def test_what_an_operator_stopped_stays_stopped_in_the_next_life(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        taskmaster.type("stop web")
        taskmaster.wait_for(web="STOPPED")
        taskmaster.type("start worker_1")
        taskmaster.wait_for(worker_1="RUNNING")
    with Taskmaster(tmp_path, CONFIG) as taskmaster:
        states = {name: row["status"] for name, row in taskmaster.status().items()}
        assert states == {"web": "STOPPED", "worker_1": "RUNNING", "worker_2": "STOPPED"}
        assert "Process 'web' stays stopped, as an operator wished; type: start web\n" in taskmaster.output
