"""Where the faces' requests arrive: commands for `daemon.control`, and what happens, as values for programs.

Guarantees: a client hears of events and changes in the order in which they happen, from the moment of its subscription;
a change is put into words once, however many hear it, and not at all where nobody does.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import tm
from tm.core.effects import Send
from tm.core.process import Occurrence, Process
from tm.core.records import Level, Record
from tm.core.report import attempt, blamed, cause, hint, told
from tm.core.timers import Instant
from tm.daemon.answers import Answer, NoSuchTask, Outcome, failed
from tm.daemon.log_sources import key_of
from tm.daemon.onlooker import Onlooker
from tm.daemon.output_views import Told
from tm.daemon.reloading import Reloading
from tm.daemon.searching import Answered, Audience
from tm.daemon.selection import Selection
from tm.daemon.service import Service
from tm.daemon.views import Look
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog
from tm.faces.methods import Asked

if TYPE_CHECKING:
    from tm.daemon.attaching import Attached

DROPPED = "dropped"
"""The event of a process that the configuration no longer has, and that has ended."""

SPARED = "spared"
"""The event of a process that was to have its turn in a rolling restart, and is left as it is: `why`."""

End: TypeAlias = Callable[[], None]
Tell: TypeAlias = Callable[[str, Mapping[str, object]], None]
Listener: TypeAlias = Callable[[Key, Mapping[str, object]], None]


class Desk:
    """A `faces.session.Desk` before a service."""

    def __init__(self, service: Service, reloading: Reloading, log: EventLog) -> None:
        self._loop = service.loop
        self._control = service.control
        self._log = log
        self._held = service.supervisor.held
        self._pid = service.succession.pid
        self._reloading = reloading
        self._terminals = service.attendants.terminals
        self._listeners: list[Listener] = []
        service.supervisor.observers.append(self._changed)
        service.on_dropped = self._dropped
        service.attendants.rolling.on_spared = self._spared

    def carry_out(self, asked: Asked, by: str, answered: Answered) -> End:
        """Do it, and answer."""
        return self._control.carry_out(asked.command, by, Look(asked.width, asked.colour), answered)

    def identity(self) -> dict[str, object]:
        """Which daemon this is: the path of its configuration, and its pid."""
        return {"config": self._reloading.place, "pid": self._pid}

    def upgraded(self) -> Answer:
        """What is answered to who has asked for the upgrade, when it is done."""
        return Answer((f"Upgraded to taskmaster {tm.__version__}.",), {"version": tm.__version__})

    def follow(self, asked: Asked, by: str, tell: Tell, answered: Answered) -> End:
        """Answer `logs`, and tell what comes after it."""

        def say(told: Told) -> None:
            raw = {} if told.raw is None else {"base64": b2a_base64(told.raw, newline=False).decode()}
            tell("log", {"text": told.text, "marks": told.marks, **raw})

        look = Look(None, asked.colour)
        return self._control.follow(asked.command, by, look, Audience(answered, say, asked.after))

    def attach(self, asked: Asked, last: int | None, by: str, tell: Tell) -> tuple[Answer, Attached | None]:
        """Tell what a terminal shows, and let the client type."""

        def show(data: bytes) -> None:
            tell("terminal", {"base64": b2a_base64(data, newline=False).decode()})

        onlooker = Onlooker(show, lambda text: tell("detached", {"text": text}))
        attached = self._terminals.attach(asked.command.words, by, last, onlooker)
        if isinstance(attached, Answer):
            return attached, None
        first = b2a_base64(attached.first, newline=False).decode()
        return Answer((), {"name": attached.name, "base64": first}), attached

    def subscribe(self, words: tuple[str, ...], by: str, tell: Tell) -> tuple[Answer, End | None]:
        """Tell what happens to these, without words to all and to the daemon itself."""
        try:
            selection = Selection(words, self._control.rows)
        except NoSuchTask as error:
            return failed(str(error), Outcome.NO_SUCH_TASK), None
        self._log.write(Level.DEBUG, "taskmaster", "subscribe", f"{' '.join(words) or 'everything'}, by {by}"[:500])

        def hear(record: Record) -> None:
            if selection.has(record.who):
                tell("event", record.as_dict())

        def see(key: Key, change: Mapping[str, object]) -> None:
            if selection.has(key):
                tell("change", change)

        self._listeners.append(see)
        deaf = self._log.listen(hear)

        def end() -> None:
            deaf()
            self._listeners.remove(see)

        return Answer(), end

    def _changed(self, before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the rows."""
        if not self._listeners:
            return
        change = _change(before, after, what.event.value, told(before, what, after), self._loop.sample())
        change["stuck"] = key_of(after) in self._held.stuck
        for listener in list(self._listeners):
            listener(key_of(after), change)

    def _dropped(self, row: Process) -> None:
        """Whoever waits for it waits in vain."""
        for listener in list(self._listeners):
            listener(key_of(row), _change(row, row, DROPPED, None, self._loop.sample()))

    def _spared(self, row: Process, why: str) -> None:
        """Whoever waits for its turn waits in vain."""
        for listener in list(self._listeners):
            listener(key_of(row), {**_change(row, row, SPARED, None, self._loop.sample()), "why": why})


def _change(before: Process, after: Process, event: str, words: str | None, now: Instant) -> dict[str, object]:
    return {
        "name": after.name,
        "task": after.task.name,
        "instance": after.n,
        "oneshot": after.task.oneshot,
        "before": before.state.value,
        "state": after.state.value,
        "event": event,
        "pid": after.pid,
        "cause": "" if after.exit_status is None and after.failure is None else cause(after),
        "hint": hint(after),
        "attempt": attempt(after),
        "place": blamed(after),
        "blocked": after.blocked,
        "stuck": False,
        "told": words,
        "deadline_s": None if after.deadline is None or after.held else round(max(0.0, after.deadline - now), 3),
    }
