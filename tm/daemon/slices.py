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
        self._queue: deque[Callable[[], None]] = deque()
        self._granting = False
        self._again = Once(loop, self.go_on)
        self._turn, self._began = Instant(-1.0), loop.now

    @property
    def waiting(self) -> bool:
        """Whether there is more than a turn has had time for."""
        return bool(self._queue)

    def then(self, work: Callable[[], None]) -> None:
        """Do it when everything that was asked for before has been done: now, if nothing waits."""
        self._queue.append(work)
        if not self._granting:
            self._granting = True
            self.go_on()

    def go_on(self) -> None:
        """Do what waits, as far as there is time left for it in this turn."""
        if self._turn != self._loop.now:
            self._turn, self._began = self._loop.now, self._loop.sample()
        try:
            while self._queue and self._loop.sample() - self._began <= SLICE_S:
                self._queue.popleft()()
        finally:
            self._granting = bool(self._queue)
            if self._queue:
                self._again.ask()
