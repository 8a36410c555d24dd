"""What the reading commands show, and what they cost."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.driver import Taskmaster
from tests.unit import build
from tests.waiting import until
from tm.core.process import Process
from tm.core.records import Level
from tm.core.tail import Tails
from tm.core.timers import Instant
from tm.core.transitions import State
from tm.daemon.outputs import Outputs
from tm.daemon.views import PLAIN, Sessions, Views
from tm.edge import procfs
from tm.edge.eventlog import EventLog, LogFile
from tm.edge.loop import Loop

NOW = Instant(100.0)


class Place:
    """Views that count how often they look at the processes of the machine."""

    def __init__(self) -> None:
        self.looks = 0
        self.errors: list[BaseException] = []
        self.loop = Loop(self.errors.append)
        outputs = Outputs(self.loop, Tails(1 << 20), lambda _who, _sentence: None)
        self.views = Views(outputs, EventLog(LogFile(None), Level.ERROR, False), {}, self.look_around)

    def look_around(self) -> Sessions:
        self.looks += 1
        return procfs.sessions()


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.loop.close()


@pytest.fixture
def leader() -> Iterator[int]:
    """A process that leads a session, as those of a task do."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def rows(pid: int, count: int) -> list[Process]:
    task = replace(build.task("worker"), instances=count)
    return [build.row(State.RUNNING, task=task, n=n, pid=pid) for n in range(1, count + 1)]


def test_one_look_serves_all_rows(place: Place, leader: int) -> None:
    many = rows(leader, 20)
    assert place.views.status(many, NOW, PLAIN, False).lines
    assert place.looks == 0
    lines = place.views.status(many, NOW, PLAIN, True).lines
    assert sum("Mem" in line and "CPU 0" in line for line in lines) == 20
    assert place.looks == 1
    assert "sleep 1000" in place.views.show(many, NOW, False).text
    assert place.looks == 2


def test_the_data_of_show_costs_no_look(place: Place, leader: int) -> None:
    answer = place.views.show(rows(leader, 3), NOW, False)
    assert json.dumps(answer.data)
    assert place.looks == 0
    assert len(answer.lines) == len(list(answer.lines)) > 3
    assert answer.lines[0] == answer.lines[:1][0]
    assert place.looks == 1


def test_several_of_one_task_have_one_configuration_and_not_all_are_shown(place: Place, leader: int) -> None:
    lines = list(place.views.show(rows(leader, 13), NOW, False).lines)
    assert lines[0] == "worker: 13 processes"
    assert lines.count("  configuration") == 1
    assert lines.count("  processes") == 10
    assert lines[-1] == "... and 3 more; type: show worker_11"


def test_the_status_of_a_task_shows_its_instances(tmp_path: Path) -> None:
    config = """
        tasks:
          worker: {command: sleep 1000, instances: 2, autoLaunch: true}
          web: {command: sleep 1000}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        answer = taskmaster.ask("status worker")
        assert answer.count("  configuration\n") == 1
        assert re.search(r"(?m)^worker_1: STARTED for ", answer)
        assert re.search(r"(?m)^worker_2: STARTED for ", answer)
        assert "configuration" not in taskmaster.ask("status worker web") + taskmaster.ask("status")


def test_a_refused_reload_is_told_with_its_first_problem(tmp_path: Path) -> None:
    with Taskmaster(tmp_path, "tasks: {web: {command: sleep 1000}}") as taskmaster:
        taskmaster.write("tasks: {web: {comand: sleep 1000}}")
        assert "Nothing was changed." in taskmaster.ask("reload")
        header, problem = taskmaster.ask("status").splitlines()[:2]
        assert header.startswith("The last reload was refused: ")
        assert problem.startswith(f"  {taskmaster.path}:1:")
        assert "task 'web' has no command" in problem


def test_lines_of_a_file_that_is_shared_are_nobodys_own(tmp_path: Path) -> None:
    config = """
        defaults: {autoLaunch: true}
        tasks:
          worker: {command: [sh, -c, "echo $0; exec sleep 1000", "{n}"], instances: 2, stdout: shared.log}
          alone: {command: "echo alone; exec sleep 1000"}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: sorted(taskmaster.ask("logs worker").splitlines()) == ["1", "2"], "no name before the lines")
        lines = until(lambda: len(found := taskmaster.ask("logs all").splitlines()) == 3 and found, "all lines")
        assert sorted(lines) == ["alone | alone", "worker | 1", "worker | 2"]


def test_following_tells_an_unfinished_line_at_the_end(tmp_path: Path) -> None:
    config = """
        tasks:
          web: {command: [sh, -c, "printf unfinished"], stdout: web.log, successfulStartTimeout: 0}
    """
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.type("logs web -f")
        for count in (1, 2):
            taskmaster.type("start web")
            until(lambda count=count: len(re.findall("(?m)^unfinished$", taskmaster.output)) == count, f"end {count}")
            taskmaster.wait_for(web="EXITED")


def test_following_stderr_that_goes_to_stdout(tmp_path: Path) -> None:
    config = """
        tasks:
          web:
            command: [sh, -c, "read x < fifo; echo of stderr >&2; exec sleep 1000"]
            autoLaunch: true
            stderr: stdout
    """
    os.mkfifo(tmp_path / "fifo")
    with Taskmaster(tmp_path, config) as taskmaster:
        taskmaster.ask("logs web --stderr -f")
        (tmp_path / "fifo").write_text("\n")
        taskmaster.wait_output("(?m)^of stderr$")


def test_logs_and_check_as_json(tmp_path: Path) -> None:
    config = """
        tasks:
          web: {command: [sh, -c, "echo one; echo two >&2; read x < fifo; echo three"], autoLaunch: true}
    """
    os.mkfifo(tmp_path / "fifo")
    out, err = {"name": "web", "stream": "stdout", "line": "one"}, {"name": "web", "stream": "stderr", "line": "two"}
    with Taskmaster(tmp_path, config) as taskmaster:
        until(lambda: json.loads(taskmaster.ask("logs web --json --all")) == [out, err], "the lines of both streams")
        assert json.loads(taskmaster.ask("check --json")) == {"tasks": 1}
        taskmaster.ask("logs web -f --json")
        (tmp_path / "fifo").write_text("\n")
        found = taskmaster.wait_output('(?m)^.*"three".*$')
        assert json.loads(found[0]) == {"name": "web", "stream": "stdout", "line": "three"}
