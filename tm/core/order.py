"""The order in which tasks depend on one another: what a start waits for, what a stop waits for, who comes first.

A start waits until each task that it needs has come as far as it was asked to, with all of its instances. A stop waits
for the dependents that are being stopped as well, also for those behind a dependent that is at rest: what needs a
migration that has completed needs the database that this one needed.

Guarantees: nothing here changes a row; a graph without a dependency costs nothing and changes no order.
Leaves to others: circles and unknown names, of which a configuration has none (`core.needs`); holding wishes back until
they can be carried out (`daemon.order`).
"""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, assert_never

from tm.core.process import Process
from tm.core.saved import Key
from tm.core.task import Awaited, Need, Task


class Obstacle(NamedTuple):
    """What keeps a wish from being carried out. `reason` completes "web "; `stuck`: it does not go away by itself."""

    reason: str
    stuck: bool = False


def awaited(need: Need, other: Task) -> Awaited:
    """How far `other` has to have come."""
    if need.awaited is not None:
        return need.awaited
    return Awaited.READY if other.readiness else Awaited.STARTED


def has_come(row: Process, how_far: Awaited) -> bool:
    """Whether an instance has come so far."""
    match how_far:
        case Awaited.STARTED:
            return row.pid is not None and not ending(row)
        case Awaited.READY:
            return row.running and not row.blocked
        case Awaited.COMPLETED:
            return row.completed
        case never:
            assert_never(never)


def ending(row: Process) -> bool:
    """Whether it is being stopped, or is to be."""
    return row.stopping or (row.alive and bool(row.blocked))


class Order:
    """The graph of these tasks, which have these instances. `edges`: whether any depends on another.

    Of tasks that the configuration has no longer, one may depend on another that is gone already.
    """

    def __init__(self, tasks: Mapping[str, Task], keys: Iterable[Key]) -> None:
        self._tasks = tasks
        self._keys: dict[str, list[Key]] = {}
        self._needs: dict[str, Sequence[Need]] = dict.fromkeys(tasks, ())
        self.dependents: dict[str, list[str]] = {}
        for task in [task for task in tasks.values() if task.depends_on]:
            self._needs[task.name] = [need for need in task.depends_on if need.task in tasks]
            for need in self._needs[task.name]:
                self.dependents.setdefault(need.task, []).append(task.name)
        self.edges = bool(self.dependents)
        if self.edges:
            for key in keys:
                self._keys.setdefault(key[0], []).append(key)

    def keys(self, name: str) -> list[Key]:
        """The instances of a task."""
        return self._keys.get(name, [])

    def ordered(self, keys: Iterable[Key]) -> list[Key]:
        """The same, what is needed first; as they came where nothing depends on anything."""
        if not self.edges:
            return list(keys)
        return sorted(keys, key=lambda key: self._places[key[0]])

    def start_obstacle(self, name: str, rows: Mapping[Key, Process], stuck: Container[Key]) -> Obstacle | None:
        """What a start of this task waits for. `stuck`: who waits for what does not come by itself."""
        found = [each for need in self._needs[name] if (each := self._lacking(need, rows, stuck)) is not None]
        if not found:
            return None
        first = next((each for each in found if each.stuck), found[0])
        more = f" (and for {len(found) - 1} more)" if len(found) > 1 else ""
        return Obstacle(f"waits for {first.reason}{more}", first.stuck)

    def stop_obstacle(self, name: str, rows: Mapping[Key, Process]) -> Obstacle | None:
        """What a stop of this task waits for: a dependent that is being stopped as well."""
        for dependent in self._behind(name, rows):
            for key in self.keys(dependent):
                if key in rows and ending(rows[key]):
                    return Obstacle(f"is stopped after {rows[key].name}, which depends on it")
        return None

    def needed(self, names: Iterable[str], rows: Mapping[Key, Process], barred: Container[Key] = ()) -> list[Key]:
        """What has to be started for these tasks, with what that needs itself and so on; never one of `barred`."""
        found: dict[Key, None] = {}
        todo = list(names)
        seen = set(todo)
        while todo:
            for need in self._needs[todo.pop()]:
                missing = [row for row in self._missing(need, rows) if row.at_rest or ending(row)]
                asked = [(need.task, row.n) for row in missing if (need.task, row.n) not in barred]
                found.update(dict.fromkeys(asked))
                if asked and need.task not in seen:
                    seen.add(need.task)
                    todo.append(need.task)
        return self.ordered(found)

    def longest_stop_s(self, rows: Mapping[Key, Process]) -> float:
        """How long the graces of all that lives can take, one after the other where one waits for the other."""
        own: dict[str, float] = {}
        for row in rows.values():
            if row.alive:
                own[row.task.name] = row.task.pre_stop_s + row.task.graceful_stop_timeout_s
        after = dict(own)
        for name in reversed(self._places if self.edges else {}):
            behind = [after.get(each, 0.0) for each in self.dependents.get(name, ())]
            after[name] = own.get(name, 0.0) + max(behind, default=0.0)
        return max(after.values(), default=0.0)

    def _missing(self, need: Need, rows: Mapping[Key, Process]) -> list[Process]:
        """The instances that have not come as far as they have to."""
        other = self._tasks[need.task]
        how_far = awaited(need, other)
        each = (rows.get((need.task, n)) for n in range(1, other.instances + 1))
        return [row for row in each if row is not None and not has_come(row, how_far)]

    def _lacking(self, need: Need, rows: Mapping[Key, Process], stuck: Container[Key]) -> Obstacle | None:
        """What of one need is not there yet."""
        other = self._tasks[need.task]
        what = f"{need.task} ({awaited(need, other).value})"
        if not other.instances:
            return Obstacle(f"{what}, which has no instances", True)
        missing = self._missing(need, rows)
        if not missing:
            return None
        for row in missing:
            if not row.at_rest:
                continue
            if not row.blocked:
                return Obstacle(f"{what}: {row.name} is {row.state.value}; type: start {row.name}", True)
            if (need.task, row.n) in stuck:
                return Obstacle(f"{what}: {row.name} is blocked itself; type: status {row.name}", True)
        first = missing[0]
        stands = "is blocked itself" if first.blocked and first.at_rest else f"is {first.state.value}"
        return Obstacle(f"{what}: {first.name} {stands}")

    def _behind(self, name: str, rows: Mapping[Key, Process]) -> Iterator[str]:
        """The dependents of a task, and through those of which nothing lives theirs."""
        seen = {name}
        todo = [name]
        while todo:
            for each in self.dependents.get(todo.pop(), ()):
                if each in seen:
                    continue
                seen.add(each)
                yield each
                if not any(rows[key].alive for key in self.keys(each) if key in rows):
                    todo.append(each)

    @cached_property
    def _places(self) -> dict[str, int]:
        """The place of each task, in this order: after those that it needs; among equals by `priority`, then as they
        came.
        """
        at = {name: (task.priority, place, name) for place, (name, task) in enumerate(self._tasks.items())}
        waits = {name: len(needs) for name, needs in self._needs.items()}
        heap = [at[name] for name, count in waits.items() if not count]
        heapq.heapify(heap)
        sequence: list[str] = []
        while heap:
            name = heapq.heappop(heap)[2]
            sequence.append(name)
            for each in self.dependents.get(name, ()):
                waits[each] -= 1
                if not waits[each]:
                    heapq.heappush(heap, at[each])
        return {name: place for place, name in enumerate(sequence)}
