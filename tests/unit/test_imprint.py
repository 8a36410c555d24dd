"""The imprint differs exactly where a reload would restart, and holds no secret."""

from __future__ import annotations

import importlib
import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.build import TextWorld, task
from tm.core import imprint as module
from tm.core.imprint import KEYS, imprint
from tm.core.loading import load
from tm.core.reload import changed
from tm.core.task import OnReload, Task
from tm.core.task_keys import FIELDS

CHANGES = {
    "command": "run it",
    "shell": "true",
    "stdout": "'{task}.log'",
    "stderr": "stdout",
    "environment": "{A: b, PASSWORD: hunter2}",
    "envFile": "[some.env]",
    "workingDirectory": "/srv",
    "umask": '"0"',
    "user": "nobody",
    "group": "daemon",
    "limits": "{nofile: 10}",
    "nice": "0",
    "readiness": "{tcp: 'localhost:80{n}', period: 2}",
    "watchdog": "7",
    "tty": "true",
    "liveness": "{exec: 'true'}",
    "cpuAffinity": "[0]",
    "oomScoreAdjust": "0",
    "memoryMax": "1GiB",
    "maxAge": "1d",
    "sockets": "{http: 'unix:///run/{task}.sock'}",
    "instances": "3",
    "autoLaunch": "true",
    "restart": "always",
    "gracefulStopTimeout": "1",
    "description": "a word",
}
LATER = {
    "readiness": "02d409155109593c",
    "cpuAffinity": "35aabfc659ef9303",
    "oomScoreAdjust": "d02f6bb93544ef7c",
    "sockets": "5468660ad4c6b829",
    "watchdog": "2f17f97aa0b12cc0",
    "tty": "c627ee302f17a3a9",
}
"""The keys that came after the first release, each with the imprint of a task that has it."""


def of(given: dict[str, str]) -> Task:
    keys = {"command": "run", **given}
    text = f"tasks: {{web: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}}}"
    world = TextWorld({"/etc/web.yaml": text, "/start/some.env": "B=c\n"})
    return dict(load("/etc/web.yaml", world).tasks)["web"]


def test_every_key_that_needs_a_restart_is_tried() -> None:
    fields = [field for field in FIELDS if field.on_reload is OnReload.RESPAWN]
    assert {field.key for field in fields} <= CHANGES.keys()
    assert {"argv", *(field.attribute for field in fields)} == set(KEYS)


SUBSETS = st.sets(st.sampled_from(sorted(CHANGES))).map(lambda keys: of({key: CHANGES[key] for key in keys}))


@given(SUBSETS, SUBSETS)
def test_it_differs_where_a_reload_would_restart(old: Task, new: Task) -> None:
    assert (imprint(old) != imprint(new)) == any(changed(old, new, OnReload.RESPAWN))


@pytest.mark.parametrize("key", CHANGES)
def test_each_key_alone(key: str) -> None:
    old, new = of({}), of({key: CHANGES[key]})
    assert (imprint(old) != imprint(new)) == any(changed(old, new, OnReload.RESPAWN))


def test_slots_are_not_their_words() -> None:
    assert imprint(of({"stdout": "'a{n}.log'"})) != imprint(of({"stdout": "an.log"}))
    assert imprint(of({"environment": '{A: "{task}"}'})) != imprint(of({"environment": '{A: "web"}'}))


def test_what_it_is_made_of_stays_the_same_over_releases() -> None:
    """Another digest for the same file would restart everything at the next upgrade: see the module's last words."""
    assert imprint(task()) == "5decb5281865a2b7"
    assert imprint(of({key: value for key, value in CHANGES.items() if key not in LATER})) == "a42b1a2aa8ed7c70"
    assert {key: imprint(of({key: CHANGES[key]})) for key in LATER} == LATER


def test_a_task_that_was_handed_over_has_the_imprint_that_it_had() -> None:
    given = of(CHANGES)
    assert imprint(pickle.loads(pickle.dumps(given))) == imprint(given)


def test_without_the_quick_way_to_a_digest_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = imprint(of(CHANGES))
    monkeypatch.setitem(sys.modules, "_blake2", None)
    try:
        assert importlib.reload(module).imprint(of(CHANGES)) == quick
    finally:
        monkeypatch.undo()
        importlib.reload(module)


def test_no_value_can_be_read_from_it() -> None:
    assert "hunter2" not in imprint(of({"environment": CHANGES["environment"]}))
    assert len(imprint(of(CHANGES))) == 16
