"""How the daemon leaves: when its last process is at rest, or at once, with all of them left running for the next one.

Guarantees: a second request to leave ends every grace, a third leaves whatever is still there and names it. Processes
are left running only where the next daemon will find them; whoever asks for it hears why not. They are neither
signalled nor written off: what is on record of them stays, and what they write waits in their pipes.
Leaves to others: what is on record (`daemon.succession`), and taking it over (`daemon.adoption`).
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from tm.core.records import Level
from tm.daemon.answers import Answer, failed
from tm.daemon.control import Control
from tm.daemon.hooks import Hooks
from tm.daemon.notification import Notifications
from tm.daemon.reloading import Reloading
from tm.daemon.succession import Succession
from tm.daemon.supervisor import Supervisor
from tm.daemon.tidings import Tidings
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop

LIMIT_AS_FIRST_S = 8.0
"""How long the end may take for process 1, which others kill after ten seconds."""
_KILLED_S = 0.5
"""What has been killed is given so long to be gone."""


class Parts(NamedTuple):
    """Whom the end concerns."""

    loop: Loop
    supervisor: Supervisor
    control: Control
    reloading: Reloading
    succession: Succession
    tidings: Tidings
    notifications: Notifications
    hooks: Hooks
    log: EventLog


class Departure:
    """The end of one daemon. `on_begin` hears that it begins."""

    def __init__(self, parts: Parts, on_begin: Callable[[], None]) -> None:
        self._parts = parts
        self._on_begin = on_begin
        self._requests = 0
        self._keeps = False

    def leave(self, by: str) -> None:
        """Begin to shut down on behalf of `by`; asked again, end every grace; a third time, leave whatever lives."""
        self._requests += 1
        match self._requests:
            case _ if self._keeps:  # what is still waited for is no process
                self._parts.loop.stop()
            case 1:
                self._shut_down(by)
            case 2:
                self._log(Level.WARNING, "asked again: killing what is left")
                self._end_grace()
            case _:
                self._abandon("asked a third time")

    def keep(self, by: str) -> Answer:
        """Leave on behalf of `by`, with everything left running, as soon as all that was asked before is carried out;
        a failure, and nothing is done, where the next daemon could not take it over.
        """
        if why := self._cannot_keep():
            return failed(f"Nothing was done: {why}")
        self._keeps = True
        self._log(Level.INFO, f"asked for by {by}: the processes are left running")
        self._begin(0.0)
        self._parts.supervisor.then(partial(self._parts.notifications.leave, self._parts.loop.stop))
        rows = self._parts.supervisor.rows.values()
        kept = [{"name": row.name, "pid": row.pid} for row in rows if row.pid is not None]
        told = f"{len(kept)} process(es) go on running; the next taskmaster takes them over."
        return Answer((told,), {"kept": kept})

    def end(self) -> None:
        """Nothing of hooks is left behind, unless everything is."""
        if not self._keeps:
            self._parts.hooks.hurry()

    def kept(self) -> set[Key]:
        """Whom it leaves running on purpose."""
        rows = self._parts.supervisor.rows.items()
        return {key for key, row in rows if row.pid is not None} if self._keeps else set()

    def leave_if_over(self) -> None:
        """Leave, if that is wanted and nothing is left."""
        if self._parts.control.leaving and not self._parts.supervisor.rows:
            self._parts.hooks.leave(partial(self._parts.notifications.leave, self._parts.loop.stop))

    def _shut_down(self, by: str) -> None:
        supervisor = self._parts.supervisor
        self._log(Level.INFO, f"asked for by {by}")
        self._parts.succession.leaving(by)
        limit_s = supervisor.config.settings.stop_timeout_s
        if limit_s is None and self._parts.succession.pid == 1:
            limit_s = LIMIT_AS_FIRST_S
        self._begin(min(supervisor.held.longest_stop_s(), math.inf if limit_s is None else limit_s))
        self._parts.reloading.shut_down(supervisor, by)
        if limit_s is not None:
            self._after(limit_s, partial(self._cut_short, limit_s))
        self.leave_if_over()

    def _cut_short(self, limit_s: float) -> None:
        """It has taken as long as it may."""
        self._log(Level.WARNING, f"not done within stopTimeout, {limit_s:g} s: killing what is left")
        self._end_grace()
        self._after(_KILLED_S, partial(self._abandon, "not done within stopTimeout, and SIGKILL does not end it"))

    def _abandon(self, why: str) -> None:
        """Leave beside what cannot be killed."""
        if names := ", ".join(kill_all(self._parts.supervisor)):
            self._log(Level.ERROR, f"{why}: left alive: {names}")
            self._parts.control.tell(f"Left alive: {names}")
        self._parts.loop.stop()

    def _after(self, wait_s: float, then: Callable[[], None]) -> None:
        self._parts.loop.call_in(wait_s, then)

    def _end_grace(self) -> None:
        self._parts.hooks.hurry()
        self._parts.supervisor.end_grace()

    def _begin(self, grace_s: float) -> None:
        """Nothing new is begun from now on, and everybody is told."""
        self._parts.control.leaving = True
        self._parts.reloading.readings.end()
        self._parts.tidings.leaving(grace_s)
        self._parts.notifications.hush()
        self._on_begin()

    def _cannot_keep(self) -> str:
        """Why nothing can be left running, and what to type instead; or ''."""
        if self._parts.control.leaving:
            return "taskmaster is leaving already."
        if self._parts.succession.pid == 1:
            return "processes end with process 1, which taskmaster is here; type: shutdown"
        rows = self._parts.supervisor.rows.values()
        if names := [row.name for row in rows if row.pid is not None and row.task.tty]:
            return f"the terminal of '{names[0]}' ends with taskmaster, and so would it; type: stop {names[0]}"
        if why := self._parts.succession.lacking():
            return f"the next taskmaster could not take the processes over, since {why}; type: shutdown"
        return ""

    def _log(self, level: Level, text: str) -> None:
        self._parts.log.write(level, "taskmaster", "shutdown", text)


def kill_all(supervisor: Supervisor) -> list[str]:
    """SIGKILL to all that live, without waiting for it; their names and pids."""
    alive = {key: row for key, row in supervisor.rows.items() if row.pid is not None}
    for key in alive:
        supervisor.send(key, signal.SIGKILL)
    return [f"{row.name} (pid {row.pid})" for row in alive.values()]
