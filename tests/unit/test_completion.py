"""Completion files: whole, and printed from the commands."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tm.core.completion import PRINTED
from tm.core.verbs import BY_NAME, VERBS, Verb


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED)
def test_every_verb_and_option_is_offered(printed: Callable[[], str]) -> None:
    text = printed()
    assert text.endswith("\n")
    for name in BY_NAME:
        assert re.search(rf"\b{name}\b", text)
    for option in (option for verb in VERBS for option in verb.options):
        assert option.name[2:] in text


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED)
def test_no_hole_is_left(printed: Callable[[], str]) -> None:
    assert not re.search(r"@[a-z]+@", printed())


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_bash_has_a_case_for_each(verb: Verb) -> None:
    names = "|".join((verb.name, *verb.aliases))
    assert f"    {names}) options='" in PRINTED["bash"]()
