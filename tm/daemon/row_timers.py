"""The timers of the rows: each row's is its deadline, no more.

Guarantees: a deadline that stays as it was is not armed anew; a row without one has no timer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tm.core.timers import Instant, Timer
from tm.daemon.wiring import Key
from tm.edge.loop import Loop


class RowTimers:
    """`due` hears of the row whose deadline has come."""

    def __init__(self, loop: Loop, due: Callable[[Key], None]) -> None:
        self._loop = loop
        self._due = due
        self._timers: dict[Key, Timer[Callable[[], None]]] = {}

    def arm(self, key: Key, deadline: Instant | None) -> None:
        """Let this be the row's deadline."""
        timer = self._timers.get(key)
        if timer is not None and timer.item is not None and timer.deadline == deadline:
            return
        self.disarm(key)
        if deadline is not None:
            self._timers[key] = self._loop.call_at(deadline, partial(self._due, key))

    def disarm(self, key: Key) -> None:
        """The row has none."""
        if timer := self._timers.pop(key, None):
            self._loop.cancel(timer)
