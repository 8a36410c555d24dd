"""What one start is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.build import task, tasks
from tm.core.launch import inherited, launch
from tm.core.task import KillMode

CONFIG = """
tasks:
  web:
    command: [run, "{instance}", "--n={n}"]
    instances: 2
    stdout: /log/{task}_{n}.log
    stderr: /log/{instance}.err
    environment: {PORT: "808{n}", A: own}
    workingDirectory: /srv/{task}
  merged: {command: run, stdout: /log/m, stderr: stdout}
  memory: {command: run}
"""


def test_slots_are_filled_and_the_environment_is_layered() -> None:
    settled = launch(tasks(CONFIG)["web"], 2, {"A": "inherited", "B": "inherited"})
    assert settled.argv == ("run", "web_2", "--n={n}")
    assert (settled.stdout, settled.stderr, settled.directory) == ("/log/web_2.log", "/log/web_2.err", "/srv/web")
    assert settled.environment == {
        "A": "own",
        "B": "inherited",
        "PORT": "8082",
        "TASKMASTER_TASK": "web",
        "TASKMASTER_INSTANCE": "web_2",
        "TASKMASTER_N": "2",
    }
    assert settled.given == {"A", "PORT"}
    assert "own" not in repr(settled)


def test_where_output_goes() -> None:
    merged, memory = (launch(tasks(CONFIG)[name], 1, {}) for name in ("merged", "memory"))
    assert (merged.stdout, merged.stderr, merged.merges_stderr) == ("/log/m", None, True)
    assert (memory.stdout, memory.stderr, memory.merges_stderr) == (None, None, False)


def test_whose_file_is_that_of_others_too() -> None:
    config = """
    tasks:
      many: {command: run, instances: 2, stdout: /log/m, stderr: "/log/{n}"}
      alone: {command: run, stdout: /log/m}
    """
    many, alone = (launch(tasks(config)[name], 1, {}) for name in ("many", "alone"))
    assert (many.common, alone.common) == ({"stdout"}, set())


def test_what_is_meant_for_the_daemon_is_not_inherited() -> None:
    private = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "TASKMASTER_TASK"]
    assert inherited({**dict.fromkeys(private, "x"), "PATH": "/bin", "LISTENER": "stays"}) == {
        "PATH": "/bin",
        "LISTENER": "stays",
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"user": "nobody"}, True),
        ({"group": "nogroup"}, True),
        ({"nice": 0}, True),
        ({"cpus": (0,)}, True),
        ({"oom_score": 0}, True),
        ({"limits": (("core", 0, 0),)}, True),
        ({"cgroup": "/sys/fs/cgroup/taskmaster-1-web.1"}, True),
    ],
)
def test_what_a_child_must_do_before_its_program_asks_for_a_fork(changes: dict[str, Any], expected: bool) -> None:
    assert replace(launch(task(), 1, {}), **changes).needs_fork is expected


def test_a_tree_is_to_be_found_again() -> None:
    assert launch(task(kill_mode=KillMode.TREE), 1, {}).tree
    assert not launch(task(), 1, {}).tree


def test_a_terminal_is_none_that_the_daemon_knows() -> None:
    own = {"TERM": "linux", "COLUMNS": "80", "LINES": "25", "A": "inherited"}
    named = tasks("tasks: {web: {command: run, tty: true, environment: {TERM: xterm, LINES: '7'}}}")["web"]
    plain, terminal, said = launch(task(), 1, own), launch(task(tty=True), 1, own), launch(named, 1, own)
    assert own.items() <= plain.environment.items()
    assert (plain.tty, plain.needs_fork) == (False, False)
    assert (terminal.tty, terminal.needs_fork) == (True, True)
    assert terminal.environment["TERM"] == "xterm-256color"
    assert not {"COLUMNS", "LINES"} & terminal.environment.keys()
    assert (said.environment["TERM"], said.environment["LINES"], said.environment["A"]) == ("xterm", "7", "inherited")
