"""A problem as people read it, and the nearest known word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.errors import ConfigError, Missing, Place, Problem, did_you_mean, inert, nearest, quoted


def problem(source: str, column: int = 1, width: int = 1) -> Problem:
    return Problem("some-id", Place("web.yaml", 7, column), width, source, "it is wrong", "a thing", "did you mean x?")


def test_a_problem_names_place_line_caret_expectation_and_suggestion() -> None:
    assert problem("    instnces: 3", 5, 8).render() == (
        "web.yaml:7:5: it is wrong [some-id]\n"
        "    7 |     instnces: 3\n"
        "      |     ^~~~~~~~\n"
        "  expected a thing; did you mean x?"
    )


def test_a_problem_without_line_and_advice_is_one_line() -> None:
    assert Problem("i", Place("f", 1, 1), 1, "", "it is wrong").render() == "f:1:1: it is wrong [i]"


def test_either_advice_can_stand_alone() -> None:
    place = Place("f", 1, 1)
    assert Problem("i", place, 1, "", "m", expected="a").render().endswith("\n  expected a")
    assert Problem("i", place, 1, "", "m", suggestion="b").render().endswith("\n  b")


def caret(source: str, column: int, width: int = 1) -> tuple[str, str]:
    lines = problem(source, column, width).render().splitlines()
    return lines[1].removeprefix("    7 | "), lines[2].removeprefix("      | ")


def test_the_caret_stands_under_its_token_after_tabs_and_wide_characters() -> None:
    assert caret("\ta: 1", 2) == ("\ta: 1", "\t^")
    assert caret("日本: x", 5) == ("日本: x", "      ^")
    assert caret("e\u0301: x", 5) == ("e\u0301: x", "   ^")
    assert caret("a: 日本", 4, 2)[1] == "   ^~~~"


def test_the_caret_never_leaves_the_line() -> None:
    assert caret("ab", 2, 50)[1] == " ^"
    assert caret("KEY: ***", 60)[1] == "       ^"


def test_of_a_long_line_the_part_around_the_caret_is_shown() -> None:
    shown, under = caret("x" * 300 + "HERE" + "y" * 300, 301, 4)
    assert len(shown) < 130 and shown.startswith("...x") and shown.endswith("y...")
    assert shown[under.index("^") :][:4] == "HERE" and under.endswith("^~~~")
    assert caret("HERE" + "y" * 300, 1, 4)[0].startswith("HERE")


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    assert inert("a\x1b[31m\tb") == "a\ufffd[31m\tb"
    assert quoted("a\x1b\tb") == "'a\ufffd b'"
    assert quoted("x" * 100) == "'" + "x" * 60 + "...'"
    assert "\x1b" not in caret("a\x1b[2Jb", 1)[0]


def test_all_problems_are_one_text_that_ends_with_their_number() -> None:
    one, two = problem("a"), problem("b")
    assert str(ConfigError([one])).splitlines()[-1] == "1 problem in the configuration"
    error = ConfigError([one, two])
    assert error.problems == (one, two)
    assert str(error) == f"{one.render()}\n{two.render()}\n2 problems in the configuration"


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("instnces", "instances"),
        ("INSTANCES", "instances"),
        ("cmd2", "cmd"),
        ("zzz", None),
        ("", None),
        ("wbe", "web"),
    ],
)
def test_the_nearest_known_word(word: str, near: str | None) -> None:
    assert nearest(word, ["command", "cmd", "instances", "web", "umask"]) == near


def test_of_equally_near_words_the_first_wins() -> None:
    assert nearest("abx", ["abc", "abd"]) == "abc"
    assert nearest("stopsignal", ["stopSignal", "stopsignal"]) == "stopSignal"


def test_the_nearest_of_many_is_found() -> None:
    assert nearest("wroker_7777", (f"worker_{n}" for n in range(10_000))) == "worker_7777"
    assert nearest("x", []) is None


def test_did_you_mean_is_a_question_or_nothing() -> None:
    assert did_you_mean("wbe", ["web"]) == "did you mean 'web'?"
    assert did_you_mean("zzz", ["web"]) == ""


def test_a_missing_file_says_so() -> None:
    assert Missing().reason == "does not exist"


@given(st.text(), st.integers(1, 500), st.integers(0, 500))
def test_rendering_never_fails_and_is_plain(source: str, column: int, width: int) -> None:
    text = problem(source, column, width).render()
    assert "\x1b" not in text and len(text.split("\n")) in {2, 4}
