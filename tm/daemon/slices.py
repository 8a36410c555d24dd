"""Work that is done one after the other, for a slice of time in each turn of the loop.

Guarantees: everything is done in the order in which it was asked for, at once where nothing waits; while much waits,
the loop goes on between the slices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tm.core.once import Once
from tm.core.timers import Instant
from tm.edge.loop import SLICE_S, Loop


class Slice:
    """The time that one kind of work has in a turn, however often it is turned to."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._turn, self._until = Instant(-1.0), loop.now

    def left(self, slice_s: float = SLICE_S) -> bool:
        """Whether there is time left; `slice_s`: how much it is, where it has not begun in this turn."""
        if self._turn != self._loop.now:
            self._turn, self._until = self._loop.now, Instant(self._loop.sample() + slice_s)
        return self._loop.sample() <= self._until


class Slices:
    """One queue of work."""

    def __init__(self, loop: Loop) -> None:
        self._queue: deque[Callable[[], None]] = deque()
        self._granting = False
        self._again = Once(loop.soon, self._grant)
        self._slice = Slice(loop)

    @property
    def waiting(self) -> bool:
        """Whether there is more than a turn has had time for."""
        return bool(self._queue)

    def then(self, work: Callable[[], None]) -> None:
        """Do it when everything that was asked for before has been done: now, if nothing waits."""
        self._queue.append(work)
        if not self._granting:
            self._granting = True
            self._grant()

    def _grant(self) -> None:
        try:
            while self._queue and self._slice.left():
                self._queue.popleft()()
        finally:
            self._granting = bool(self._queue)
            if self._queue:
                self._again.ask()
