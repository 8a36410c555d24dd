"""Telling somebody outside: the command of `onEvent`, run for a process that gave up, a refused reload, a log that
takes nothing.

Guarantees: the runs come one after another, in the order of the events, and never from within what caused them; a run
is over when its process group is empty, or has got SIGKILL after `onEventTimeout`; what waits is bounded
(`core.notification`), and what finds no place is counted and told. A run that fails is one line of the event log, and
no event. When the daemon leaves, what runs and waits has LAST_CHANCE_S more; then nothing of it is left behind.
Leaves to others: what an event looks like (`core.notification`), running a command (`daemon.errand`).

One after another, because whoever receives them need not be written for more than one at a time, and because an order
tells something: a log takes nothing, and takes output again. A receiver that hangs costs the next event the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tm.core import notification
from tm.core.effects import Send
from tm.core.errors import ConfigError
from tm.core.notification import MOST_WAITING, STDERR_LINES, Notification, Sender, Waiting
from tm.core.once import Once
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.core.report import lifetime
from tm.daemon.errand import Errand, Errands, Outcome, last_words
from tm.daemon.log_sources import last_lines
from tm.daemon.outputs import Outputs
from tm.daemon.supervisor import Supervisor
from tm.edge.eventlog import EventLog, stamp
from tm.edge.loop import Callback, Loop

LAST_CHANCE_S = 1.0


class Notifications:
    """Hears of what happens, and runs the command."""

    def __init__(self, loop: Loop, supervisor: Supervisor, outputs: Outputs, log: EventLog, sender: Sender) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._outputs = outputs
        self._log = log
        self.sender = sender
        self.errands = Errands(loop)
        self._waiting = Waiting()
        self._run: tuple[Notification, Errand] | None = None
        self._next_one = Once(loop.soon, self._next)
        self._deaf = False
        self._then: Callback | None = None

    # ---- what happens

    def observe(self, before: Process, _what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the supervisor."""
        if after.gave_up and not before.gave_up:
            self._put(lambda: notification.gave_up(after, stamp(), self._stderr(after)))

    def reload_refused(self, by: str, error: ConfigError) -> None:
        """The reload that `by` had asked for was refused."""
        self._put(lambda: notification.reload_refused(by, error, stamp()))

    def log_changed(self, path: str, sentence: str, refuses: bool) -> None:
        """A log takes nothing, or takes output again."""
        self._put(lambda: notification.log_changed(path, sentence, refuses, stamp()))

    # ---- the end of the daemon

    def hush(self) -> None:
        """What happens from now on is of the shutdown, and nobody has to know."""
        self._deaf = True

    def leave(self, then: Callback) -> None:
        """Call `then` when nothing runs or waits: now, or within LAST_CHANCE_S."""
        if self._then is not None:
            return
        self._then = then
        if self._run is None and not self._next_one.due:
            then()
        else:
            self._loop.call_in(LAST_CHANCE_S, then)

    def rest(self, then: Callback) -> None:
        """The same, and go on after it."""
        self._then = None
        self.leave(then)

    def end(self) -> None:
        """Nothing may be left behind."""
        if self._run is not None:
            what, errand = self._run
            self.errands.end(errand)
            self._not_told(what, f"not done when the daemon left, killed{last_words(errand.said)}")
        if count := len(self._waiting):
            self._log.write(Level.ERROR, "taskmaster", "onEvent", f"{count} event(s) not told: the daemon leaves")

    # ---- one after another

    def _put(self, make: Callable[[], Notification]) -> None:
        if self._deaf or not self._supervisor.config.settings.on_event:
            return
        if self._waiting.put(make):
            self._soon()
        elif self._waiting.dropped == 1:
            text = f"{MOST_WAITING} events wait for the command: those that come now are dropped"
            self._log.write(Level.ERROR, "taskmaster", "onEvent", text)

    def _soon(self) -> None:
        """Begin the next run in this turn of the loop or the next one, unless something runs."""
        if self._run is None:
            self._next_one.ask()

    def _next(self) -> None:
        settings = self._supervisor.config.settings
        if not settings.on_event:
            self._waiting.clear()
        what = self._waiting.take()
        if what is None:
            self._rest()
            return
        start = notification.launch(what, settings, self.sender)
        self._run = what, self.errands.run(start, settings.on_event_timeout_s, partial(self._finish, what))

    def _rest(self) -> None:
        """Everything has been told that could be."""
        if dropped := self._waiting.dropped:
            text = f"{dropped} event(s) were dropped, because {MOST_WAITING} waited"
            self._log.write(Level.ERROR, "taskmaster", "onEvent", text)
            self._waiting.dropped = 0
        if self._then is not None:
            then, self._then = self._then, None
            then()

    def _finish(self, what: Notification, outcome: Outcome) -> None:
        self._run = None
        if outcome.trouble:
            self._not_told(what, outcome.sentence)
        else:
            text = f"{what}: told within {lifetime(outcome.lived_s)}"
            self._log.write(Level.INFO, "taskmaster", "onEvent", text)
        self._soon()

    def _not_told(self, what: Notification, why: str) -> None:
        self._log.write(Level.ERROR, "taskmaster", "onEvent", f"{what}: {why}")

    def _stderr(self, row: Process) -> list[str]:
        """What it said last, where it was run at all."""
        if row.failure is not None:
            return []
        try:
            return last_lines(self._outputs, row, "stderr", STDERR_LINES)
        except OSError:
            return []
