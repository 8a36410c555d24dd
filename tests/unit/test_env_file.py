"""Files of NAME=value: what a line means, and what is wrong with one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.env_file import BadLine, parse


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("A=1", ("A", "1")),
        ("  A=1  ", ("A", "1")),
        ("export A=1", ("A", "1")),
        ("A=", ("A", "")),
        ("A.b-c=1", ("A.b-c", "1")),
        ("A=b=c", ("A", "b=c")),
        ("A=two words # a comment", ("A", "two words")),
        ("A=x\t# a comment", ("A", "x")),
        ("A=x#y", ("A", "x#y")),
        ("A=it's", ("A", "it's")),
        ("A='a # b' # c", ("A", "a # b")),
        ("A='$B \\n'", ("A", "$B \\n")),
        ('A="a # b"', ("A", "a # b")),
        (r'A="a\nb\t\"\\\$\q"', ("A", 'a\nb\t"\\$\\q')),
        ("A=${B} $C", ("A", "${B} $C")),
        ("\ufeffA=1", ("A", "1")),
    ],
)
def test_a_line_is_a_variable(line: str, pair: tuple[str, str]) -> None:
    assert parse(line).pairs == (pair,)
    assert not parse(line).bad


def test_empty_lines_and_comments_are_nothing() -> None:
    assert parse("\n  \n# A=1\n  # B=2\n").pairs == ()


def test_the_lines_of_a_file_come_in_order() -> None:
    assert parse("A=1\r\nB=2\nA=3").pairs == (("A", "1"), ("B", "2"), ("A", "3"))


@pytest.mark.parametrize(
    ("line", "column", "why"),
    [
        ("  hunter2", 3, "this line is not 'NAME=value'"),
        ("1A=hunter2", 1, "this line is not 'NAME=value'"),
        ("A 1=hunter2", 1, "this line is not 'NAME=value'"),
        ("A='hunter2", 3, "the quote around the value of 'A' is not closed on its line"),
        ('A="hunter2\\"', 3, "the quote around the value of 'A' is not closed on its line"),
        ("A='x'hunter2", 6, "something follows the quoted value of 'A'"),
        ("A=hunter2\0", 3, "the value of 'A' holds a NUL"),
    ],
)
def test_a_wrong_line_is_told_without_its_value(line: str, column: int, why: str) -> None:
    assert parse(f"X=1\n{line}\nY=2").bad == (BadLine(2, column, why),)
    assert len(parse(f"X=1\n{line}\nY=2").pairs) == 2


@given(st.text(alphabet=st.characters(exclude_characters="'\r\n\0\x85\u2028\u2029")))
def test_a_value_in_single_quotes_is_itself(value: str) -> None:
    assert parse(f"A='{value}'").pairs == (("A", value),)


@given(st.text())
def test_any_text_has_variables_and_wrong_lines(text: str) -> None:
    for bad in parse(text).bad:
        assert bad.line >= 1 and bad.column >= 1
