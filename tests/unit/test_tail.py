"""Tails: the end of what came, within one budget."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from tm.core.tail import TAIL_BYTES, Tails


@given(st.lists(st.binary(max_size=40_000), max_size=12))
def test_a_tail_holds_the_last_bytes(chunks: list[bytes]) -> None:
    tails = Tails(10 * TAIL_BYTES)
    tail = tails.new()
    for chunk in chunks:
        tail.append(chunk)
    everything = b"".join(chunks)
    assert tail.read() == everything[-TAIL_BYTES:]
    assert tails.total == tail.size == len(tail.read())


def test_one_chunk_larger_than_a_tail() -> None:
    tail = Tails(10 * TAIL_BYTES).new()
    tail.append(b"x" * TAIL_BYTES + b"end")
    assert len(tail.read()) == TAIL_BYTES
    assert tail.read().endswith(b"xend")


def test_the_longest_unread_gives_way_first() -> None:
    tails = Tails(100)
    old, read, new = tails.new(), tails.new(), tails.new()
    old.append(b"o" * 40)
    read.append(b"r" * 40)
    old.read()
    new.append(b"n" * 40)
    assert tails.total <= 100
    assert (len(old.read()), len(new.read())) == (40, 40)
    assert read.read() == b"r" * 20


def test_the_budget_is_kept_when_only_one_is_there() -> None:
    tails = Tails(10)
    tail = tails.new()
    tail.append(b"0123456789abcdef")
    assert tail.read() == b"89abcdef"


def test_dropping_gives_the_room_back() -> None:
    tails = Tails(100)
    tail = tails.new()
    tail.append(b"x" * 50)
    tails.drop(tail)
    assert tails.total == 0


def test_many_small_pieces_cost_little_more_than_what_they_hold() -> None:
    tail = Tails(10 * TAIL_BYTES).new()
    tracemalloc.start()
    try:
        for number in range(3 * TAIL_BYTES):
            tail.append(bytes((number % 251,)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2 * TAIL_BYTES
    assert tail.read() == bytes(number % 251 for number in range(2 * TAIL_BYTES, 3 * TAIL_BYTES))


@given(st.lists(st.binary(max_size=9000), max_size=60))
def test_small_and_large_pieces_stay_in_order(chunks: list[bytes]) -> None:
    tail = Tails(10 * TAIL_BYTES).new()
    for chunk in chunks:
        tail.append(chunk)
    assert tail.read() == b"".join(chunks)[-TAIL_BYTES:]
