"""Lines: nothing lost when cutting, nothing dangerous shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tm.core.lines import LINE_BYTES, cut, decoded, plain, printable


@given(st.lists(st.binary(max_size=50)))
def test_any_chunking_gives_the_same_bytes_and_only_whole_lines(chunks: list[bytes]) -> None:
    carried, pieces = b"", []
    for chunk in chunks:
        whole, carried = cut(carried + chunk)
        assert whole == b"" or whole.endswith(b"\n")
        assert b"\n" not in carried
        pieces.append(whole)
    assert b"".join(pieces) + carried == b"".join(chunks)


def test_a_line_that_does_not_end_is_cut_where_a_pipe_is_full() -> None:
    assert cut(b"x" * LINE_BYTES) == (b"x" * LINE_BYTES, b"")
    assert cut(b"a\n" + b"x" * (LINE_BYTES - 1)) == (b"a\n", b"x" * (LINE_BYTES - 1))


def test_colours_pass_and_other_sequences_do_not() -> None:
    assert printable("\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"
    assert printable("a\x1b[2Jb\x1b]0;title\x07c\x1b[6nd") == "abcd"
    assert printable("bell\x07 back\x08 del\x7f c1\x9b") == "bell\\x07 back\\x08 del\\x7f c1\\x9b"
    assert printable("\x1bc") == ""
    assert printable("lone \x1b") == "lone \\x1b"
    assert printable("tab\tstays\r") == "tab\tstays"


@given(st.text())
def test_what_is_shown_cannot_steer_a_terminal(text: str) -> None:
    import re

    rest = re.sub(r"\x1b\[[0-9;]*m", "", printable(text))
    assert not any(c < " " and c not in "\t\n" for c in rest)
    assert "\x1b" not in plain(text)
    assert "\n" not in plain(text)


def test_what_is_not_text_is_shown_as_escapes() -> None:
    assert decoded(b"caf\xc3\xa9 \xff") == "café \\xff"
