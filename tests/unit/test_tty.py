"""What `tty` means in a configuration: one output, whatever else is said."""

from __future__ import annotations

import pytest

from tests.unit.reading import config, problems, task
from tm.core.launch import launch
from tm.core.task import MERGED


@pytest.mark.parametrize("stderr", ["", "stderr: stdout\n"])
def test_its_one_output_is_stdout(stderr: str) -> None:
    given = task(f"command: run\ntty: true\nstdout: /log\n{stderr}")
    assert given.stderr == MERGED
    assert launch(given, 1, {}).targets == {"stdout": "/log"}


def test_another_place_for_errors_is_refused_where_it_stands() -> None:
    (problem,) = problems("tasks:\n  web:\n    command: run\n    stderr: /errors\n    tty: true\n")
    assert (str(problem.place), problem.id) == ("web.yaml:4:13", "tty-stderr")
    assert "a task with 'tty' has one output" in problem.render()
    assert "leave it out" in problem.render()


def test_without_it_nothing_is_merged() -> None:
    assert config("tasks: {web: {command: run, tty: false}}").tasks["web"].stderr is None
