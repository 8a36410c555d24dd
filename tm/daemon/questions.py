"""One question of a probe: asked over a connection, or by a command; answered once, in time or not at all.

Guarantees: nothing waits; a question has an end, after which nothing of it is left: no descriptor, no timer, no process
(a command that takes too long gets SIGKILL with its process group, and what it leaves behind gets it as well). What a
stranger says is shown as one short line. Where the machine had too little to ask, that is told apart from an answer.
Leaves to others: when to ask, and what follows (`daemon.probes`).
"""

from __future__ import annotations

import errno
import os
import signal
from typing import Protocol

from tm.core.exitstatus import ExitStatus
from tm.core.launch import Launch, SpawnFailure
from tm.core.lines import decoded, plain
from tm.core.probe import Probe, Target
from tm.core.timers import Timer
from tm.daemon import errand
from tm.edge import reap
from tm.edge.dial import Dial, request
from tm.edge.loop import Callback, Loop, Rank
from tm.edge.pipes import Pipe

KEPT_BYTES = 4096
_SHOWN = 200
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})


class Asker(Protocol):
    """Who asks."""

    def answered(self, why: str) -> None:
        """The answer: '' is a success, else why it is none. Comes once."""

    def unasked(self, why: str) -> None:
        """It could not be asked, through no fault of the process."""

    def over(self) -> None:
        """Nothing of the question is left. Comes last, and once."""


class Question(Protocol):
    """A question on its way."""

    def begin(self) -> None:
        """Ask."""

    def stop(self) -> None:
        """The answer is of no interest any more; nothing is told but that it is over, perhaps never."""

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child of the daemon's has ended, which is no process of a task."""


class Call:
    """A question over a connection; without `method` that it is accepted is the answer."""

    def __init__(self, loop: Loop, asker: Asker, probe: Probe, target: Target) -> None:
        self._loop = loop
        self._asker = asker
        self._probe = probe
        self._target = target
        self._dial: Dial | None = None
        self._fd = -1
        self._timer: Timer[Callback] | None = None

    def begin(self) -> None:
        """Begin to connect."""
        method, (address, path) = self._probe.method, self._target
        try:
            self._dial = Dial(address, request(method, address, path) if method else b"")
        except OSError as error:
            self._failed(error)
            return
        self._timer = self._loop.call_in(self._probe.timeout_s, self._limit)
        self._watch(self._dial)

    def stop(self) -> None:
        """Hang up."""
        if self._timer is not None:
            self._loop.cancel(self._timer)
        if self._dial is not None:
            self._loop.unwatch(self._fd)
            self._dial.close()
            self._dial = None

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """No process belongs to it."""

    def _watch(self, dial: Dial) -> None:
        if dial.fd != self._fd:
            self._loop.unwatch(self._fd)
        self._fd = dial.fd
        self._loop.watch(dial.fd, self._ready, write=dial.writes)

    def _ready(self) -> None:
        dial = self._dial
        assert dial is not None
        try:
            over = dial.go_on()
        except OSError as error:
            self._failed(error)
            return
        if over:
            self._end(self._verdict(dial))
        else:
            self._watch(dial)

    def _limit(self) -> None:
        dial = self._dial
        if dial is not None:
            late = f"{self._target.address} does not answer within {self._probe.timeout_s:g}s"
            self._end(self._verdict(dial) if dial.status else late)

    def _failed(self, error: OSError) -> None:
        why = f"{self._target.address}: {error.strerror or os.strerror(error.errno or 0)}"
        if error.errno in _SHORTAGES:
            self.stop()
            self._asker.unasked(why)
            self._asker.over()
        else:
            self._end(why)

    def _end(self, why: str) -> None:
        self.stop()
        self._asker.answered(why)
        self._asker.over()

    def _verdict(self, dial: Dial) -> str:
        """What its status means."""
        if not self._probe.method or any(least <= dial.status <= most for least, most in self._probe.status):
            return ""
        return f"{self._target.address}{self._target.path} answers {dial.status}{_words(dial.said[:KEPT_BYTES], 0)}"


class Run:
    """A question by a command."""

    def __init__(self, loop: Loop, asker: Asker, launch: Launch, timeout_s: float) -> None:
        self._loop = loop
        self._asker = asker
        self._launch = launch
        self._timeout_s = timeout_s
        self._pid = 0
        self._pipe: Pipe | None = None
        self._timer: Timer[Callback] | None = None
        self._said = b""
        self._told = False

    def begin(self) -> None:
        """Start the command."""
        started = errand.start(self._launch)
        if isinstance(started, SpawnFailure):
            (self._asker.unasked if started.shortage else self._tell)(errand.sentence(started))
            self._asker.over()
            return
        self._pid, self._pipe = started
        self._timer = self._loop.call_in(self._timeout_s, self._limit)
        self._loop.watch(self._pipe.fd, self._hear, Rank.OUTPUT)

    def stop(self) -> None:
        """Kill it."""
        self._told = True
        self._kill()

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """Perhaps it is the command that has ended."""
        if not self._pid or pid != self._pid:
            return
        self._hear()
        reap.send(pid, signal.SIGKILL, group=True)  # what it has left behind
        self._pid = 0
        self._close()
        self._tell(f"{status}{_words(self._said, -1)}" if status.number else "")
        self._asker.over()

    def _limit(self) -> None:
        """It has taken too long. It is over when it is dead, and nothing is asked again before."""
        self._tell(f"{self._launch.argv[0]} was not done within {self._timeout_s:g}s{_words(self._said, -1)}")
        self._kill()

    def _kill(self) -> None:
        if self._pid:
            reap.send(self._pid, signal.SIGKILL, group=True)
        self._close()

    def _tell(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._asker.answered(plain(why))

    def _hear(self) -> None:
        """Keep the end of what it says."""
        if self._pipe is None:
            return
        data = self._pipe.read()
        if data:
            self._said = (self._said + data)[-KEPT_BYTES:]
        elif data is not None:
            self._close_pipe(self._pipe)

    def _close(self) -> None:
        if self._timer is not None:
            self._loop.cancel(self._timer)
        if self._pipe is not None:
            self._close_pipe(self._pipe)

    def _close_pipe(self, pipe: Pipe) -> None:
        self._loop.unwatch(pipe.fd)
        pipe.close()
        self._pipe = None


def _words(said: bytes, which: int) -> str:
    """The first or the last line that something has said, behind a colon; '' where it said nothing."""
    lines = [text for line in said.split(b"\n") if (text := plain(decoded(line)).strip())]
    return f": {lines[which][:_SHOWN]}" if lines else ""
