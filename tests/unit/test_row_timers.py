"""The timers of rows, and deadlines that are extended."""

from __future__ import annotations

from tm.core.timers import Instant
from tm.daemon.row_timers import RowTimers
from tm.daemon.wiring import Key
from tm.edge.loop import Loop

KEY: Key = ("web", 1)


class Clocked:
    """Timers on a loop whose clock the test sets."""

    def __init__(self) -> None:
        self.time = 0.0
        self.due: list[float] = []
        self.loop = Loop(_raise, lambda: self.time)
        self.timers = RowTimers(self.loop, lambda key: self.due.append(self.time))

    def at(self, time: float) -> list[float]:
        """Who has been due by then."""
        self.time = time
        self.loop.turn(0)
        return self.due


def _raise(error: BaseException) -> None:
    raise error


def test_an_extension_moves_a_deadline_and_holds_while_that_is_the_rows() -> None:
    clock = Clocked()
    clock.timers.arm(KEY, Instant(10.0))
    clock.timers.extend(KEY, Instant(10.0), Instant(15.0))
    clock.timers.arm(KEY, Instant(10.0))
    assert clock.at(14.0) == []
    assert clock.at(15.0) == [15.0]


def test_one_that_is_not_later_changes_nothing() -> None:
    clock = Clocked()
    clock.timers.arm(KEY, Instant(10.0))
    clock.timers.extend(KEY, Instant(10.0), Instant(9.0))
    assert clock.at(9.5) == []
    assert clock.at(10.0) == [10.0]


def test_another_deadline_is_not_the_one_that_was_extended() -> None:
    clock = Clocked()
    clock.timers.arm(KEY, Instant(10.0))
    clock.timers.extend(KEY, Instant(10.0), Instant(15.0))
    clock.timers.arm(KEY, Instant(12.0))
    assert clock.at(12.0) == [12.0]
    clock.timers.arm(KEY, Instant(20.0))
    clock.timers.extend(KEY, Instant(20.0), Instant(25.0))
    clock.timers.arm(KEY, None)
    assert clock.at(30.0) == [12.0]
    clock.timers.arm(KEY, Instant(40.0))
    clock.timers.extend(KEY, Instant(40.0), Instant(45.0))
    clock.timers.disarm(KEY)
    assert clock.at(50.0) == [12.0]
