"""What an operator's words mean while time goes on: for whoever follows.

Guarantees: a process that comes later, by a reload or by scaling, is found as if it had been there; a name is the one
that holds now; looking up costs something only when something unknown turns up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tm.core.process import Process
from tm.daemon.answers import NoSuchTask
from tm.daemon.wiring import Key


class Selection:
    """`words`: none for everything. `select`: the processes that they mean at present, or NoSuchTask."""

    def __init__(self, words: tuple[str, ...], select: Callable[[tuple[str, ...]], list[Process]]) -> None:
        """Raises NoSuchTask where they mean nothing to begin with."""
        self._words = words
        self._select = select
        self._known: dict[Key, Process] = {}
        self._names: set[str] = set()
        self._others: set[Key | str] = set()
        if words:
            self._look()

    def has(self, what: Key | str) -> bool:
        """Whether the process of this key, or of this name, is one of them."""
        if not self._words or what in self._known or what in self._names:
            return True
        if what in self._others:
            return False
        with suppress(NoSuchTask):  # all of them may be gone by now
            self._look()
        if what in self._known or what in self._names:
            return True
        self._others.add(what)
        return False

    def row(self, key: Key) -> Process:
        """The row of one of them, as it was when something new was last looked for."""
        return self._known[key]

    @property
    def several(self) -> bool:
        """Whether it is more than one process."""
        return len(self._known) > 1

    def _look(self) -> None:
        for row in self._select(self._words):
            self._known[row.task.name, row.n] = row
            self._names.add(row.name)
