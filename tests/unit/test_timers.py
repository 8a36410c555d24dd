"""Deadlines: the earliest first, none twice, none after it was cancelled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tm.core.timers import Deadlines, Instant

INSTANTS = st.integers(0, 50).map(lambda n: Instant(float(n)))


def test_nothing_is_next_of_nothing() -> None:
    assert Deadlines[str]().next() is None


def test_due_in_order_of_instant_then_of_arming() -> None:
    deadlines = Deadlines[str]()
    for instant, name in [(3, "c"), (1, "a"), (3, "d"), (2, "b"), (9, "later")]:
        deadlines.arm(Instant(instant), name)
    assert list(deadlines.due(Instant(3))) == ["a", "b", "c", "d"]
    assert deadlines.next() == 9


def test_cancelled_is_never_given_even_while_others_are() -> None:
    deadlines = Deadlines[str]()
    deadlines.arm(Instant(1), "first")
    second = deadlines.arm(Instant(2), "second")
    given_out = []
    for name in deadlines.due(Instant(5)):
        given_out.append(name)
        deadlines.cancel(second)
        deadlines.cancel(second)
    assert given_out == ["first"]
    assert len(deadlines) == 0


def test_a_timer_armed_while_due_ones_are_taken_waits_for_the_next_call() -> None:
    deadlines = Deadlines[int]()
    deadlines.arm(Instant(1), 0)
    taken = []
    for n in deadlines.due(Instant(5)):
        taken.append(n)
        deadlines.arm(Instant(0), n + 1)
    assert taken == [0]
    assert list(deadlines.due(Instant(5))) == [1]


def test_taking_can_stop_half_way() -> None:
    deadlines = Deadlines[int]()
    for n in range(3):
        deadlines.arm(Instant(n), n)
    assert next(deadlines.due(Instant(5))) == 0
    assert list(deadlines.due(Instant(5))) == [1, 2]


def test_cancelled_timers_do_not_pile_up() -> None:
    deadlines = Deadlines[int]()
    deadlines.arm(Instant(1), 1)
    for n in range(10_000):
        deadlines.cancel(deadlines.arm(Instant(100), n))
    assert len(deadlines._heap) < 200
    assert list(deadlines.due(Instant(100))) == [1]


@given(st.lists(st.tuples(INSTANTS, st.booleans())), INSTANTS)
def test_exactly_the_live_and_due_are_given(armed: list[tuple[Instant, bool]], now: Instant) -> None:
    deadlines = Deadlines[int]()
    timers = [deadlines.arm(instant, i) for i, (instant, _) in enumerate(armed)]
    for timer, (_, keep) in zip(timers, armed, strict=True):
        if not keep:
            deadlines.cancel(timer)
    expected = [i for i, (instant, keep) in enumerate(armed) if keep and instant <= now]
    assert list(deadlines.due(now)) == sorted(expected, key=lambda i: armed[i][0])
    assert len(deadlines) == sum(keep and instant > now for instant, keep in armed)
