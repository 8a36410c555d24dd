"""Selection: every form of the contract, and what a wrong name hears."""

from __future__ import annotations

import pytest

from tests.unit.build import row, task
from tm.core.select import NotFound, names, select

ROWS = [
    row(task=task("db", labels=("core",)), n=1),
    *[row(task=task("web", instances=2, labels=("front", "core")), n=n) for n in (1, 2)],
    row(task=task("web_9", labels=()), n=1),
]


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["all"], ["db", "web_1", "web_2", "web_9"]),
        (["web"], ["web_1", "web_2"]),
        (["web_2"], ["web_2"]),
        (["db_1"], ["db"]),
        (["web:web_2"], ["web_2"]),
        (["web:*"], ["web_1", "web_2"]),
        (["db:db"], ["db"]),
        (["we*"], ["web_1", "web_2", "web_9"]),
        (["web_[12]"], ["web_1", "web_2"]),
        (["@core"], ["db", "web_1", "web_2"]),
        (["web_2", "db", "web"], ["db", "web_1", "web_2"]),
    ],
)
def test_what_a_selection_means(words: list[str], chosen: list[str]) -> None:
    found = select(words, ROWS)
    assert not isinstance(found, NotFound)
    assert [each.name for each in found] == chosen


def test_a_tasks_name_wins_over_an_equal_instance_name() -> None:
    rows = [row(task=task("a", instances=2), n=1), row(task=task("a_1"), n=1)]
    found = select(["a_1"], rows)
    assert not isinstance(found, NotFound)
    assert [each.task.name for each in found] == ["a_1"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["wbe"], "Task 'wbe' not found. Did you mean 'web'?"),
        (["db", "nothing-like-it"], "Task 'nothing-like-it' not found."),
        (["web:db"], "Task 'web:db' not found. Did you mean 'web'?"),
        (["@nobody"], "Task '@nobody' not found."),
        (["x*"], "Task 'x*' not found."),
        ([""], "Task '' not found."),
    ],
)
def test_what_means_nothing(words: list[str], sentence: str) -> None:
    assert str(select(words, ROWS)) == sentence


def test_all_of_nothing_is_nothing() -> None:
    assert select(["all"], []) == []


def test_names_for_completion() -> None:
    assert names(ROWS) == ["db", "web", "web_1", "web_2", "web_9"]
