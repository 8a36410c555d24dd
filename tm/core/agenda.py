"""What is to be done and by when: what goes before any deadline, what is only put off, and the deadlines.

Guarantees: while there is something that goes before deadlines, such as finding out who is dead, no deadline is given,
and what is only put off does not wait for it; what is due is given in the order of its instants, where that of what
was put off is when that was; what is asked for while something is given comes when that is over, so that each ends.
Leaves to others: what time it is, and for how long to go on (`edge.loop`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from tm.core.timers import Deadlines, Instant, Timer

T = TypeVar("T")


class Agenda(Generic[T]):
    """All of it, of one loop."""

    def __init__(self) -> None:
        self._first: list[T] = []
        self._soon: deque[tuple[Instant, T]] = deque()
        self._deadlines: Deadlines[T] = Deadlines()

    def first(self, item: T) -> None:
        """Before any deadline."""
        self._first.append(item)

    def soon(self, now: Instant, item: T) -> None:
        """As soon as what happens now is over."""
        self._soon.append((now, item))

    def arm(self, deadline: Instant, item: T) -> Timer[T]:
        """At `deadline` or after."""
        return self._deadlines.arm(deadline, item)

    def cancel(self, timer: Timer[T]) -> None:
        """Forget a deadline. One that was given or cancelled before is left alone."""
        self._deadlines.cancel(timer)

    def next(self, now: Instant) -> Instant | None:
        """When there is something to do: `now`, or at the earliest deadline; None: nothing waits."""
        return now if self._first or self._soon else self._deadlines.next()

    def take_first(self) -> list[T]:
        """What goes before deadlines, all of it."""
        taken, self._first = self._first, []
        return taken

    def due(self, now: Instant) -> Iterator[T]:
        """Take what is due at `now`, one at a time, so that an item can cancel a later one."""
        deadlines = iter(()) if self._first else self._deadlines.due(now)
        for _ in range(len(self._soon)):
            yield from self._until(self._soon[0][0], deadlines)
            yield self._soon.popleft()[1]
        yield from deadlines

    def _until(self, instant: Instant, deadlines: Iterator[T]) -> Iterator[T]:
        """Those of the deadlines that came before."""
        while (deadline := self._deadlines.next()) is not None and deadline < instant:
            if (item := next(deadlines, None)) is None:
                return
            yield item
