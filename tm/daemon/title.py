"""The daemon's name in `ps`: `taskmaster: web.yaml (12/12 running)`.

Guarantees: kept current at the cost of one update a turn, however many processes changed in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tm.core.once import Once
from tm.core.process import Occurrence, Process
from tm.daemon.supervisor import Supervisor
from tm.edge import ps
from tm.edge.loop import Loop


class Title:
    """An observer of the rows that counts who is up. `on_set`: the count is another one, told once a turn."""

    def __init__(self, loop: Loop, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._running = 0
        self._path = ps.where()
        self._soon = Once(loop.soon, self.show)
        self.on_set: Callable[[], None] = lambda: None

    @property
    def count(self) -> str:
        """`12/12 running`"""
        return f"{self._running}/{len(self._supervisor.rows)} running"

    def observe(self, before: Process, _what: Occurrence, after: Process, _sent: object) -> None:
        """A row changed; the title follows in the next turn."""
        if before.running is not after.running:
            self._running += 1 if after.running else -1
            self.update()

    def recount(self) -> None:
        """The rows are others than those that were counted."""
        self._running = sum(row.running for row in self._supervisor.rows.values())
        self.update()

    def update(self) -> None:
        """Have the title set in the next turn."""
        self._soon.ask()

    def show(self) -> None:
        """Set it now."""
        name = os.path.basename(self._supervisor.config.path)
        ps.show(f"taskmaster: {name} ({self.count})", "taskmaster", self._path)
        self.on_set()
