"""Typed bytes as lines, where no terminal edits them: any chunking gives the same lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tm.core.ports import LINE_BYTES, Key, Typed
from tm.edge.cooked import Cooked


def typed(*chunks: bytes) -> list[Typed]:
    editor = Cooked("> ")
    lines = [line for chunk in chunks for line in editor.feed(chunk)]
    return lines + list(editor.finish())


def test_lines_one_by_one_and_the_unfinished_last() -> None:
    assert typed(b"status\nstart we", b"b\n\nexit") == ["status", "start web", "", "exit", Key.END]


def test_a_line_that_nobody_types_is_ignored_and_the_next_is_not() -> None:
    assert typed(b"x" * (LINE_BYTES + 1) + b"\nstatus\n") == [Key.TOO_LONG, "status", Key.END]


def test_junk_is_text_without_meaning() -> None:
    (line, end) = typed(b"\xff\xfe\x00junk\r\n")
    assert isinstance(line, str)
    assert line.endswith("junk")
    assert "\x00" not in line
    assert end is Key.END


@given(st.lists(st.binary(max_size=20)))
def test_chunks_do_not_matter(chunks: list[bytes]) -> None:
    assert typed(*chunks) == typed(b"".join(chunks))
