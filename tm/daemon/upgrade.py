"""Replacing the daemon by the version that is installed now, while everything goes on.

Guarantees: the new version is tried out first, in a process of its own and to where it would begin to serve: one that
cannot is refused, with its own words, and nothing was touched. Then whatever was asked before is carried out, and the
daemon replaces itself by exec: the same pid, the same children, the same clients. A new version that ends before it is
up is fallen back from, by the guardian, which has the code of the old one (`daemon.guardian`).
Leaves to others: what goes along (`cli.upgrading`), and taking it over (`daemon.adoption`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial

from tm.core.exitstatus import ExitStatus
from tm.core.lines import decoded, plain
from tm.core.records import Level
from tm.core.timers import Timer
from tm.daemon.answers import failed
from tm.daemon.notification import Notifications
from tm.daemon.searching import Answered, End
from tm.daemon.supervisor import Supervisor
from tm.edge import reap
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop, Rank

_TRIAL_S = 30.0
_SAID_BYTES = 16 * 1024


class Upgrade:
    """`cannot` says why there can be none, or ''. `try_out` starts the new version, to be tried out, and gives its pid
    and the end of a pipe with what it says; it raises OSError. `hand_over` becomes the new version; where it returns,
    with why, everything is as it was. `settle` calls back when no configuration is being read.
    """

    def __init__(self, loop: Loop, supervisor: Supervisor, notifications: Notifications, log: EventLog) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._notifications = notifications
        self._log = log
        self._answered: Answered | None = None
        self._by = ""
        self._pid = 0
        self._pipe = -1
        self._said = b""
        self._status: ExitStatus | None = None
        self._timer: Timer[Callable[[], None]] | None = None
        self.cannot: Callable[[], str] = lambda: "this taskmaster has nobody who could do it"
        self.try_out: Callable[[], tuple[int, int]]
        self.hand_over: Callable[[str], str]
        self.settle: Callable[[Callable[[], None]], None] = lambda then: then()

    def begin(self, by: str, answered: Answered) -> End:
        """Try the new version out, then become it, on behalf of `by`. A refusal is answered here; else the new version
        has the answer.
        """
        why = "one is under way already" if self._answered is not None else self.cannot()
        if not why:
            try:
                self._pid, self._pipe = self.try_out()
            except OSError as error:
                why = f"the new version cannot be tried out: {os.strerror(error.errno or 0)}"
        if why:
            self._refuse(by, answered, why)
            return _nothing
        self._by, self._answered, self._said, self._status = by, answered, b"", None
        self._log.write(Level.INFO, "taskmaster", "upgrade", f"asked for by {by}: trying out the new version")
        self._loop.watch(self._pipe, self._hear, Rank.OUTPUT)
        self._timer = self._loop.call_in(_TRIAL_S, self._kill)
        return _nothing

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child that is no instance has ended."""
        if pid == self._pid and self._answered is not None:
            self._status = status
            self._judge()

    def _hear(self) -> None:
        """What the new version says; its end is the end of the trial."""
        data = os.read(self._pipe, 65536)
        self._said = (self._said + data)[-_SAID_BYTES:]
        if not data:
            self._loop.unwatch(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
            self._judge()

    def _kill(self) -> None:
        self._said += f"it was not done within {_TRIAL_S:g} s".encode()
        reap.send(self._pid, signal.SIGKILL, group=True)

    def _judge(self) -> None:
        """When it has ended, and all that it said is known."""
        if self._status is None or self._pipe >= 0 or self._answered is None:
            return
        if self._timer is not None:
            self._loop.cancel(self._timer)
        if self._status.number:
            lines = [text for line in self._said.split(b"\n") if (text := plain(decoded(line)).strip())]
            self._give_up(f"the new version cannot start: {lines[-1].rstrip('.') if lines else self._status}")
            return
        rest = partial(self._notifications.rest, self._become)
        self.settle(partial(self._supervisor.then, rest))

    def _become(self) -> None:
        if self._answered is None:  # tried already, and in vain
            return
        self._log.write(Level.INFO, "taskmaster", "upgrade", "the new version takes over")
        why = "a bug of taskmaster kept it from that; the event log has the details"
        try:
            why = self.hand_over(self._by)
        finally:
            self._give_up(why)

    def _give_up(self, why: str) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            self._refuse(self._by, answered, why)

    def _refuse(self, by: str, answered: Answered, why: str) -> None:
        sentence = f"Not upgraded: {why}. Everything goes on as it was."
        self._log.write(Level.ERROR, "taskmaster", "upgrade", f"{sentence} It was asked for by {by}")
        answered(failed(sentence))


def _nothing() -> None:
    """A trial is not given up with its asker."""
