"""Where a log is complete: nothing lost or reordered, files that end where lines do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tm.core.rotation import SLACK_BYTES, names, portion

LINES = st.lists(st.sampled_from([b"a\n", b"bb\n", b"\n", b"c" * 30 + b"\n"]), max_size=60).map(b"".join)
ANY = st.lists(st.sampled_from([b"a\n", b"b", b"\n", b"c" * 30]), max_size=60).map(b"".join)


def written(data: bytes, limit: int, transfer: int) -> list[bytes]:
    """The files that come of `data`, offered bit by bit."""
    files = [b""]
    while data:
        offered = data[:transfer]
        size, complete = portion(offered, len(files[-1]), limit, files[-1].endswith(b"\n"))
        files[-1] += offered[:size]
        data = data[size:]
        assert size or complete
        assert not complete or files[-1]
        if complete:
            files.append(b"")
    return files


@given(ANY, st.integers(0, 50), st.integers(1, 200))
def test_nothing_is_lost_doubled_or_reordered(data: bytes, limit: int, transfer: int) -> None:
    files = written(data, limit, transfer)
    assert b"".join(files) == data
    assert limit or len(files) == 1


@given(LINES, st.integers(1, 50), st.integers(1, 200))
def test_files_end_where_lines_do_and_exceed_the_limit_by_the_rest_of_a_line_at_most(
    data: bytes, limit: int, transfer: int
) -> None:
    for file in written(data, limit, transfer)[:-1]:
        assert file.endswith(b"\n")
        assert len(file) < limit + 31


def test_a_line_that_does_not_fit_is_the_first_of_the_next_file() -> None:
    assert portion(b"a long line\n", 8, 10, True) == (0, True)


def test_a_line_without_end_is_cut_after_so_many_bytes_beyond_the_limit() -> None:
    assert portion(b"x" * 100, 10, 10, False) == (100, False)
    assert portion(b"x" * (SLACK_BYTES + 1), 10, 10, False) == (SLACK_BYTES + 1, True)
    assert portion(b"x" * 100, 10 + SLACK_BYTES, 10, False) == (100, True)


def test_the_renames_begin_with_the_oldest() -> None:
    everything = {"/l", "/l.1", "/l.2", "/l.3", "/l.4"}.__contains__
    assert names("/l", 3, everything) == [("/l.2", "/l.3"), ("/l.1", "/l.2"), ("/l", "/l.1")]
    assert names("/l", 0, everything) == []
    assert names("/l", 3, {"/l", "/l.2"}.__contains__) == [("/l", "/l.1")]
    assert names("/l", 3, set().__contains__) == []
