"""What a task depends on: read and checked, and what follows from it for starts and stops."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.build import row, task, tasks
from tm.core.errors import ConfigError, Place
from tm.core.needs import WORDS
from tm.core.order import Obstacle, Order, awaited
from tm.core.process import Process
from tm.core.reload import diff
from tm.core.saved import Key
from tm.core.task import Awaited, Need, Task
from tm.core.transitions import State

S = State


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        tasks(text)
    return [re.sub(r"\n.*\|.*", "", each.render()) for each in caught.value.problems]


def needs(written: str) -> dict[str, str | None]:
    all_tasks = tasks(
        f"tasks: {{db: {{command: run}}, cache: {{command: run}}, web: {{command: run, dependsOn: {written}}}}}"
    )
    return {each.task: each.awaited.value if each.awaited else None for each in all_tasks["web"].depends_on}


# ---- reading


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("db", {"db": None}),
        ("[db, cache, db]", {"db": None, "cache": None}),
        ("[]", {}),
        ("{db: ready, cache: completed}", {"db": "ready", "cache": "completed"}),
        ("{db: , x-note: [1]}", {"db": None}),
        ("{db: started}", {"db": "started"}),
    ],
)
def test_names_or_how_far_each_has_to_have_come(written: str, meant: dict[str, str | None]) -> None:
    assert needs(written) == meant


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{db: redy}", "'redy' is not how far a task can come [bad-choice]\n"
         "  expected one of started, ready, completed; did you mean 'ready'?"),
        ("{db: [ready]}", "this is a list, not how far it has to have come [wrong-shape]"),
        ("[{db: ready}]", "this is a mapping, not the name of a task [wrong-shape]"),
        ('[""]', "a name is empty [wrong-shape]"),
    ],
)  # fmt: skip
def test_what_is_no_dependency_is_told(written: str, told: str) -> None:
    (problem,) = problems(f"tasks: {{db: {{command: run}}, web: {{command: run, dependsOn: {written}}}}}")
    assert f"'dependsOn' of task 'web': {told}" in problem


def test_an_unknown_name_is_told_where_it_stands() -> None:
    text = "tasks:\n  database: {command: run}\n  web:\n    command: run\n    dependsOn: [databse]\n"
    assert problems(text) == [
        "/etc/web.yaml:5:17: 'dependsOn' of task 'web': there is no task 'databse' [unknown-task]\n"
        "  did you mean 'database'?"
    ]


def test_a_task_with_a_problem_of_its_own_is_no_unknown_name() -> None:
    text = "tasks:\n  db: {umask: 9}\n  web: {command: run, dependsOn: {db: completed}}\n"
    assert [re.search(r"\[(.*)\]", each)[1] for each in problems(text)] == ["no-command", "bad-umask"]  # type: ignore[index]


def test_a_circle_is_told_once_with_its_way_at_the_name_that_closes_it() -> None:
    text = "tasks:\n" + "".join(
        f"  {name}: {{command: run, dependsOn: {need}}}\n"
        for name, need in [("a", "b"), ("b", "[c, d]"), ("c", "a"), ("d", "[]"), ("e", "d"), ("f", "f")]
    )
    assert problems(text) == [
        "/etc/web.yaml:4:32: task 'c' would wait for itself: a -> b -> c -> a [dependency-circle]\n"
        "  remove one of these 'dependsOn'",
        "/etc/web.yaml:7:32: task 'f' would wait for itself: f -> f [dependency-circle]\n"
        "  remove one of these 'dependsOn'",
    ]


def test_a_long_circle_is_cut_and_a_long_chain_is_none() -> None:
    chain = "".join(f"  t{n}: {{command: run, dependsOn: t{n + 1}}}\n" for n in range(1500))
    (told,) = problems(f"tasks:\n{chain}  t1500: {{command: run, dependsOn: t0}}\n")
    assert "t0 -> t1 -> t2 -> t3 -> t4 -> t5 -> t6 -> t7 -> t8 -> t9 -> ... -> t0" in told
    assert len(tasks(f"tasks:\n{chain}  t1500: {{command: run}}\n")) == 1501


def test_what_is_always_started_again_never_completes() -> None:
    text = "tasks: {job: {command: run, restart: always}, web: {command: run, dependsOn: {job: completed}}}"
    assert "'job' never completes, since it is always started again [never-completed]" in problems(text)[0]


def test_a_need_is_the_same_wherever_it_is_written() -> None:
    one = tasks("tasks: {db: {command: run}, web: {command: run, dependsOn: db}}")
    other = tasks("tasks:\n  db: {command: run}\n\n  web: {command: run, dependsOn: [db]}")
    assert [each.name for each in diff(one, other).keep] == ["db", "web"]
    changed = tasks("tasks: {db: {command: run}, web: {command: run, dependsOn: {db: ready}}}")
    assert [(each.new.name, each.keys) for each in diff(one, changed).adopt] == [("web", ("dependsOn",))]


# ---- the graph


class Scene:
    """Tasks by what they need (`db`, or `db ready`), with their rows."""

    def __init__(self, needs: dict[str, list[str]], **changes: dict[str, Any]) -> None:
        self.tasks = {
            name: task(name, depends_on=tuple(map(need, each)), **changes.get(name, {})) for name, each in needs.items()
        }
        self.rows: dict[Key, Process] = {}
        for each in self.tasks.values():
            for n in range(1, each.instances + 1):
                self.put(each, n, S.STOPPED)
        self.order = Order(self.tasks, self.rows)

    def put(self, task: Task, n: int, state: State, **facts: Any) -> None:
        pid = 100 if state in (S.STARTED, S.RUNNING, S.STOPPING, S.KILLING) else None
        self.rows[task.name, n] = row(state, task=task, n=n, **{"pid": pid, **facts})

    def set(self, name: str, state: State, n: int = 1, **facts: Any) -> None:
        self.put(self.tasks[name], n, state, **facts)

    def start(self, name: str, *stuck: str) -> Obstacle | None:
        return self.order.start_obstacle(name, self.rows, {(each, 1) for each in stuck})

    def stop(self, name: str) -> Obstacle | None:
        return self.order.stop_obstacle(name, self.rows)

    def needed(self, *names: str, barred: tuple[Key, ...] = ()) -> list[str]:
        return [name for name, _ in self.order.needed(names, self.rows, barred)]

    def ordered(self, *names: str) -> list[str]:
        return [name for name, _ in self.order.ordered([(name, 1) for name in names])]


def need(written: str) -> Need:
    name, _, how_far = written.partition(" ")
    return Need(name, WORDS.get(how_far), Place("web.yaml", 1, 1))


@pytest.mark.parametrize(
    ("written", "state", "facts", "told"),
    [
        ("db", S.STARTED, {}, None),
        ("db", S.STARTED, {"pid": None}, Obstacle("waits for db (started): db is STARTED")),
        ("db", S.RUNNING, {}, None),
        ("db", S.BACKOFF, {}, Obstacle("waits for db (started): db is BACKOFF")),
        ("db", S.STOPPING, {}, Obstacle("waits for db (started): db is STOPPING")),
        ("db", S.RUNNING, {"blocked": "is stopped after web"}, Obstacle("waits for db (started): db is RUNNING")),
        ("db", S.FATAL, {}, Obstacle("waits for db (started): db is FATAL; type: start db", True)),
        ("db", S.STOPPED, {}, Obstacle("waits for db (started): db is STOPPED; type: start db", True)),
        ("db", S.STOPPED, {"blocked": "waits for x"}, Obstacle("waits for db (started): db is blocked itself")),
        ("db ready", S.STARTED, {}, Obstacle("waits for db (ready): db is STARTED")),
        ("db ready", S.RUNNING, {}, None),
        ("db ready", S.EXITED, {}, Obstacle("waits for db (ready): db is EXITED; type: start db", True)),
        ("db completed", S.RUNNING, {}, Obstacle("waits for db (completed): db is RUNNING")),
        ("db completed", S.EXITED, {}, None),
        ("db completed", S.FATAL, {}, Obstacle("waits for db (completed): db is FATAL; type: start db", True)),
    ],
)
def test_how_far_another_task_has_to_have_come(
    written: str, state: State, facts: dict[str, Any], told: Obstacle | None
) -> None:
    scene = Scene({"db": [], "web": [written]})
    scene.set("db", state, **facts)
    assert scene.start("web") == told


def test_what_waits_for_what_is_stuck_is_stuck_as_well() -> None:
    scene = Scene({"db": [], "web": ["db"]})
    scene.set("db", S.STOPPED, blocked="waits for disk")
    assert scene.start("web", "db") == Obstacle(
        "waits for db (started): db is blocked itself; type: status db", stuck=True
    )


def test_all_instances_count_and_the_one_that_does_not_come_is_named() -> None:
    scene = Scene({"db": [], "web": ["db"]}, db={"instances": 3})
    scene.set("db", S.RUNNING, 1)
    scene.set("db", S.BACKOFF, 2)
    scene.set("db", S.RUNNING, 3)
    assert scene.start("web") == Obstacle("waits for db (started): db_2 is BACKOFF")
    scene.set("db", S.FATAL, 3)
    assert scene.start("web") == Obstacle("waits for db (started): db_3 is FATAL; type: start db_3", stuck=True)
    scene.set("db", S.RUNNING, 2)
    scene.set("db", S.RUNNING, 3)
    assert scene.start("web") is None


def test_a_task_without_instances_does_not_come() -> None:
    scene = Scene({"db": [], "web": ["db"]}, db={"instances": 0})
    assert scene.start("web") == Obstacle("waits for db (started), which has no instances", stuck=True)


def test_of_several_the_one_that_does_not_come_is_told_first() -> None:
    scene = Scene({"db": [], "disk": [], "web": ["db", "disk"]})
    scene.set("db", S.BACKOFF)
    assert scene.start("web") == Obstacle(
        "waits for disk (started): disk is STOPPED; type: start disk (and for 1 more)", stuck=True
    )
    scene.set("disk", S.BACKOFF)
    assert scene.start("web") == Obstacle("waits for db (started): db is BACKOFF (and for 1 more)")


def test_a_bare_name_means_ready_where_the_other_can_tell() -> None:
    ready: Any = SimpleNamespace(readiness="notify")
    assert awaited(need("db"), ready) is Awaited.READY
    assert awaited(need("db started"), ready) is Awaited.STARTED
    assert awaited(need("db"), task("db")) is Awaited.STARTED


def test_what_is_gone_already_is_not_waited_for() -> None:
    scene = Scene({"web": ["db"]})
    assert (scene.start("web"), scene.ordered("web"), scene.needed("web")) == (None, ["web"], [])
    scene = Scene({"db": [], "web": ["db"]}, db={"instances": 2})
    del scene.rows["db", 1]
    scene.set("db", S.RUNNING, 2)
    assert scene.start("web") is None


def test_a_stop_waits_for_dependents_that_are_being_stopped_and_for_no_others() -> None:
    scene = Scene({"db": [], "web": ["db"], "cron": ["db"]})
    for name in ("db", "web", "cron"):
        scene.set(name, S.RUNNING)
    assert scene.stop("db") is None
    scene.set("cron", S.STOPPING)
    assert scene.stop("db") == Obstacle("is stopped after cron, which depends on it")
    scene.set("cron", S.STOPPED)
    scene.set("web", S.RUNNING, blocked="is stopped after x")
    assert scene.stop("db") == Obstacle("is stopped after web, which depends on it")
    scene.set("web", S.BACKOFF)
    assert scene.stop("db") is None


def test_a_stop_waits_for_dependents_behind_one_that_is_at_rest_but_not_behind_one_that_stays() -> None:
    scene = Scene({"db": [], "migrate": ["db"], "web": ["migrate", "db"], "cdn": ["web"]})
    scene.set("db", S.RUNNING)
    scene.set("migrate", S.EXITED)
    scene.set("cdn", S.STOPPING)
    assert scene.stop("db") == Obstacle("is stopped after cdn, which depends on it")
    scene.set("web", S.RUNNING)
    assert scene.stop("db") is None


def test_rows_that_are_gone_hold_no_stop() -> None:
    scene = Scene({"db": [], "web": ["db"]})
    del scene.rows["web", 1]
    assert scene.stop("db") is None


def test_what_is_needed_is_found_through_what_has_to_be_started_only() -> None:
    scene = Scene({"web": ["db", "job completed"], "db": ["disk"], "disk": [], "job": ["net"], "net": []})
    scene.set("job", S.EXITED)
    assert scene.needed("web") == ["disk", "db"]
    scene.set("db", S.RUNNING)
    assert scene.needed("web") == []
    scene.set("db", S.STOPPING)
    assert scene.needed("web", "disk") == ["disk", "db"]
    assert scene.needed("web", barred=(("db", 1),)) == []
    scene.set("job", S.FATAL)
    scene.set("db", S.BACKOFF)
    assert scene.needed("web") == ["net", "job"]


def test_order_is_that_of_the_graph_then_of_priority_then_as_given() -> None:
    scene = Scene({"web": ["db"], "z": [], "db": [], "a": []}, a={"priority": 1}, web={"priority": 0})
    assert scene.ordered("web", "z", "db", "a") == ["a", "z", "db", "web"]
    assert Scene({"b": [], "a": []}).ordered("b", "a") == ["b", "a"]


def test_a_diamond_is_ordered_and_needed_once() -> None:
    scene = Scene({"top": ["left", "right"], "left": ["base"], "right": ["base"], "base": []})
    assert scene.ordered("top", "left", "right", "base") == ["base", "left", "right", "top"]
    assert scene.needed("top") == ["base", "left", "right"]
    scene.set("top", S.STOPPING)
    assert scene.stop("base") == Obstacle("is stopped after top, which depends on it")


def test_the_longest_stop_is_that_along_a_chain() -> None:
    scene = Scene(
        {"db": [], "web": ["db"], "cdn": ["web"], "lone": []},
        db={"graceful_stop_timeout_s": 5.0},
        web={"graceful_stop_timeout_s": 3.0},
        lone={"graceful_stop_timeout_s": 6.0},
    )
    assert scene.order.longest_stop_s(scene.rows) == 0
    scene.set("db", S.RUNNING)
    scene.set("web", S.RUNNING)
    scene.set("lone", S.RUNNING)
    assert scene.order.longest_stop_s(scene.rows) == 8
    lone = Scene({"lone": []}, lone={"graceful_stop_timeout_s": 6.0})
    lone.set("lone", S.RUNNING)
    assert lone.order.longest_stop_s(lone.rows) == 6


def test_every_way_of_waiting_has_its_word() -> None:
    assert set(WORDS.values()) == set(Awaited)
