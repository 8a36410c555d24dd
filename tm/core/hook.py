"""Hooks: commands that are run beside a process, at certain moments of its life.

Guarantees: values only; what a hook is told of a moment is one line a variable, every variable set for every moment, ''
where it says nothing.
Leaves to others: how they are written (`core.hook_keys`), and when they run and what waits for them (`daemon.hooks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Final, NamedTuple

from tm.core.launch import Launch, launch
from tm.core.lines import plain
from tm.core.process import Occurrence, Process
from tm.core.report import cause
from tm.core.signal_names import signal_name
from tm.core.task import Hook, Task
from tm.core.transitions import Event

LANE_MOST: Final = 10
"""How many hooks of one instance, of those that nothing waits for, may stand in line."""


class Moment(Enum):
    """When a hook runs. `value` is its key, and the word of TASKMASTER_EVENT."""

    PRE_START = "preStart"
    POST_START = "postStart"
    PRE_STOP = "preStop"
    POST_STOP = "postStop"
    ON_FATAL = "onFatal"
    ON_READY = "onReady"


class Facts(NamedTuple):
    """What a hook is told. `pid`: the process that lives, or has just ended; `exit`: its exit code, or minus the
    signal; `cause`: why this comes about.
    """

    pid: str = ""
    exit: str = ""
    cause: str = ""


def hook_of(process: Process, moment: Moment) -> Hook | None:
    """What its task has for the moment."""
    return dict(process.task.hooks).get(moment.value)


def as_written(task: Task) -> dict[str, object]:
    """The keys of a task that are more than one value, as one would write them."""
    hooks = {moment: {"command": hook.command, "timeout": hook.timeout_s} for moment, hook in task.hooks}
    if task.watch is None:
        return {"hooks": hooks, "watch": None}
    signum = {} if task.watch.signal is None else {"signal": signal_name(task.watch.signal)}
    paths = [path.text for path in task.watch.paths]
    return {"hooks": hooks, "watch": {"paths": paths, "debounce": task.watch.debounce_s, **signum}}


def moments(before: Process, what: Occurrence, after: Process) -> list[Moment]:
    """Which have come with a change of a row, but those that somebody waits for."""
    if not after.task.hooks:
        return []
    come = {
        Moment.POST_START: what.event is Event.SPAWNED,
        Moment.ON_READY: after.running and not before.running,
        Moment.POST_STOP: what.event is Event.REAPED,
        Moment.ON_FATAL: after.gave_up and not before.gave_up,
    }
    return [moment for moment, is_so in come.items() if is_so]


def facts(before: Process, what: Occurrence, after: Process) -> Facts:
    """What there is to tell of a change, to whichever hook runs for it."""
    pid = after.pid or before.pid
    ended = what.event in (Event.REAPED, Event.SPAWN_FAILED)
    number = what.status.number if what.status is not None else None
    asked = ", ".join(part for part in (what.event.value, f"by {what.by}" if what.by else "", what.hint) if part)
    return Facts(
        "" if pid is None else str(pid),
        "" if number is None else str(number),
        plain(cause(replace(after, exit_status=what.status) if what.status else after) if ended else asked),
    )


def hook_launch(process: Process, moment: Moment, hook: Hook, told: Facts, base: Mapping[str, str]) -> Launch:
    """The run of a hook: as its process, but for the command and where its output goes."""
    task, instance = process.task, process.name
    start = launch(task, process.n, base)
    environment = {
        **start.environment,
        "TASKMASTER_EVENT": moment.value,
        "TASKMASTER_PID": told.pid,
        "TASKMASTER_EXIT": told.exit,
        "TASKMASTER_CAUSE": told.cause,
    }
    argv = tuple(word.fill(task.name, instance, process.n) for word in hook.argv)
    start = replace(start, argv=argv, environment=environment, tree=False)
    return replace(start, stdout=None, stderr=None, merges_stderr=True, sent=frozenset(), common=frozenset())
