"""`step`: what the table makes of a row when something happens to it.

Guarantees: it reads its arguments only and returns a new row with the effects that the caller owes.
Leaves to others: judging guards (`core.process`), carrying effects out (`daemon.supervisor`).
"""

from __future__ import annotations

import signal
from typing import Any

from tm.core.altered import altered
from tm.core.counts import Counted, counts
from tm.core.effects import Await, Effect, Send, Spawn
from tm.core.process import Occurrence, Process, ended, holds
from tm.core.timers import Instant
from tm.core.transitions import TABLE, Action, Edge, Event, Never, Refused


class Impossible(Exception):
    """The caller broke its promise: the table calls this cell NEVER."""


def step(process: Process, what: Occurrence, now: Instant) -> tuple[Process, tuple[Effect, ...]] | Refused:
    """What follows from `what` at `now`: the new row and the effects owed, or the reason for a refusal.

    Raises Impossible for a cell that the table calls NEVER.
    """
    cell = TABLE[process.state].cells[what.event]
    if isinstance(cell, Refused):
        return Refused(cell.reason.format(name=process.name))
    if isinstance(cell, Never):
        raise Impossible(f"{process.name}: {what.event.value} in {process.state.value}")
    row = _take_in(process, what, now)
    edge = next(edge for edge in cell if holds(edge.guard, row))
    return _take(edge, row, what, now)


def _take_in(process: Process, what: Occurrence, now: Instant) -> Process:
    """The row with the facts of the occurrence, before any judgement."""
    match what.event:
        case Event.SPAWNED:
            return altered(process, pid=what.pid, spawned_at=now, shortages=0)
        case Event.SPAWN_FAILED:
            return altered(process, failure=what.failure)
        case Event.REAPED:
            return ended(process, what, now)
        case _:
            return process


def _take(edge: Edge, process: Process, what: Occurrence, now: Instant) -> tuple[Process, tuple[Effect, ...]]:
    """Do the edge's actions in their order and enter its state. Each judges the row as it was before all of them."""
    effects: list[Effect] = []
    changes: dict[str, Any] = {}
    for action in edge.actions:
        changes |= _act(action, process, what, now, effects)
    if edge.to is not process.state:
        changes |= {"state": edge.to, "since": now}
    return (altered(process, **changes) if changes else process), tuple(effects)


def _act(action: Action, process: Process, what: Occurrence, now: Instant, effects: list[Effect]) -> dict[str, Any]:
    """One action: an effect that is owed, or a count, with what it sets in the row."""
    match action:
        case Action.SPAWN:
            effects.append(Spawn())
            return {"spawned_at": None, "exit_status": None, "hint": "", "failure": None, "fault": "", "proven": False}
        case Action.SEND_STOP | Action.RELEASE:
            held = action is Action.SEND_STOP and process.task.pre_stop_s > 0
            effects.append(Await() if held else _send(process, process.task.stop_signal))
            return {"held": held, "since": now}
        case Action.SEND_KILL:
            effects.append(_send(process, signal.SIGKILL))
            return {}
        case Action.FAULT:
            return {"fault": what.hint, "proven": process.running and not process.task.oneshot}
        case _:
            was = Counted(process.retries, process.shortages, process.restarts, process.task.oneshot)
            return counts(action, was, now)


def _send(process: Process, signum: int) -> Send:
    if process.pid is None:
        raise Impossible(f"{process.name}: signal {signum} without a pid in {process.state.value}")
    return Send(process.pid, signum)
