"""Work that is done one after the other, for a slice of time in each turn of the loop.

Guarantees: everything is done in the order in which it was asked for, at once where nothing waits; while much waits,
the loop goes on between the slices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tm.core.timers import Instant
from tm.edge.loop import SLICE_S, Loop, Once


class Slices:
    """One queue of work."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._granting = False
        self._again = Once(loop, self._grant)
        self._turn, self._began = Instant(-1.0), loop.now

    def then(self, work: Callable[[], None]) -> None:
        """Do it when everything that was asked for before has been done: now, if nothing waits."""
        self._waiting.append(work)
        if not self._granting:
            self._granting = True
            self._grant()

    def _grant(self) -> None:
        if self._turn != self._loop.now:
            self._turn, self._began = self._loop.now, self._loop.sample()
        try:
            while self._waiting and self._loop.sample() - self._began <= SLICE_S:
                self._waiting.popleft()()
        finally:
            self._granting = bool(self._waiting)
            if self._waiting:
                self._again.ask()
