"""The agenda: what goes first, what is put off, deadlines, and what waits for what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tm.core.agenda import Agenda
from tm.core.timers import Instant

NOW = Instant(10.0)


def test_nothing_waits_for_ever() -> None:
    assert Agenda[str]().next(NOW) is None


def test_what_is_put_off_or_first_is_next_now_and_a_deadline_when_it_comes() -> None:
    deadlines, soon, first = Agenda[str](), Agenda[str](), Agenda[str]()
    deadlines.arm(Instant(12.0), "deadline")
    assert deadlines.next(NOW) == 12
    soon.soon(Instant(9.0), "soon")
    first.first("first")
    assert (soon.next(NOW), first.next(NOW)) == (NOW, NOW)


def test_what_is_put_off_comes_by_the_instant_when_it_was() -> None:
    agenda = Agenda[str]()
    agenda.arm(Instant(8.0), "earlier")
    agenda.soon(Instant(9.0), "soon")
    agenda.arm(Instant(9.5), "later")
    agenda.soon(NOW, "sooner or later")
    agenda.arm(Instant(11.0), "not yet")
    assert list(agenda.due(NOW)) == ["earlier", "soon", "later", "sooner or later"]
    assert agenda.next(NOW) == 11


def test_no_deadline_while_something_goes_before_it_and_what_is_put_off_does_not_wait() -> None:
    agenda = Agenda[str]()
    agenda.arm(Instant(8.0), "deadline")
    agenda.soon(Instant(9.0), "soon")
    agenda.first("who is dead")
    assert list(agenda.due(NOW)) == ["soon"]
    assert agenda.take_first() == ["who is dead"]
    assert agenda.take_first() == []
    assert list(agenda.due(NOW)) == ["deadline"]


def test_what_is_asked_for_meanwhile_comes_next_time() -> None:
    agenda = Agenda[str]()
    agenda.soon(NOW, "one")
    agenda.arm(NOW, "two")
    given_out = []
    for item in agenda.due(NOW):
        given_out.append(item)
        agenda.soon(NOW, f"{item}, soon")
        agenda.arm(Instant(1.0), f"{item}, at once")
    assert given_out == ["one", "two"]
    assert sorted(agenda.due(NOW)) == ["one, at once", "one, soon", "two, at once", "two, soon"]


def test_what_was_armed_meanwhile_does_not_keep_others_waiting() -> None:
    agenda = Agenda[str]()
    agenda.soon(Instant(1.0), "one")
    agenda.soon(Instant(9.0), "two")
    agenda.arm(Instant(5.0), "between")
    taken = agenda.due(NOW)
    assert next(taken) == "one"
    agenda.arm(Instant(2.0), "new")
    assert list(taken) == ["between", "two"]
    assert list(agenda.due(NOW)) == ["new"]


def test_an_item_can_cancel_a_later_one() -> None:
    agenda = Agenda[str]()
    agenda.soon(Instant(1.0), "one")
    timer = agenda.arm(Instant(2.0), "two")
    agenda.soon(Instant(3.0), "three")
    taken = agenda.due(NOW)
    assert next(taken) == "one"
    agenda.cancel(timer)
    assert list(taken) == ["three"]


def test_who_stops_early_loses_nothing() -> None:
    agenda = Agenda[str]()
    agenda.soon(Instant(1.0), "one")
    agenda.arm(Instant(2.0), "two")
    agenda.soon(Instant(3.0), "three")
    for item in agenda.due(NOW):
        assert item == "one"
        break
    assert list(agenda.due(NOW)) == ["two", "three"]


INSTANTS = st.integers(0, 10).map(lambda n: Instant(float(n)))


@given(st.lists(st.tuples(st.booleans(), INSTANTS)), INSTANTS)
def test_everything_that_is_due_once_and_in_order(asked: list[tuple[bool, Instant]], now: Instant) -> None:
    agenda, put_off = Agenda[tuple[Instant, int]](), Instant(0.0)
    expected = []
    for n, (is_soon, instant) in enumerate(asked):
        if is_soon:
            put_off = min(now, max(put_off, instant))
            agenda.soon(put_off, (put_off, n))
            expected.append((put_off, n))
        else:
            agenda.arm(instant, (instant, n))
            if instant <= now:
                expected.append((instant, n))
    found = list(agenda.due(now))
    assert sorted(found) == sorted(expected)
    assert [instant for instant, _ in found] == sorted(instant for instant, _ in found)
