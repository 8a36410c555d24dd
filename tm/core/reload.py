"""What a reload would do: the difference of two configurations, as a plan.

Guarantees: `diff(c, c)` is empty; what is not in the plan is not touched; every restart has its reason, the keys that
changed. Boot is a plan from the empty configuration and shutdown a plan to it.
Leaves to others: carrying it out (`daemon.supervisor.apply`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tm.core.config import Config
from tm.core.process import Process
from tm.core.saved import Key
from tm.core.settings import Settings
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
    changes = {
        rule: tuple(Change(was, now, keys) for was, now in both if (keys := tuple(changed(was, now, rule))))
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
    from tm.core.task_keys import FIELDS  # a boot compares nothing, and is quicker without the keys

    for field in FIELDS:
        same = getattr(old, field.attribute) == getattr(new, field.attribute)
        if field.key == "command":
            same = same and old.argv == new.argv
        if field.on_reload is rule and not same:
            yield field.key


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
    from tm.core.setting_keys import FIELDS  # as in `changed`

    return tuple(each.key for each in FIELDS if getattr(old, each.attribute) != getattr(new, each.attribute))


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
