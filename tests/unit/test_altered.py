"""Copies of frozen rows with other values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from tests.unit import build
from tm.core.altered import altered
from tm.core.launch import launch
from tm.core.transitions import State


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0


def test_it_is_what_replace_gives() -> None:
    row = build.row(State.RUNNING, pid=7)
    assert altered(row, pid=None, hint="gone", state=State.EXITED) == replace(
        row, pid=None, hint="gone", state=State.EXITED
    )
    start = launch(build.task(), 1, {"A": "1"})
    assert altered(start, environment={}) == replace(start, environment={})


def test_what_it_is_made_from_stays_as_it_was() -> None:
    point = Point(1, 2)
    assert altered(point, y=3) == Point(1, 3)
    assert altered(point) == point == Point(1, 2)


def test_a_copy_is_as_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        altered(Point(1), y=3).x = 2  # type: ignore[misc]


def test_a_name_that_is_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match="Point has no field 'z'"):
        altered(Point(1), z=3)
