"""Plans: exactly the difference, each part with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.build import task
from tm.core.reload import as_data, changed_settings, describe, diff
from tm.core.settings import Settings
from tm.core.task import OnReload, Task
from tm.core.task_keys import FIELDS
from tm.core.template import Template

OTHER = {
    "graceful_stop_timeout_s": 3.0,
    "umask": 0o77,
    "instances": 3,
    "command": "other",
    "description": "words",
}


def of(*each: Task) -> dict[str, Task]:
    return {one.name: one for one in each}


CHANGES = st.dictionaries(st.sampled_from(sorted(OTHER)), st.booleans(), max_size=3).map(
    lambda chosen: {key: OTHER[key] for key, yes in chosen.items() if yes}
)
CONFIGS = st.dictionaries(st.sampled_from("abcd"), CHANGES).map(
    lambda chosen: {name: task(name, **changes) for name, changes in chosen.items()}
)


@given(CONFIGS)
def test_nothing_differs_from_itself(config: dict[str, Task]) -> None:
    plan = diff(config, dict(config))
    assert plan.empty
    assert [each.name for each in plan.keep] == list(config)
    assert describe(plan) == []


@given(CONFIGS, CONFIGS)
def test_every_task_stands_where_it_belongs(old: dict[str, Task], new: dict[str, Task]) -> None:
    plan = diff(old, new)
    assert {each.name for each in plan.remove} == set(old) - set(new)
    assert {each.name for each in plan.add} == set(new) - set(old)
    touched = {each.new.name for part in (plan.respawn, plan.adopt, plan.scale) for each in part}
    assert touched == {name for name in set(old) & set(new) if old[name] != new[name]}
    assert {each.name for each in plan.keep} == (set(old) & set(new)) - touched
    assert not {each.new.name for each in plan.respawn} & {each.new.name for each in plan.adopt}
    for change in plan.respawn:
        assert any(field.key in change.keys and field.on_reload is OnReload.RESPAWN for field in FIELDS)


@given(CONFIGS, CONFIGS)
def test_boot_adds_all_and_shutdown_removes_all(old: dict[str, Task], new: dict[str, Task]) -> None:
    assert diff({}, new).add == tuple(new.values())
    assert diff(old, {}).remove == tuple(old.values())


@pytest.mark.parametrize("field", FIELDS, ids=[field.key for field in FIELDS])
def test_every_key_is_noticed(field: object) -> None:
    attribute = getattr(field, "attribute")  # noqa: B009 - Field is known here by what it declares alone
    was = task()
    now = replace(was, **{attribute: object()})
    plan = diff(of(was), of(now))
    assert {each.new.name for part in (plan.respawn, plan.adopt, plan.scale) for each in part} == {"web"}


def test_a_command_that_means_something_else_is_a_changed_command() -> None:
    plan = diff(of(task()), of(task(argv=(Template(("/elsewhere/run",)),))))
    assert [each.keys for each in plan.respawn] == [("command",)]


def test_places_alone_change_nothing() -> None:
    assert diff(of(task()), of(task(places={}))).empty


def test_settings_that_differ() -> None:
    assert changed_settings(Settings(), replace(Settings(), restart_floor_s=2.0)) == ("restartFloor",)


def test_a_plan_in_words() -> None:
    old = of(task("gone"), task("same"), task("kept"), task("cycled"), task("more"))
    new = of(
        task("same"),
        task("kept", graceful_stop_timeout_s=1.0),
        task("cycled", command="other", umask=0),
        task("more", instances=4),
        task("new", auto_launch=True, instances=2),
        task("idle"),
    )
    assert describe(replace(diff(old, new), settings=("logLevel",))) == [
        "stop     gone: no longer in the file",
        "restart  cycled: command, umask changed",
        "update   kept: gracefulStopTimeout changed, no restart",
        "scale    more: 1 -> 4 instances",
        "add      new: start 2 instances",
        "add      idle: 1 instance, not started (autoLaunch is false)",
        "set      taskmaster.logLevel",
    ]


def test_a_plan_for_programs() -> None:
    old = of(task("gone"), task("same"), task("kept"), task("cycled"), task("more"))
    new = of(
        task("same"),
        task("kept", graceful_stop_timeout_s=1.0),
        task("cycled", umask=0),
        task("more", instances=4),
        task("new"),
    )
    assert as_data(replace(diff(old, new), settings=("logLevel",), starts=("new",))) == {
        "remove": ["gone"],
        "respawn": {"cycled": ["umask"]},
        "adopt": {"kept": ["gracefulStopTimeout"]},
        "scale": {"more": 4},
        "add": ["new"],
        "keep": ["same"],
        "settings": ["logLevel"],
        "starts": ["new"],
    }
