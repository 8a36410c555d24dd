"""Looking for lines from the end of a log, in blocks, and for the place of a time."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm.core.log_query import Sieve
from tm.core.log_search import BLOCK_BYTES, FOUND_BYTES, Held, Search, distance, has_times

R = TypeVar("R")
START = 1_800_000_000


def naive(content: bytes, count: int | None) -> list[bytes]:
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    return lines if count is None else lines[max(0, len(lines) - count) :]


def looked_for(content: bytes, count: int | None, sieve: Sieve | None = None) -> Search:
    search = Search(Held(content), count, sieve)
    while search.step():
        pass
    return search


def worked(work: Generator[None, None, R]) -> R:
    """What a piece of work comes to."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: R = end.value
            return result


LONG = st.builds(bytes.__mul__, st.sampled_from([b"x", b"xy\n", b"\n", b"\r\n", b"\xff\x00"]), st.integers(0, 90_000))
CONTENT = st.lists(st.binary(max_size=40) | LONG, max_size=6).map(b"".join)


@given(CONTENT, st.integers(1, 60))
@settings(max_examples=200)
def test_the_last_lines_are_those_that_reading_it_whole_would_give(content: bytes, count: int) -> None:
    search = looked_for(content, count)
    assert list(search.found) == naive(content, count)
    assert search.ends_open == (content != b"" and not content.endswith(b"\n"))
    assert not search.cut_short


@given(CONTENT, st.sampled_from(["x", "y", "^xy$", "^$"]), st.integers(1, 5))
@settings(max_examples=100)
def test_a_sieve_lets_through_what_holding_each_line_against_it_would(content: bytes, pattern: str, count: int) -> None:
    sieve = Sieve(pattern)
    search = looked_for(content, count, sieve)
    assert list(search.found) == [line for line in naive(content, None) if sieve.passes(line)][-count:]


def test_the_last_line_is_open_only_when_it_is_the_one_that_was_found() -> None:
    assert looked_for(b"a\nb", 1).ends_open
    assert not looked_for(b"a\nb", 1, Sieve("a")).ends_open
    assert not looked_for(b"a\na\nb\n", None, Sieve("a")).ends_open


@pytest.mark.parametrize("size", [1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n"])
def test_where_blocks_meet(size: int, end: bytes) -> None:
    content = b"first\n" + b"x" * size + end
    for count in range(1, 4):
        assert list(looked_for(content, count).found) == naive(content, count)


def test_what_is_found_is_bounded() -> None:
    search = looked_for(b"line\n" * 500_000, None)
    assert search.cut_short
    assert sum(len(line) + 1 for line in search.found) <= FOUND_BYTES
    endless = looked_for(b"first\n" + b"x" * (5 * FOUND_BYTES), 2)
    assert endless.cut_short
    assert sum(map(len, endless.found)) <= FOUND_BYTES
    assert endless.found[-1] == b"x" * len(endless.found[-1])


def test_a_search_between_two_places() -> None:
    content = b"a\nb\nc\nd\n"
    for far, near, found in ((6, 2, [b"b", b"c"]), (None, 4, [b"a", b"b"]), (2, 2, []), (0, 0, []), (2, 6, [])):
        search = Search(Held(content), None)
        search.between(far, near)
        while search.step():
            pass
        assert list(search.found) == found


def stamped(second: int) -> bytes:
    return datetime.fromtimestamp(START + second, UTC).isoformat().encode() + b" line\n"


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(0, 40)), max_size=60),
    st.integers(-5, 300),
    st.booleans(),
    st.sampled_from([64, 100, 1000]),
)
@settings(max_examples=300)
def test_the_place_of_a_time(steps: list[tuple[int, int, int]], second: int, beyond: bool, block: int) -> None:
    time, lines = 0, []
    for step, traces, length in steps:
        time += step
        lines.append((time, stamped(time)))
        lines += [(None, b"y" * length + b"\n")] * traces
    content = b"".join(line for _, line in lines)
    counting = (
        at for at, (when, _) in enumerate(lines) if when is not None and (when > second if beyond else when >= second)
    )
    first = next(counting, None)
    wanted = 0 if first is None else len(b"".join(line for _, line in lines[first:]))
    assert worked(distance(Held(content), START + second, beyond, block)) == wanted


def test_a_line_that_looks_like_a_time_where_a_block_begins_is_none() -> None:
    content = b"x" * 50 + stamped(500) + b"".join(stamped(second) for second in range(100))
    assert worked(distance(Held(content), START + 50, block=64)) == 50 * len(stamped(0))


def test_a_line_longer_than_what_is_kept_is_passed_over() -> None:
    content = stamped(0) + b"x" * (2 * FOUND_BYTES) + b"\n" + stamped(5)
    assert worked(distance(Held(content), START + 3)) == len(stamped(5))


def test_what_stands_behind_a_mark_in_memory() -> None:
    begun = Held(b"a\nb\n", 10)
    assert Held(b"b\nc\n", 12).behind(begun.mark) == 2
    assert Held(b"d\n", 100).behind(begun.mark) == 2, "the rest is held no more"
    assert begun.behind("") == 4


def test_where_there_is_no_room_nothing_is_found() -> None:
    search = Search(Held(b"a\nb\n"), None, room=0)
    assert not search.step()
    assert search.cut_short
    assert not search.found


def test_whether_a_log_has_times() -> None:
    assert has_times(Held(b""))
    assert has_times(Held(b"x\n" + stamped(1)))
    assert not has_times(Held(stamped(1) + b"x\n" * BLOCK_BYTES))
