"""What a task depends on, as a file has it: read, and checked between tasks.

Guarantees: every name that is no task, every circle (once, with the way round it), and every wait that can never end is
told at the place of the name.
Leaves to others: what follows from it (`core.order`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tm.core.context import Context
from tm.core.errors import Problem, did_you_mean, quoted
from tm.core.field import FREE_PREFIX
from tm.core.nodes import Mapping as MappingNode
from tm.core.nodes import Node, Rejected, Scalar, Sequence, gather, scalar
from tm.core.source import Report
from tm.core.task import Awaited, Need, Restart, Task

WORDS: Final = {each.value: each for each in Awaited}
_SHOWN_MOST: Final = 10


def needs(node: Node, _context: Context) -> tuple[Need, ...]:
    """Names, or a mapping of names to how far each has to have come."""
    if isinstance(node, MappingNode):
        entries = [each for each in node.entries if not each.key.text.startswith(FREE_PREFIX)]
        return tuple(gather(_need, [(entry.key, entry.value) for entry in entries]))
    written = gather(_name, node.items if isinstance(node, Sequence) else (node,))
    return tuple(Need(each.text, None, each.place) for each in {each.text: each for each in written}.values())


def _name(node: Node) -> Scalar:
    name = scalar(node, "the name of a task")
    if not name.text:
        raise Rejected(node, "wrong-shape", "a name is empty")
    return name


def _need(pair: tuple[Scalar, Node]) -> Need:
    key, value = pair
    word = scalar(value, "how far it has to have come")
    if not word.is_null and word.text not in WORDS:
        why = f"{quoted(word.text)} is not how far a task can come"
        raise Rejected(word, "bad-choice", why, "one of " + ", ".join(WORDS), did_you_mean(word.text, WORDS))
    return Need(key.text, WORDS.get(word.text), key.place)


def check(tasks: Mapping[str, Task], names: Mapping[str, Scalar], report: Report) -> None:
    """Report what cannot be waited for. `names`: of all tasks that were read, also of those with other problems."""
    for task in tasks.values():
        for need in task.depends_on:
            _check_need(task, need, tasks.get(need.task), names, report)
    for task, need, way in _circles(tasks):
        shown = [*way[:_SHOWN_MOST], "...", way[-1]] if len(way) > _SHOWN_MOST else way
        message = f"task {quoted(task.name)} would wait for itself: {' -> '.join(shown)}"
        report.add(_problem("dependency-circle", need, message, "remove one of these 'dependsOn'"))


def _check_need(task: Task, need: Need, other: Task | None, names: Mapping[str, Scalar], report: Report) -> None:
    whose = f"'dependsOn' of task {quoted(task.name)}"
    if need.task not in names:
        hint = report.did_you_mean(need.task, names)
        report.add(_problem("unknown-task", need, f"{whose}: there is no task {quoted(need.task)}", hint))
    elif need.awaited is Awaited.COMPLETED and other is not None and other.restart is Restart.ALWAYS:
        message = f"{whose}: {quoted(need.task)} never completes, since it is always started again"
        hint = f"give {quoted(need.task)} 'restart: on-failure', or wait for 'ready'"
        report.add(_problem("never-completed", need, message, hint))


def _problem(identity: str, need: Need, message: str, suggestion: str) -> Problem:
    return Problem(identity, need.place, len(need.task), "", message, "", suggestion)


def _circles(tasks: Mapping[str, Task]) -> Iterator[tuple[Task, Need, list[str]]]:
    """Each need that closes a circle, depth first, with the names along it. Without recursion: a chain may be long."""
    done: set[str] = set()
    for root in tasks.values():
        way: dict[str, Iterator[Need]] = {} if root.name in done else {root.name: iter(root.depends_on)}
        while way:
            name = next(reversed(way))
            need = next(way[name], None)
            if need is None:
                done.add(name)
                del way[name]
            elif need.task in way:
                names = list(way)
                yield tasks[name], need, [*names[names.index(need.task) :], need.task]
            elif need.task in tasks and need.task not in done:
                way[need.task] = iter(tasks[need.task].depends_on)
