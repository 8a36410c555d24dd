"""The two example configurations: they load, for anybody, and the reference holds every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.reading import config
from tm.core.example import example, reference
from tm.core.field import Field
from tm.core.setting_keys import FIELDS as SETTING_FIELDS
from tm.core.task import Restart
from tm.core.task_keys import FIELDS

ETC = Path(__file__).resolve().parents[2] / "etc"


def test_the_printed_file_is_up_to_date() -> None:
    assert (ETC / "taskmaster.yaml").read_text(encoding="utf-8") == reference()


def test_the_small_one_shows_three_ways_to_run_something() -> None:
    tasks = config(example()).tasks
    assert {name: (each.restart, each.instances, each.auto_launch) for name, each in tasks.items()} == {
        "clock": (Restart.ALWAYS, 1, True),
        "worker": (Restart.ON_FAILURE, 2, True),
        "hello": (Restart.NEVER, 1, False),
    }


def test_the_small_one_names_no_file_and_no_user() -> None:
    for each in config(example()).tasks.values():
        assert (each.stdout, each.stderr, each.user, each.group, each.env_file) == (None, None, None, None, ())


def test_the_reference_starts_nothing_by_itself() -> None:
    read = config(reference())
    assert not any(each.auto_launch for each in read.tasks.values())


@pytest.mark.parametrize("each", [*FIELDS, *SETTING_FIELDS], ids=lambda each: each.key)
def test_the_reference_holds_every_key_with_its_text(each: Field) -> None:
    text = reference()
    assert re.search(rf"^ +#?{each.key}: \S", text, re.MULTILINE)
    comments = " ".join(re.findall(r"^ +# (.*)", text, re.MULTILINE))
    assert each.doc in comments
    if each.default:
        assert f"Default: `{each.default}`" in comments


@pytest.mark.parametrize("key", ["user", "group", "onEvent", "logfile", "stateDir", "socket", "socketGroup", "pidfile"])
def test_what_not_everybody_can_use_is_shown_but_not_set(key: str) -> None:
    text = reference()
    shown = list(re.finditer(rf"^ +#{key}: ", text, re.MULTILINE))
    assert shown
    for each in shown:
        config(text[: each.start()] + each[0].replace("#", "") + text[each.end() :])
