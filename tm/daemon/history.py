"""What happened to every process, for the event log and for people: the one observer that writes down.

Guarantees: every change of a row is one line of the event log, written before the journal has it, so that a daemon that
is killed in between has it told twice rather than never; the last change of each row is remembered with who asked for
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tm.core.effects import Send
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.core.report import transition
from tm.core.transitions import Event, State
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog


class Change(NamedTuple):
    """The last thing that happened to a row; `by` is '' where nobody asked."""

    text: str
    by: str


class History:
    """Hears of every change."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.last: dict[Key, Change] = {}

    def observe(self, before: Process, what: Occurrence, after: Process, sent: Sequence[Send]) -> None:
        """Write it down. The end of a stop, and a spawn, are the doing of whoever asked for it."""
        text = transition(before, what, after, sent)
        key = (after.task.name, after.n)
        earlier = self.last[key].by if key in self.last and (before.stopping or what.event is Event.SPAWNED) else ""
        self.last[key] = Change(text, what.by or earlier)
        self._log.write(_level(before, after), after.name, "state", f"{text}, by {what.by}" if what.by else text)

    def forget(self, key: Key) -> None:
        """The row is gone."""
        self.last.pop(key, None)


def _level(before: Process, after: Process) -> Level:
    match after.state:
        case State.FATAL:
            return Level.ERROR
        case State.BACKOFF | State.KILLING:
            return Level.WARNING
        case _:
            changed = before.state is not after.state or before.alive or after.alive or before.blocked != after.blocked
            return Level.INFO if changed else Level.DEBUG
