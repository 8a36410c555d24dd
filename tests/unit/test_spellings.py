"""The keys by what they are called in values, beside the tables that say how they are read."""

from __future__ import annotations

from tm.core import setting_keys, task_keys
from tm.core.spellings import OF_A_TASK, OF_THE_DAEMON


def test_they_are_those_that_are_read_in_their_order() -> None:
    read = [(each.attribute, (each.key, each.on_reload)) for each in task_keys.FIELDS]
    assert list(OF_A_TASK.items()) == read
    assert list(OF_THE_DAEMON.items()) == [(each.attribute, each.key) for each in setting_keys.FIELDS]
