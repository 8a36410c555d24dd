"""From a `logs` command to a query, and lines held against an expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.commands import UsageError, parse
from tm.core.log_query import Query, Sieve, query

NOW = 1_800_000_000.0


def asked(line: str) -> Query:
    command = parse(line)
    assert command is not None
    return query(command, NOW)


def test_counts_and_spans() -> None:
    assert asked("logs web") == Query(10)
    assert asked("logs web 5") == Query(5)
    assert asked("logs web --since 10m") == Query(None, NOW - 600)
    assert asked("logs web 5 --since=10m --until=1m") == Query(5, NOW - 600, NOW - 60)
    assert asked("logs web --until 1m") == Query(10, None, NOW - 60)
    assert not asked("logs web --grep x").needs_times
    assert asked("logs web --until 1m").needs_times


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("logs web --since soon", "--since takes a time, such as 10m"),
        ("logs web --since 1m --until 2m", "--since is later than --until"),
        ("logs web --grep (", "'(' is not a regular expression: missing )"),
        ("logs web --grep a{1,99999999999}", "is not a regular expression"),
        (f"logs web --grep {'a' * 1001}", "A regular expression of 1,001 characters: 1,000 are the most."),
    ],
)
def test_what_cannot_be_asked(line: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        asked(line)


@pytest.mark.parametrize(
    ("pattern", "line", "passes"),
    [
        ("error", b"an error here", True),
        ("error", b"an ERROR here", False),
        ("(?i)error", b"an ERROR here", True),
        ("^a.*e$", b"an error he", True),
        ("^e", b"an error", False),
        ("\u00fc", "gr\u00fc\u00df".encode(), True),
        (r"\\xff", b"\xff", True),
        (r"x(?!\s)", b"x", True),
        ("", b"", True),
        ("plain red$", b"a plain \x1b[31mred\x1b[0m", True),
        ("plain red", b"a plain \x1b[31mred\x1b[0m", True),
        ("31", b"a plain \x1b[31mred\x1b[0m", False),
    ],
)
def test_a_line_passes_where_the_expression_is_found_in_it(pattern: str, line: bytes, passes: bool) -> None:
    sieve = Sieve(pattern)
    assert sieve.passes(line) is passes
    assert sieve.may_pass(b"before\n" + line + b"\nbehind\n") or not passes


def test_a_long_line_is_searched_in_parts_that_overlap() -> None:
    line = b"x" * 4090 + b"needle 7" + b"x" * 100_000 + b"last 8"
    assert Sieve(r"ne{2}dle \d").passes(line)
    assert Sieve(r"last \d$").passes(line)
    assert Sieve(r"last \d$").may_pass(line)
    assert not Sieve(r"^needle \d").passes(line)
    assert not Sieve(r"needle \d$").passes(line)


def test_only_what_is_no_plain_text_can_take_for_ever() -> None:
    assert not Sieve("a b-c").takes_long
    assert Sieve("(a+)+").takes_long


PATTERNS = [
    "a",
    "^a",
    "a$",
    "^$",
    "a.b",
    "(a|b)c",
    r"\bab",
    r"[^a]",
    r"(?=a)b",
    r"a\Z",
    r"\Aa",
    r"\s",
    "a*",
    "(?s)a.b",
    "^[^a]++$",
    r"\w+c",
    r"^\D++$",
]


@given(st.sampled_from(PATTERNS), st.lists(st.text("abc \t", max_size=6).map(str.encode)))
def test_a_block_that_cannot_pass_has_no_line_that_does(pattern: str, lines: list[bytes]) -> None:
    sieve = Sieve(pattern)
    assert sieve.may_pass(b"\n".join(lines)) or not any(sieve.passes(line) for line in lines)
