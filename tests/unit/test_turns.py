"""Whose turn it is, where several write to one log."""

from __future__ import annotations

import errno

import pytest

from tm.core.turns import Turns


def waits(turns: Turns, writer: object) -> bool:
    try:
        turns.await_turn(writer)
    except OSError:
        return True
    return False


def test_it_is_everybodys_turn_where_nobody_has_a_claim() -> None:
    turns = Turns()
    assert not waits(turns, "a")
    assert turns.place("a") == turns.place("b")


def test_who_was_cut_short_goes_on_first_then_the_dead_in_their_order() -> None:
    turns = Turns()
    turns.let_finish("dead")
    turns.let_finish("later")
    turns.cut_short = "torn"
    assert [each for each in ("any", "later", "dead", "torn") if not waits(turns, each)] == ["torn"]
    assert sorted(("any", "later", "dead", "torn"), key=turns.place) == ["torn", "dead", "later", "any"]
    turns.leave("torn")
    assert [each for each in ("any", "later", "dead") if not waits(turns, each)] == ["dead"]
    turns.has_finished("dead")
    turns.has_finished("dead")
    turns.leave("later")
    assert not waits(turns, "any")


def test_who_waits_hears_the_reason_of_the_latest_refusal() -> None:
    turns = Turns()
    turns.cut_short = "torn"
    with pytest.raises(BlockingIOError):
        turns.await_turn("other")
    turns.refusal = OSError(errno.ENOSPC, "full")
    with pytest.raises(OSError, match="full"):
        turns.await_turn("other")


def test_who_was_told_to_wait_goes_before_who_comes_later_and_behind_the_dead() -> None:
    turns = Turns()
    for each in ("one", "two", "one"):
        turns.wait(each, OSError(errno.EAGAIN, "full"))
    assert [each for each in ("late", "two", "one") if not waits(turns, each)] == ["one"]
    turns.let_finish("dead")
    assert [each for each in ("late", "two", "one", "dead") if not waits(turns, each)] == ["dead"]
    turns.leave("dead")
    turns.had("one")
    turns.had("one")
    assert [each for each in ("late", "two", "one") if not waits(turns, each)] == ["two"]
    assert (turns.waits("one"), turns.waits("two")) == (False, True)
    turns.leave("two")
    assert not waits(turns, "late")


def test_who_is_about_to_write_is_told() -> None:
    turns, told = Turns(), list[object]()
    turns.on_turn = lambda _turns, writer: told.append(writer)
    turns.begin("a")
    assert (turns.last, told) == ("a", ["a"])


def test_whether_somebody_has_a_claim() -> None:
    turns = Turns()
    assert not turns.claimed
    turns.let_finish("dead")
    assert turns.claimed
    turns.has_finished("dead")
    assert not turns.claimed
    turns.cut_short = "torn"
    assert turns.claimed
