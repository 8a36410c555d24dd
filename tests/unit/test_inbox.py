"""The inbox: bytes from a stranger become bounded lines, however they are cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tm.core.inbox import Inbox
from tm.core.ports import LINE_BYTES


def taken(pieces: list[bytes]) -> list[bytes | None]:
    """Everything that comes out when the pieces are put in one after another."""
    inbox, found = Inbox(), []
    for piece in pieces:
        inbox.put(piece)
        while inbox.ready:
            found.append(inbox.take())
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


LINES = st.lists(
    st.one_of(
        st.binary(max_size=20).map(lambda each: each.replace(b"\n", b"")),
        st.sampled_from([LINE_BYTES - 1, LINE_BYTES, LINE_BYTES + 1, 3 * LINE_BYTES]).map(lambda size: b"x" * size),
    ),
    max_size=6,
)


@given(LINES, st.lists(st.integers(0, 10**6), max_size=8))
def test_every_line_comes_out_whole_and_in_order_and_long_ones_once_as_such(
    lines: list[bytes], places: list[int]
) -> None:
    data = b"".join(line + b"\n" for line in lines)
    expected = [None if len(line) > LINE_BYTES else line for line in lines]
    assert taken(cut(data, places)) == expected


def test_an_unfinished_line_is_kept_and_a_long_one_is_told_before_its_end() -> None:
    assert taken([b"half"]) == []
    assert taken([b"x" * LINE_BYTES]) == []
    assert taken([b"x" * (LINE_BYTES + 1)]) == [None]


def test_what_is_skipped_is_not_kept() -> None:
    inbox = Inbox()
    inbox.put(b"x" * (LINE_BYTES + 1))
    assert inbox.take() is None
    for _ in range(100):
        inbox.put(b"x" * LINE_BYTES)
        assert not inbox.ready
    assert len(inbox._data) == 0
    inbox.put(b"end\nnext\n")
    assert inbox.take() == b"next"
