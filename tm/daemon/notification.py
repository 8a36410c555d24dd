"""Telling somebody outside: the command of `onEvent`, run for a process that gave up, a refused reload, a log that
takes nothing.

Guarantees: the runs come one after another, in the order of the events, and never from within what caused them; a run
is over when its process group is empty, or has got SIGKILL after `onEventTimeout`; what waits is bounded
(`core.notification`), and what finds no place is counted and told; of its output the last KEPT_BYTES are kept. A run
that fails is one line of the event log, and no event. When the daemon leaves, what runs and waits has LAST_CHANCE_S
more; then nothing of it is left behind.
Leaves to others: what an event looks like (`core.notification`), waiting for the dead (`daemon.deaths`).

One after another, because whoever receives them need not be written for more than one at a time, and because an order
tells something: a log takes nothing, and takes output again. A receiver that hangs costs the next event the limit.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from tm.core import notification
from tm.core.errors import ConfigError
from tm.core.exitstatus import ExitStatus
from tm.core.launch import Launch
from tm.core.lines import decoded, plain
from tm.core.notification import MOST_WAITING, STDERR_LINES, Notification, Sender, Waiting
from tm.core.process import Occurrence, Process, Send
from tm.core.records import Level
from tm.core.report import lifetime
from tm.core.timers import Instant, Timer
from tm.daemon.failures import explain
from tm.daemon.log_sources import last_lines
from tm.daemon.outputs import Outputs
from tm.daemon.supervisor import Supervisor
from tm.edge import reap, spawn
from tm.edge.eventlog import EventLog, stamp
from tm.edge.loop import Callback, Loop, Rank
from tm.edge.pipes import Pipe, pipe
from tm.edge.signals import default_for_child

KEPT_BYTES = 4096
LAST_CHANCE_S = 1.0

_WORD_SHOWN = 200


@dataclass(slots=True)
class _Run:
    """One run. `pipe`: its output, None once that has ended; `status`: how its leader ended; `killed`: SIGKILL was
    sent after `limit_s`.
    """

    what: Notification
    pid: int
    pipe: Pipe | None
    began: Instant
    limit_s: float
    timer: Timer[Callback] | None = None
    said: bytes = b""
    status: ExitStatus | None = None
    killed: bool = False


class Notifications:
    """Hears of what happens, and runs the command."""

    def __init__(self, loop: Loop, supervisor: Supervisor, outputs: Outputs, log: EventLog, sender: Sender) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._outputs = outputs
        self._log = log
        self.sender = sender
        self._waiting = Waiting()
        self._run: _Run | None = None
        self._due = False
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

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child that is no instance has ended: the command itself, or the last of what it has left."""
        run = self._run
        if run is None:
            return
        if pid == run.pid:
            run.status = status
            self._hear(run)
        if run.status is not None and (run.killed or not reap.group_exists(run.pid)):
            self._finish(run, run.status)

    # ---- the end of the daemon

    def hush(self) -> None:
        """What happens from now on is of the shutdown, and nobody has to know."""
        self._deaf = True

    def leave(self, then: Callback) -> None:
        """Call `then` when nothing runs or waits: now, or within LAST_CHANCE_S."""
        if self._then is not None:
            return
        self._then = then
        if self._run is None and not self._due:
            then()
        else:
            self._loop.call_at(Instant(self._loop.now + LAST_CHANCE_S), then)

    def rest(self, then: Callback) -> None:
        """The same, and go on after it."""
        self._then = None
        self.leave(then)

    def end(self) -> None:
        """Nothing may be left behind."""
        if (run := self._run) is not None:
            reap.send(run.pid, signal.SIGKILL, group=True)
            self._not_told(run.what, "not done when the daemon left, killed", run.said)
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
        if self._run is None and not self._due:
            self._due = True
            self._loop.call_at(self._loop.now, self._next)

    def _next(self) -> None:
        self._due = False
        settings = self._supervisor.config.settings
        if not settings.on_event:
            self._waiting.clear()
        what = self._waiting.take()
        if what is None:
            self._rest()
            return
        began = self._loop.sample()
        started = _start(notification.launch(what, settings, self.sender))
        if isinstance(started, str):
            self._not_told(what, f"not run: {started}")
            self._soon()
            return
        run = self._run = _Run(what, *started, began, settings.on_event_timeout_s)
        run.timer = self._loop.call_at(Instant(began + run.limit_s), partial(self._limit, run))
        self._loop.watch(started[1].fd, partial(self._hear, run), Rank.OUTPUT)

    def _rest(self) -> None:
        """Everything has been told that could be."""
        if dropped := self._waiting.dropped:
            text = f"{dropped} event(s) were dropped, because {MOST_WAITING} waited"
            self._log.write(Level.ERROR, "taskmaster", "onEvent", text)
            self._waiting.dropped = 0
        if self._then is not None:
            then, self._then = self._then, None
            then()

    def _hear(self, run: _Run) -> None:
        """Keep the end of what it says."""
        if run.pipe is None:
            return
        data = run.pipe.read()
        if data:
            run.said = (run.said + data)[-KEPT_BYTES:]
        elif data is not None:
            self._close(run)

    def _limit(self, run: _Run) -> None:
        run.killed = True
        reap.send(run.pid, signal.SIGKILL, group=True)
        if run.status is not None:
            self._finish(run, run.status)

    def _finish(self, run: _Run, status: ExitStatus) -> None:
        self._run = None
        if run.timer is not None:
            self._loop.cancel(run.timer)
        self._close(run)
        if run.killed:
            self._not_told(run.what, f"not done within {run.limit_s:g} s, killed", run.said)
        elif status.number:
            self._not_told(run.what, f"{status} after {self._lived(run)}", run.said)
        else:
            text = f"{run.what}: told within {self._lived(run)}"
            self._log.write(Level.INFO, "taskmaster", "onEvent", text)
        self._soon()

    def _lived(self, run: _Run) -> str:
        return lifetime(self._loop.sample() - run.began)

    def _close(self, run: _Run) -> None:
        if run.pipe is not None:
            self._loop.unwatch(run.pipe.fd)
            run.pipe.close()
            run.pipe = None

    def _not_told(self, what: Notification, why: str, said: bytes = b"") -> None:
        lines = [text for line in said.split(b"\n") if (text := plain(decoded(line)).strip())]
        words = f"; it said: {lines[-1][:_WORD_SHOWN]}" if lines else ""
        self._log.write(Level.ERROR, "taskmaster", "onEvent", f"{what}: {why}{words}")

    def _stderr(self, row: Process) -> list[str]:
        """What it said last, where it was run at all."""
        if row.failure is not None:
            return []
        try:
            return last_lines(self._outputs, row, "stderr", STDERR_LINES)
        except OSError:
            return []


def _start(launch: Launch) -> tuple[int, Pipe] | str:
    """The pid of the command and what it writes, or why it could not be started."""
    with ExitStack() as opened:
        try:
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, null)
            ours, theirs = pipe()
        except OSError as error:
            return f"no descriptor is left for it: {os.strerror(error.errno or 0)}"
        opened.callback(os.close, theirs)
        with default_for_child():
            outcome = spawn.spawn(launch, (null, theirs, theirs))
        if isinstance(outcome, int):
            return outcome, Pipe(ours)
        opened.callback(os.close, ours)
        failure = explain(launch, outcome)
        return f"{failure.reason}; {failure.hint}" if failure.hint else failure.reason
