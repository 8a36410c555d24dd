"""Work that many ask for."""

from __future__ import annotations

from tm.core.once import Once
from tm.core.ports import Callback


def test_what_many_ask_for_is_done_once_and_again_when_it_is_asked_for_again() -> None:
    put_off: list[Callback] = []
    done: list[str] = []
    work = Once(put_off.append, lambda: done.append("done"))
    for times in (1, 2):
        for _ in range(3):
            work.ask()
        assert work.due
        assert len(put_off) == 1
        put_off.pop()()
        assert not work.due
        assert done == ["done"] * times


def test_it_can_be_asked_for_while_it_is_done() -> None:
    put_off: list[Callback] = []
    work = Once(put_off.append, lambda: work.ask())
    work.ask()
    put_off.pop()()
    assert work.due
    assert len(put_off) == 1
