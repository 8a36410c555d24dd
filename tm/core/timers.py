"""Deadlines in a heap: what is due next, and what is due by now.

Guarantees: `due` gives timers in the order of their instants, those of one instant in the order they were armed; a
cancelled timer is never given; arming and taking cost O(log n), cancelling O(1); cancelled timers never outnumber the
live ones by more than a constant, so that a million re-armed deadlines do not pile up.
Leaves to others: what time it is (`edge.loop` samples it), and what to do when a deadline has come.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, NewType, TypeVar, cast

Instant = NewType("Instant", float)
"""Seconds on the monotonic clock. Never wall time, which may jump."""

T = TypeVar("T")
_SLACK = 64


class Timer(Generic[T]):
    """One armed deadline. `item` is what was asked for at `deadline`; `None` once taken or cancelled."""

    __slots__ = ("deadline", "item", "order")

    def __init__(self, deadline: Instant, order: int, item: T) -> None:
        self.deadline = deadline
        self.order = order
        self.item: T | None = item

    def __lt__(self, other: Timer[T]) -> bool:
        return (self.deadline, self.order) < (other.deadline, other.order)


class Deadlines(Generic[T]):
    """The heap. Cancelled timers stay in it until they surface or outnumber the live ones."""

    def __init__(self) -> None:
        self._heap: list[Timer[T]] = []
        self._armed = 0
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def arm(self, deadline: Instant, item: T) -> Timer[T]:
        """Remember `item` until `deadline`."""
        self._armed += 1
        self._live += 1
        timer = Timer(deadline, self._armed, item)
        heapq.heappush(self._heap, timer)
        return timer

    def cancel(self, timer: Timer[T]) -> None:
        """Forget a timer. One that was taken or cancelled before is left alone."""
        if timer.item is None:
            return
        timer.item = None
        self._live -= 1
        if len(self._heap) > 2 * self._live + _SLACK:
            self._heap = [each for each in self._heap if each.item is not None]
            heapq.heapify(self._heap)

    def next(self) -> Instant | None:
        """The earliest live deadline, or None when nothing is armed."""
        while self._heap and self._heap[0].item is None:
            heapq.heappop(self._heap)
        return self._heap[0].deadline if self._heap else None

    def due(self, now: Instant) -> Iterator[T]:
        """Take what is due at `now`, one at a time, so that an item can cancel a later one.

        A timer armed after this was called is not given before the next call, however early: each call ends.
        """
        return self._taken(now, self._armed)

    def _taken(self, now: Instant, last: int) -> Iterator[T]:
        postponed: list[Timer[T]] = []
        try:
            while (first := self.next()) is not None and first <= now:
                timer = heapq.heappop(self._heap)
                if timer.order > last:
                    postponed.append(timer)
                    continue
                item = cast(T, timer.item)
                timer.item = None
                self._live -= 1
                yield item
        finally:
            for timer in postponed:
                heapq.heappush(self._heap, timer)
