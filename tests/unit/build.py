"""Tasks and rows for tests, with everything at its default but what a test names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tm.core.effects import Effect
from tm.core.exitstatus import ExitStatus
from tm.core.loading import load
from tm.core.process import Occurrence, Process, step
from tm.core.task import Task
from tm.core.timers import Instant
from tm.core.transitions import Event, Refused, State


class TextWorld:
    """A world of a few files that never was on a disk."""

    def __init__(self, files: dict[str, str], environ: dict[str, str] | None = None) -> None:
        self.files = files
        self.environ = environ or {}
        self.cwd = "/start"

    def read(self, path: str) -> str:
        return self.files[path]

    def glob(self, pattern: str) -> list[str]:
        return []

    def has_user(self, name: str) -> bool:
        return True

    def has_group(self, name: str) -> bool:
        return True

    def has_zone(self, name: str) -> bool:
        return name in ("UTC", "Europe/Berlin")


def tasks(text: str) -> dict[str, Task]:
    """The tasks of a configuration given as text."""
    return dict(load("/etc/web.yaml", TextWorld({"/etc/web.yaml": text})).tasks)


_PLAIN = tasks("tasks: {web: {command: run}}")["web"]


def task(name: str = "web", **changes: Any) -> Task:
    """A task by attribute names."""
    return replace(_PLAIN, name=name, **changes)


def row(state: State = State.STOPPED, **changes: Any) -> Process:
    """A row; give `task` and `n` where they matter."""
    changes.setdefault("task", _PLAIN)
    changes.setdefault("n", 1)
    changes.setdefault("since", Instant(100.0))
    return Process(state=state, **changes)


def happen(process: Process, event: Event, at: float = 100.0, **facts: Any) -> tuple[Process, tuple[Effect, ...]]:
    """One step that is not refused."""
    outcome = step(process, Occurrence(event, **facts), Instant(at))
    assert not isinstance(outcome, Refused), outcome
    return outcome


def died(number: int) -> ExitStatus:
    """An exit code, or minus a signal."""
    return ExitStatus(number)
