"""The timers of the rows: each row's is its deadline, no more.

Guarantees: a deadline that stays as it was is not armed anew; a row without one has no timer; an extension holds as
long as the deadline that it extends is the row's.
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
        self._extended: dict[Key, tuple[Instant | None, Instant]] = {}

    def arm(self, key: Key, deadline: Instant | None) -> None:
        """Let this be the row's deadline."""
        if (extension := self._extended.get(key)) is not None:
            if extension[0] == deadline:
                return
            del self._extended[key]
        timer = self._timers.get(key)
        if timer is not None and timer.item is not None and timer.deadline == deadline:
            return
        self._set(key, deadline)

    def extend(self, key: Key, deadline: Instant, until: Instant) -> None:
        """Let this deadline of the row come at `until`, where that is later."""
        if until > deadline:
            self._extended[key] = deadline, until
            self._set(key, until)

    def _set(self, key: Key, deadline: Instant | None) -> None:
        if timer := self._timers.pop(key, None):
            self._loop.cancel(timer)
        if deadline is not None:
            self._timers[key] = self._loop.call_at(deadline, partial(self._due, key))

    def disarm(self, key: Key) -> None:
        """The row has none."""
        self._extended.pop(key, None)
        self._set(key, None)
