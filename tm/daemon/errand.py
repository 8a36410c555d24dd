"""Short commands that the daemon runs for itself: for an event, a hook, a check; the loop goes on meanwhile.

Guarantees: an errand is over when its process group is empty, or when it has got SIGKILL at the end of its limit and
its leader is dead; `then` hears once how it went, never from within `run`, also where it could not be started; of what
it says the last KEPT_BYTES are kept, and never more is held. One that was ended by `end` is not heard of again.
Leaves to others: what is run (`core.launch`), when and how many at once, and waiting for the dead (`daemon.deaths`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from tm.core.exitstatus import ExitStatus
from tm.core.launch import Launch, SpawnFailure
from tm.core.lines import decoded, plain
from tm.core.report import lifetime
from tm.core.timers import Instant, Timer
from tm.daemon import starting
from tm.daemon.failures import explain
from tm.edge import reap
from tm.edge.loop import Callback, Loop, Rank
from tm.edge.pipes import Pipe, pipe
from tm.edge.signals import default_for_child

KEPT_BYTES: Final = 4096
_WORD_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an errand went. `trouble`: why it failed, '' where it did not; `status`: how its leader ended, None where
    there was none; `said`: the end of its output, stdout and stderr together; `killed`: it took too long.
    """

    trouble: str
    lived_s: float
    status: ExitStatus | None = None
    said: bytes = b""
    killed: bool = False

    @property
    def lines(self) -> list[str]:
        """What it said last, as lines that are safe to show, without empty ones."""
        return [text for line in self.said.split(b"\n") if (text := plain(decoded(line)).strip())]

    @property
    def sentence(self) -> str:
        """The trouble, with its last words."""
        return self.trouble + last_words(self.said)


Then: TypeAlias = Callable[[Outcome], None]


def last_words(said: bytes) -> str:
    """What a command said last, to be put behind what became of it; '' where it said nothing."""
    lines = Outcome("", 0.0, said=said).lines
    return f"; it said: {lines[-1][:_WORD_SHOWN]}" if lines else ""


@dataclass(slots=True, eq=False)
class Errand:
    """One run. `pid`: its leader and group, 0 where there is none; `pipe`: its output, None once that has ended;
    `status`: how its leader ended; `killed`: SIGKILL was sent after `limit_s`.
    """

    then: Then
    limit_s: float
    began: Instant
    pid: int = 0
    pipe: Pipe | None = None
    timer: Timer[Callback] | None = None
    said: bytes = b""
    status: ExitStatus | None = None
    killed: bool = False


class Errands:
    """Those that run. Owns their pipes."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._running: dict[int, Errand] = {}

    def run(self, launch: Launch, limit_s: float, then: Then) -> Errand:
        """Begin one, with /dev/null as its input."""
        errand = Errand(then, limit_s, self._loop.sample())
        started = start(launch)
        if isinstance(started, SpawnFailure):
            failed = partial(self._fail, errand, Outcome(f"not run: {sentence(started)}", 0.0))
            errand.timer = self._loop.call_in(0.0, failed)
            return errand
        errand.pid, errand.pipe = started
        self._running[errand.pid] = errand
        errand.timer = self._loop.call_at(Instant(errand.began + limit_s), partial(self._limit, errand))
        self._loop.watch(errand.pipe.fd, partial(self._hear, errand), Rank.OUTPUT)
        return errand

    def soon(self, callback: Callback) -> None:
        """Call it in this turn of the loop or the next one: not from within what has happened."""
        self._loop.soon(callback)

    def end(self, errand: Errand) -> None:
        """SIGKILL to all of it, and hear nothing of it any more. Over already: nothing happens."""
        if self._running.pop(errand.pid, None) is errand:
            reap.send(errand.pid, signal.SIGKILL, group=True)
        self._release(errand)

    def close(self) -> None:
        """End all of them."""
        for errand in list(self._running.values()):
            self.end(errand)

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child that is no instance has ended: the leader of one of these, or perhaps the last that it has left."""
        if (errand := self._running.get(pid)) is not None and errand.status is None:
            errand.status = status
            self._hear(errand)
        for each in [each for each in self._running.values() if each.status is not None]:
            if each.killed or not reap.group_exists(each.pid):
                self._finish(each)

    def _hear(self, errand: Errand) -> None:
        """Keep the end of what it says."""
        if errand.pipe is None:
            return
        data = errand.pipe.read()
        if data:
            errand.said = (errand.said + data)[-KEPT_BYTES:]
        elif data is not None:
            self._close(errand)

    def _limit(self, errand: Errand) -> None:
        errand.killed = True
        reap.send(errand.pid, signal.SIGKILL, group=True)
        if errand.status is not None:
            self._finish(errand)

    def _finish(self, errand: Errand) -> None:
        del self._running[errand.pid]
        self._release(errand)
        lived_s = self._loop.sample() - errand.began
        trouble = ""
        if errand.killed:
            trouble = f"not done within {errand.limit_s:g} s, killed"
        elif errand.status is not None and errand.status.number:
            trouble = f"{errand.status} after {lifetime(lived_s)}"
        errand.then(Outcome(trouble, lived_s, errand.status, errand.said, errand.killed))

    def _fail(self, errand: Errand, outcome: Outcome) -> None:
        errand.timer = None
        errand.then(outcome)

    def _release(self, errand: Errand) -> None:
        if errand.timer is not None:
            self._loop.cancel(errand.timer)
            errand.timer = None
        self._close(errand)

    def _close(self, errand: Errand) -> None:
        if errand.pipe is not None:
            self._loop.unwatch(errand.pipe.fd)
            errand.pipe.close()
            errand.pipe = None


def start(launch: Launch) -> tuple[int, Pipe] | SpawnFailure:
    """The pid of the command and what it writes, or why it could not be started."""
    with ExitStack() as opened:
        try:
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, null)
            ours, theirs = pipe()
        except OSError as error:
            reason = f"no descriptor is left for it: {os.strerror(error.errno or 0)}"
            return SpawnFailure("fork", reason, shortage=True)
        opened.callback(os.close, theirs)
        with default_for_child():
            outcome = starting.spawn(launch, (null, theirs, theirs))
        if isinstance(outcome, int):
            return outcome, Pipe(ours)
        opened.callback(os.close, ours)
        return explain(launch, outcome)


def sentence(failure: SpawnFailure) -> str:
    """Why a command could not be started, and what to do about it."""
    return f"{failure.reason}; {failure.hint}" if failure.hint else failure.reason
