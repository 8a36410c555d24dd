"""When a process is too old: once, told by its row alone, and not for all instances together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.build import row, task
from tm.core.age import aged_at
from tm.core.process import Process
from tm.core.timers import Instant
from tm.core.transitions import State


def up(max_age_s: float | None = 1000.0, n: int = 1, spawned_at: float = 50.0, name: str = "web") -> Process:
    which = task(name, max_age_s=max_age_s, instances=10)
    return row(State.RUNNING, task=which, n=n, pid=7, spawned_at=Instant(spawned_at))


@pytest.mark.parametrize(
    "process",
    [
        up(max_age_s=None),
        replace(up(), state=State.STARTED),
        replace(up(), spawned_at=None),
        replace(up(), state=State.STOPPING),
        replace(up(), state=State.KILLING),
    ],
)
def test_never(process: Process) -> None:
    assert aged_at(process) is None


@given(st.floats(0.001, 1e8), st.integers(1, 10_000), st.floats(0, 1e8))
def test_it_is_within_ten_percent(max_age_s: float, n: int, spawned_at: float) -> None:
    deadline = aged_at(up(max_age_s, n, spawned_at))
    assert deadline is not None
    slack_s = 1e-6 * (1 + spawned_at)
    assert 0.9 * max_age_s - slack_s <= deadline - spawned_at <= 1.1 * max_age_s + slack_s


def test_it_stays_for_one_start_and_moves_with_the_key() -> None:
    first, longer = aged_at(up()), aged_at(up(2000))
    assert first is not None
    assert longer is not None
    assert first == aged_at(replace(up(), since=Instant(70), restarts=3))
    assert longer - 50 == pytest.approx(2 * (first - 50))
    assert first == aged_at(replace(up(), task=replace(up().task, instances=1))), "another name is not another age"


def test_instances_and_starts_differ() -> None:
    ages = {aged_at(up(n=n)) for n in range(1, 11)}
    assert len(ages) == 10
    numbers = [each for each in ages if each is not None]
    assert max(numbers) - min(numbers) > 50
    assert aged_at(up(spawned_at=50.5)) != Instant((aged_at(up()) or 0) + 0.5)
