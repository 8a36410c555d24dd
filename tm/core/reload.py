"""What a reload would do: the difference of two configurations, as a plan.

Guarantees: `diff(c, c)` is empty; what is not in the plan is not touched; every restart has its reason, the keys that
changed. Boot is a plan from the empty configuration and shutdown a plan to it.
Leaves to others: carrying it out (`daemon.supervisor.apply`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tm.core.config import Config
from tm.core.process import Process
from tm.core.saved import Key
from tm.core.settings import Settings
from tm.core.spellings import OF_A_TASK, OF_THE_DAEMON
from tm.core.task import OnReload, Task


class Change(NamedTuple):
    """One task as it was and as it is to be, with the keys that differ."""

    old: Task
    new: Task
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, each list in the order of its file. A task can stand in `scale` and in one of `respawn`, `adopt` too.

    respawn: only a new process can have it; adopt: the running process goes on under the new policy; scale: only the
    number of instances differs; settings: keys of the `taskmaster:` block that differ; starts: the names of the
    processes that are started by it, which whoever carries it out fills in.
    """

    remove: tuple[Task, ...] = ()
    respawn: tuple[Change, ...] = ()
    adopt: tuple[Change, ...] = ()
    scale: tuple[Change, ...] = ()
    add: tuple[Task, ...] = ()
    keep: tuple[Task, ...] = ()
    settings: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.remove or self.respawn or self.adopt or self.scale or self.add or self.settings)


def diff(old: Mapping[str, Task], new: Mapping[str, Task]) -> Plan:
    """The plan from the tasks `old` to the tasks `new`; `settings` is left empty (`changed_settings`)."""
    both = [(old[name], task) for name, task in new.items() if name in old]
    others = [(was, now) for was, now in both if was is not now and was != now]
    changes = {
        rule: tuple(Change(was, now, keys) for was, now in others if (keys := tuple(changed(was, now, rule))))
        for rule in OnReload
    }
    respawned = {change.new.name for change in changes[OnReload.RESPAWN]}
    touched = respawned.union(change.new.name for rule in changes.values() for change in rule)
    return Plan(
        remove=tuple(task for name, task in old.items() if name not in new),
        respawn=changes[OnReload.RESPAWN],
        adopt=tuple(each for each in changes[OnReload.LIVE] if each.new.name not in respawned),
        scale=changes[OnReload.SCALE],
        add=tuple(task for name, task in new.items() if name not in old),
        keep=tuple(task for _, task in both if task.name not in touched),
    )


def changed(old: Task, new: Task, rule: OnReload) -> Iterator[str]:
    """The keys under `rule` whose values differ; a command differs too where its text is the same and means another."""
    for attribute, key in OF_A_TASK.items():
        same = getattr(old, attribute) == getattr(new, attribute)
        if attribute == "command":
            same = same and old.argv == new.argv
        if key.on_reload is rule and not same:
            yield key.spelling


def lasting(task: Task, up: bool) -> bool | None:
    """What lasts of an operator's wish: of a start of what is oneshot nothing, since that is over with its run."""
    return None if up and task.oneshot else up


def cycles(row: Process, new: Task) -> bool:
    """Whether a process that is wanted up gets a new one for a key that needs that. A job that runs is left to finish,
    and one that was through is not run again; the new keys hold from its next run. One that failed is tried again,
    unless its schedule does that.
    """
    return not new.oneshot or (row.failing and new.schedule is None)


def changed_settings(old: Settings, new: Settings) -> tuple[str, ...]:
    """The keys of the `taskmaster:` block whose values differ."""
    if old == new:
        return ()
    return tuple(key for name, key in OF_THE_DAEMON.items() if getattr(old, name) != getattr(new, name))


def describe(plan: Plan) -> list[str]:
    """The plan in words, one line a task."""
    lines = [f"stop     {task.name}: no longer in the file" for task in plan.remove]
    lines += [_respawn(each) for each in plan.respawn]
    lines += [f"update   {each.new.name}: {_keys(each)} changed, no restart" for each in plan.adopt]
    lines += [
        f"scale    {each.new.name}: {each.old.instances} -> {each.new.instances} instances" for each in plan.scale
    ]
    lines += [f"add      {task.name}: {_start(task)}" for task in plan.add]
    lines += [f"set      taskmaster.{key}" for key in plan.settings]
    return lines


def _respawn(change: Change) -> str:
    if change.new.oneshot:
        return f"update   {change.new.name}: {_keys(change)} changed, from its next run on"
    return f"restart  {change.new.name}: {_keys(change)} changed"


def _keys(change: Change) -> str:
    return ", ".join(change.keys)


def _start(task: Task) -> str:
    count = "1 instance" if task.instances == 1 else f"{task.instances} instances"
    return f"start {count}" if task.auto_launch else f"{count}, not started (autoLaunch is false)"


def plan_for(old: Config, new: Config) -> Plan:
    """The plan from one configuration to another, settings included."""
    return replace(diff(old.tasks, new.tasks), settings=changed_settings(old.settings, new.settings))


def keys_of(config: Config) -> dict[Key, None]:
    """The instances of a configuration, in its order."""
    return {(task.name, n): None for task in config.tasks.values() for n in range(1, task.instances + 1)}


def to_cycle(config: Config, plan: Plan, wanted: Mapping[Key, Process], outdated: Collection[Key]) -> list[Key]:
    """Those of the `wanted` that get a new process, in the order of the configuration: for the plan, or since they are
    `outdated` as it is.
    """
    respawn = {change.new.name for change in plan.respawn}
    if not respawn and not outdated:
        return []
    changed = [key for key in keys_of(config) if (key[0] in respawn or key in outdated) and key in wanted]
    return [key for key in changed if cycles(wanted[key], config.tasks[key[0]])]


def launched(old: Config, new: Config, up: Collection[str], wishes: Mapping[Key, bool]) -> list[Key]:
    """The instances that `new` has beyond `old` and that are to be up: as operators wish, else as the others of their
    task are (`up`: the tasks that have one that is), else as the task says. In the order of their priorities.
    """
    had = {name: task.instances for name, task in old.tasks.items()}
    fresh = [
        (task.name, n) for task in new.tasks.values() for n in range(had.get(task.name, 0) + 1, task.instances + 1)
    ]
    return [
        key
        for key in sorted(fresh, key=lambda each: new.tasks[each[0]].priority)
        if wishes.get(key, key[0] in up if had.get(key[0]) else new.tasks[key[0]].auto_launch)
    ]


def restated(config: Config, tasks: Mapping[str, Task]) -> Config:
    """The same with these tasks, which differ in nothing but the place where they stand; each keeps its instances."""
    counts = {name: config.tasks[name].instances for name in tasks}
    now = {
        name: task if task.instances == counts[name] else replace(task, instances=counts[name])
        for name, task in tasks.items()
    }
    return replace(config, tasks={**config.tasks, **now})


def as_data(plan: Plan) -> dict[str, object]:
    """A plan for programs: names by what is done, and why."""
    return {
        "remove": [task.name for task in plan.remove],
        "respawn": {each.new.name: list(each.keys) for each in plan.respawn},
        "adopt": {each.new.name: list(each.keys) for each in plan.adopt},
        "scale": {each.new.name: each.new.instances for each in plan.scale},
        "add": [task.name for task in plan.add],
        "keep": [task.name for task in plan.keep],
        "settings": list(plan.settings),
        "starts": list(plan.starts),
    }
