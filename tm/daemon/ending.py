"""The end of the daemon that its tasks bring about: a critical one has ended for good, or nothing is left to do.

Guarantees: the first critical process that ends decides the exit code; an end that somebody else has asked for before
is not changed by it; nothing is decided while something that was asked for has not been carried out; a daemon that is
killed while it leaves is followed by one that leaves with the same code.
Leaves to others: what counts as an end (`core.ending`), the shutdown (`daemon.departure`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from tm.core.effects import Send
from tm.core.ending import code_of_all, exit_code, nothing_left, over
from tm.core.once import Once
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.core.report import cause
from tm.daemon.control import Control
from tm.daemon.reloading import Reloading
from tm.daemon.supervisor import Supervisor
from tm.daemon.ward import Ward
from tm.edge import hall
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop

_KEPT = "code"


class Parts(NamedTuple):
    """Whom it concerns."""

    loop: Loop
    supervisor: Supervisor
    control: Control
    reloading: Reloading
    ward: Ward
    log: EventLog


class Ending:
    """Watches the rows. `code`: what the daemon is to exit with. `when_done`: it leaves when nothing is left to do."""

    def __init__(self, parts: Parts, when_done: bool, on_code: Callable[[int], None]) -> None:
        """`on_code` hears the exit code as soon as it is decided."""
        self._parts = parts
        self._when_done = when_done
        self._on_code = on_code
        self._ran = self._decided = False
        self._look_soon = Once(parts.loop.soon, self._look)
        if (fd := parts.ward.kept.get(_KEPT)) is not None:
            on_code(int(os.pread(fd, 16, 0)))
        parts.supervisor.observers.append(self.observe)

    def observe(self, before: Process, _what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the rows."""
        self._ran |= before.wanted_up or after.wanted_up
        if after.at_rest and not before.at_rest:
            self._rests(after)

    def booted(self, follows: bool) -> None:
        """Everything that launches by itself was asked for. `follows`: after a daemon that may have died just when
        something of this had happened.
        """
        rows = self._parts.supervisor.rows.values()
        self._ran |= any(row.wanted_up for row in rows)
        for row in rows if follows else ():
            if over(row):
                self._rests(row)
        self.look()

    def look(self) -> None:
        """Something is at rest, or gone: see soon what is left."""
        if self._when_done:
            self._look_soon.ask()

    def _rests(self, row: Process) -> None:
        if not (row.task.critical and over(row)):
            self.look()
        elif not self._decided and not self._parts.control.leaving:
            code = exit_code(row)
            self._end(code, f"critical process '{row.name}' has ended for good: {cause(row) or 'it is over'}")

    def _look(self) -> None:
        self._parts.supervisor.then(self._judge)

    def _judge(self) -> None:
        rows = self._parts.supervisor.rows.values()
        kept_off = self._parts.reloading.kept_off
        idle = self._ran and nothing_left(rows) and not any(kept_off((row.task.name, row.n)) for row in rows)
        if idle and not self._decided and not self._parts.control.leaving:
            self._end(code_of_all(rows), "nothing is left to do")

    def _end(self, code: int, why: str) -> None:
        """Decided now, begun when this step is through."""
        self._decided = True
        self._on_code(code)
        with suppress(OSError):
            self._parts.ward.exchange(_KEPT, hall.in_memory(str(code).encode()))
        self._parts.log.write(
            Level.WARNING if code else Level.INFO, "taskmaster", "end", f"{why}; taskmaster exits with {code}"
        )
        self._parts.loop.soon(self._leave)

    def _leave(self) -> None:
        if not self._parts.control.leaving:
            self._parts.control.leave("the end of its tasks")
