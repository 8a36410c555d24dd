"""The event loop: one thread that waits for descriptors and deadlines, and sleeps when there are none.

A turn has five steps, in this order and tested in it (`Loop.turn`). The order is the theory of the program:

* output before deaths before commands (ranks): when a process is found dead its last words have been read, and when an
  operator asks, the answer knows of the death;
* timers last: a process found dead in this turn is neither promoted to RUNNING by its deadline nor killed by its grace.
  Where a timer is due, descriptors are looked at once more after the clock was: a wait that ended by its time, or in a
  daemon that was stopped itself (SIGSTOP), has not seen what happened before that deadline;
* one `now` a turn: everything that happened in a turn happened at the same instant, so that no order of callbacks can
  make a process live longer than its deadline;
* a budget: a callback does one bounded transfer and returns, and due timers are taken for at most `SLICE_S` a turn.
  Output is served for OUTPUT_S a turn, first that which was served longest ago. What is left is served in the next
  turn, which does not wait, after whatever else became ready: a flood of output, of deaths or of retries cannot starve
  the prompt;
* a nap where output trickles: a turn costs some microseconds, whatever it moves. A writer of short lines is overtaken
  by turn after turn, each for a kilobyte or two. Hence, when TRICKLE_TURNS turns on end found nothing but output, and
  little of it, each further one lets the pipes fill for NAP_S. More than FEW descriptors need none: while one is
  served the others fill.

The kernel's traps: epoll refuses regular files and /dev/null (EPERM), which select calls always readable, and so they
are here. A descriptor closed in this turn may be given out again by the kernel in the same turn: a ready descriptor is
served only while the very registration that was polled still stands. Waiting is rounded up to whole milliseconds (by
`selectors`), so that a timer is never polled for in vain.

Why not asyncio: it costs 8 MiB, hides the order above, and reaps children its own way.
"""

from __future__ import annotations

import fcntl
import selectors
import struct
import termios
import time
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from tm.core.agenda import Agenda
from tm.core.timers import Instant, Timer

Callback: TypeAlias = Callable[[], None]

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
BOTH = READ | WRITE

SLICE_S = 0.01
"""The longest that one turn goes on with work that could wait for the next."""
OUTPUT_S = 0.001
"""So long floods of output, each of which gets one transfer, keep deaths and commands waiting in a turn."""
EACH_S, OUTPUT_MOST_S = 0.00002, 0.005
"""So much longer for each that is ready, up to that, since finding them takes a tenth of it."""
LOOK_S = 0.000002
"""And so much, in any case, as finding each costs: else turns that find thousands would do little but that."""

NAP_S = 0.0002
TRICKLE_TURNS = 16
TRICKLE_S = 0.001
"""Turns further apart than this are no trickle."""
TRICKLE_BYTES = 16 * 1024
"""So much in the pipes is worth a turn."""
FEW = 4


SOON_S = 0.005
"""What nobody waits for may come so much later, so that a start is not kept waiting by it."""


class Rank(IntEnum):
    """Who is served first in a turn."""

    OUTPUT = 0
    DEATH = 1
    COMMAND = 2


class Watch:
    """One registration of a descriptor. `served`: in which turn it was served last, or registered: who is new does not
    go before those who wait.
    """

    __slots__ = ("callback", "fd", "rank", "served")

    def __init__(self, fd: int, rank: int, callback: Callback, served: int) -> None:
        self.fd, self.rank, self.callback, self.served = fd, rank, callback, served


class Loop:
    """Descriptors, deadlines, and the turn that serves them. Owns none of the descriptors it watches."""

    def __init__(
        self,
        on_error: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
        nap: Callable[[float], None] = time.sleep,
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, Watch] = {}
        self._always_ready: dict[int, Watch] = {}
        self._agenda: Agenda[Callback] = Agenda()
        self._on_error = on_error
        self._clock = clock
        self._nap = nap
        self._running = False
        self._trickling = 0
        self._turns = 0
        self.now = self.sample()

    def sample(self) -> Instant:
        """The clock itself, for what takes long within a turn; everything else reads `now`."""
        return Instant(self._clock())

    def watch(
        self, fd: int, callback: Callback, rank: Rank = Rank.COMMAND, write: bool = False, both: bool = False
    ) -> None:
        """Call `callback` in every turn in which `fd` can be read (`write`: written; `both`: either, which it has to
        find out by trying). Replaces an earlier watch of it.
        """
        self.unwatch(fd)
        watched = Watch(fd, rank, callback, self._turns)
        try:
            self._selector.register(fd, BOTH if both else WRITE if write else READ, watched)
        except PermissionError:
            self._always_ready[fd] = watched
        self._watched[fd] = watched

    def unwatch(self, fd: int) -> None:
        """Forget `fd`; to be called before it is closed. Not watched: nothing happens."""
        if self._watched.pop(fd, None) is not None and self._always_ready.pop(fd, None) is None:
            self._selector.unregister(fd)

    def call_at(self, deadline: Instant, callback: Callback) -> Timer[Callback]:
        """Call `callback` once, in the first turn that begins to serve timers at or after `deadline`."""
        return self._agenda.arm(deadline, callback)

    def call_in(self, wait_s: float, callback: Callback) -> Timer[Callback]:
        """Call `callback` once, so long after the beginning of this turn."""
        return self.call_at(Instant(self.now + wait_s), callback)

    def soon(self, callback: Callback) -> None:
        """Call `callback` when what happens now is over, in this turn or the next."""
        self._agenda.soon(self.now, callback)

    def first(self, callback: Callback) -> None:
        """As `soon`, and before any deadline: no deadline is served while it waits."""
        self._agenda.first(callback)

    def cancel(self, timer: Timer[Callback]) -> None:
        """Disarm; harmless when the timer has been served."""
        self._agenda.cancel(timer)

    def turn(self, max_wait_s: float | None = None) -> None:
        """One turn.

        (1) find out how long to wait: until the next deadline, or for ever;
        (2) wait for a descriptor that long at most, and take a nap where output trickles;
        (3) sample `now`, once; look again where a timer is due by it. Where (2) does not wait it is sampled just
        before, so that (2) is that look;
        (4) serve the ready descriptors by rank, each if the same registration still stands; of output as much as
        OUTPUT_S allows;
        (5) do what goes before deadlines; then serve what was put off and the timers that are due, for SLICE_S at most,
        and no timer while something goes before them still.
        """
        wait_s, before, at_once = self._wait_s(max_wait_s), self.now, self.sample()
        ready: list[Watch] = [key.data for key, _ in self._selector.select(wait_s)]
        looked_since = wait_s == 0
        self.now = at_once if looked_since else self.sample()
        if self._trickles(ready, self.now - before):
            self._nap(NAP_S)
            self.now, looked_since = self.sample(), False
        if not looked_since and self._due():
            ready = [key.data for key, _ in self._selector.select(0)]
        ready.extend(self._always_ready.values())
        self._serve(ready)
        for callback in self._agenda.take_first():
            self._call(callback)
        began = self._clock()
        for callback in self._agenda.due(self.now):
            self._call(callback)
            if self._clock() - began > SLICE_S:
                break

    def run(self) -> None:
        """Turn after turn, until `stop`."""
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        """Let `run` return after the present turn."""
        self._running = False

    def close(self) -> None:
        """Give the selector's own descriptor back; the watched ones belong to others."""
        self._selector.close()

    def _wait_s(self, max_wait_s: float | None) -> float | None:
        if self._always_ready:
            return 0
        deadline = self._agenda.next(self.now)
        if deadline is None:
            return max_wait_s
        wait_s = max(0.0, deadline - self._clock())
        return wait_s if max_wait_s is None else min(wait_s, max_wait_s)

    def _trickles(self, ready: list[Watch], since_s: float) -> bool:
        """Whether output comes faster than it is worth a turn; `since_s`: since the turn before."""
        if since_s > TRICKLE_S or not 0 < len(ready) <= FEW or any(each.rank != Rank.OUTPUT for each in ready):
            self._trickling = 0
            return False
        self._trickling += 1
        return self._trickling > TRICKLE_TURNS and sum(_waiting_bytes(each.fd) for each in ready) < TRICKLE_BYTES

    def _serve(self, ready: list[Watch]) -> None:
        """Step 4. Output that found no time is still ready in the next turn, and before what did."""
        self._turns += 1
        until = self.now + output_s(len(ready))
        for watched in sorted(ready, key=_order):
            if self._watched.get(watched.fd) is not watched:
                continue
            if watched.rank != Rank.OUTPUT or self._clock() <= until:
                watched.served = self._turns
                self._call(watched.callback)

    def _due(self) -> bool:
        deadline = self._agenda.next(self.now)
        return deadline is not None and deadline <= self.now

    def _call(self, callback: Callback) -> None:
        """The one place where any exception is caught: a bug in one callback must not end what the others keep."""
        try:
            callback()
        except Exception as error:
            self._on_error(error)


def output_s(ready: int) -> float:
    """How long output is served in a turn that has found so many."""
    return min(OUTPUT_S + EACH_S * ready, OUTPUT_MOST_S) + LOOK_S * ready


def _order(watched: Watch) -> tuple[int, int]:
    """By rank, and among equals who was served longest ago: a line now and then is not kept waiting by floods."""
    return watched.rank, watched.served


def _waiting_bytes(fd: int) -> int:
    """How much can be read; where that cannot be told, enough."""
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
    except OSError:
        return TRICKLE_BYTES
    return int(count)
