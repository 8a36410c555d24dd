"""What is new in a configuration, for whoever has another one."""

from __future__ import annotations

from collections.abc import Mapping

from tests.unit.build import tasks
from tm.core.config import Config
from tm.core.news import News, news
from tm.core.news import told as joined
from tm.core.settings import Settings
from tm.core.task import Task

BEFORE = """
tasks:
  web: {command: run, dependsOn: db}
  db: {command: serve}
  job: {command: work}
"""


def told(before: str, after: str) -> tuple[News, dict[str, Task]]:
    """What is new, and the tasks that come with it; together with what was known it is what was found."""
    known, found = tasks(before), Config("web.yaml", tasks(after), Settings())
    new, came = news(known, found)
    by_name = {task.name: task for task in came}
    whole = joined(known, new, by_name)
    assert (whole, list(whole.tasks)) == (found, list(found.tasks))
    assert places(whole.tasks) == places(found.tasks)
    assert all(whole.tasks[name] is known[name] for name in found.tasks if name not in by_name)
    return new, by_name


def places(found: Mapping[str, Task]) -> dict[str, int]:
    return {name: task.places["command"].line for name, task in found.items()}


def test_of_the_same_nothing_comes() -> None:
    assert told(BEFORE, BEFORE) == (News("web.yaml", Settings(), ("web", "db", "job"), frozenset()), {})


def test_a_task_that_differs_or_is_new_comes_and_one_that_is_gone_is_not_named() -> None:
    found, came = told(BEFORE, BEFORE.replace("work", "toil").replace("db:", "dc:").replace("dependsOn: db", "nice: 1"))
    assert (found.names, found.moved) == (("web", "dc", "job"), frozenset())
    assert {name: task.command for name, task in came.items()} == {"web": "run", "dc": "serve", "job": "toil"}


def test_what_stands_elsewhere_comes_as_that() -> None:
    found, came = told(BEFORE, BEFORE.replace("tasks:\n", "tasks:\n\n"))
    assert found.moved == {"web", "db", "job"}
    assert places(came) == {"web": 4, "db": 5, "job": 6}
    assert came["web"].depends_on[0].place.line == 4


def test_a_need_that_stands_elsewhere_is_enough() -> None:
    found, _ = told(BEFORE, BEFORE.replace("run, dependsOn", "run,  dependsOn"))
    assert found.moved == {"web"}
    found, _ = told("tasks: {web: {command: run, dependsOn: [db]}, db: {command: serve}}",
                    "tasks: {web: {command: run, dependsOn: [ db]}, db: {command: serve}}")  # fmt: skip
    assert "web" in found.moved
