"""How many instances an operator wishes, and how long that holds."""

from __future__ import annotations

import pytest

from tests.unit.build import tasks
from tm.core.config import Config
from tm.core.scale import Scale, clash, scaled, settled
from tm.core.settings import Settings


def config(text: str) -> Config:
    return Config("web.yaml", tasks(f"tasks: {{{text}}}"), Settings())


def counts(found: Config) -> dict[str, int]:
    return {name: task.instances for name, task in found.tasks.items()}


def test_it_holds_as_long_as_the_file_says_what_it_said() -> None:
    wishes = {"web": Scale(given=2, wished=5)}
    found, holding = settled(config("web: {command: run, instances: 2}, other: {command: run}"), wishes)
    assert counts(found) == {"web": 5, "other": 1}
    assert holding == wishes


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("web: {command: run, instances: 3}", Scale(2, 5)),
        ("web: {command: run, instances: 2}", Scale(2, 2)),
        ("other: {command: run}", Scale(1, 2)),
        ("web: {command: run}, web_2: {command: run}", Scale(1, 2)),
    ],
    ids=["another number", "the same number", "no such task", "a name given twice"],
)
def test_else_it_is_over(text: str, wish: Scale) -> None:
    before = config(text)
    assert settled(before, {"web": wish}) == (before, {})


def test_wishes_that_clash_with_one_another_do_not_hold_together() -> None:
    """As one and one of them they would; the first is kept."""
    both = config("web: {command: run}, web_2: {command: run, instances: 2}")
    wishes = {"web": Scale(1, 2), "web_2": Scale(2, 1)}
    found, holding = settled(both, wishes)
    assert counts(found) == {"web": 2, "web_2": 2}
    assert holding == {"web": Scale(1, 2)}


def test_a_clash_is_named_from_either_side() -> None:
    both = config(
        "web: {command: run}, web_2: {command: run, instances: 2}, far_3: {command: run}, far: {command: run}"
    )
    assert clash(both, "web") == ""
    assert clash(scaled(scaled(both, "web", 3), "web_2", 1), "web") == "web_2"
    assert clash(scaled(scaled(both, "web", 3), "web_2", 1), "web_2") == "web_2"
    assert clash(scaled(scaled(both, "web", 3), "web_2", 1), "far") == ""
    assert clash(scaled(both, "far", 2), "far") == ""
    assert clash(scaled(both, "far", 3), "far") == "far_3"
