"""Expansion: variables once, slots kept, everything else as written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.template import Slot, Template, Unexpandable, expand

VARIABLES = {"HOME": "/home/me", "EMPTY": "", "TRICKY": "${HOME} $$ {n}"}


def filled(text: str) -> str:
    return expand(text, VARIABLES, "/etc/tm").fill("web", "web_2", 2)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${HOME}/x", "/home/me/x"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${UNSET:-a b}", "a b"),
        ("${UNSET:-}", ""),
        ("${UNSET:-/log}/{task}", "/log/web"),
        ("$$", "$"),
        ("$${HOME}", "${HOME}"),
        ("$$$${HOME}", "$${HOME}"),
        ("{task}-{instance}-{n}", "web-web_2-2"),
        ("{here}/x", "/etc/tm/x"),
        ("${TRICKY}", "${HOME} $$ {n}"),
        ("$5 $HOME $ {} {tasks} { n } {N}", "$5 $HOME $ {} {tasks} { n } {N}"),
        ("{{n}}", "{2}"),
    ],
)
def test_a_text_means(written: str, meant: str) -> None:
    assert filled(written) == meant


def test_an_unset_variable_is_refused_and_a_near_one_named() -> None:
    with pytest.raises(Unexpandable) as caught:
        expand("${HOMME}", VARIABLES, "/")
    assert caught.value.reason == "the variable 'HOMME' is not set"
    assert caught.value.hint == "did you mean 'HOME'?"


def test_an_unset_variable_that_is_near_to_none_can_have_a_default() -> None:
    with pytest.raises(Unexpandable) as caught:
        expand("${X9}", VARIABLES, "/")
    assert caught.value.hint == "set it, or write a default: '${X9:-...}'"


@pytest.mark.parametrize("lame", ["${", "${}", "${1}", "${A-x}", "${A:-x"])
def test_a_lame_variable_is_refused(lame: str) -> None:
    with pytest.raises(Unexpandable, match="begins no variable"):
        expand(lame, VARIABLES, "/")


def test_slots_stay_until_they_are_filled() -> None:
    template = expand("a{task}{n}b", VARIABLES, "/")
    assert template.parts == ("a", Slot.TASK, Slot.N, "b")
    assert template.text == "a{task}{n}b"


def test_equal_texts_are_equal_templates() -> None:
    assert expand("a${EMPTY}b$$", VARIABLES, "/") == Template(("ab$",)) == Template.of(["a", "", "b", "$"])
    assert hash(Template(("a",))) == hash(Template.of(["a"]))


@given(st.text())
def test_any_text_expands_or_is_refused(text: str) -> None:
    try:
        template = expand(text, VARIABLES, "/here")
    except Unexpandable:
        assert "${" in text
    else:
        assert all(template.parts)


@given(st.text().filter(lambda text: "$" not in text and "{" not in text))
def test_a_text_without_signs_stays(text: str) -> None:
    assert filled(text) == text
