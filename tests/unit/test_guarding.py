"""The configuration that one daemon keeps for the next, which may be of another version."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.build import tasks
from tm.cli.guarding import LOADED, loaded
from tm.core.config import Config
from tm.core.settings import Settings
from tm.core.task import Task
from tm.daemon.reading import Reading
from tm.daemon.ward import Inheritance
from tm.edge.hall import in_memory
from tm.edge.world import Machine


class Lacking:
    """Is pickled as a task that lacks the last members, as one of an earlier version does."""

    def __init__(self, task: Task, count: int) -> None:
        self._state = [getattr(task, name) for name in Task.__slots__][: len(Task.__slots__) - count]

    def __reduce__(self) -> tuple[Callable[..., object], tuple[type], list[Any]]:
        return object.__new__, (Task,), self._state


@pytest.mark.parametrize(("count", "taken"), [(0, True), (1, False), (5, False)])
def test_what_knows_fewer_keys_is_not_taken(count: int, taken: bool) -> None:
    task: Any = Lacking(tasks("tasks: {web: {command: run}}")["web"], count)
    reading = Reading(Config("web.yaml", {"web": task}, Settings()), Machine({}, "/"))
    fd = in_memory(pickle.dumps(reading))
    found = loaded(Inheritance(kept={LOADED: fd}))
    os.close(fd)
    assert (found is not None) is taken
    if found is not None:
        assert found.config.tasks == tasks("tasks: {web: {command: run}}")
