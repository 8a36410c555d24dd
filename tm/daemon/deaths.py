"""Deaths: reaping in slices, last words first, and what the facts say about a death.

Guarantees: before the table hears of a death, everything that was in the process's pipes is in its log; thousands of
deaths at once leave the loop its turns, and no deadline is served before the last of them is known. While many wait to
be stopped, or started, that goes first for BEHIND_S: who is told late to end ends late, and who has ended can wait.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tm.core.exitstatus import UNKNOWN, ExitStatus
from tm.core.once import Once
from tm.core.process import Process
from tm.core.timers import Instant
from tm.daemon.outputs import Outputs
from tm.daemon.slices import Slice
from tm.daemon.supervisor import Supervisor
from tm.edge import ends, pidfd, procfs
from tm.edge.loop import SLICE_S, Loop, Rank

_SIGKILL = 9
_BESIDE_WISHES_S = SLICE_S / 8
BEHIND_S = 0.5


class Deaths:
    """Turns SIGCHLD into what the supervisor hears. `on_other` hears of a child that is nobody's leader,
    `on_end` how a leader has ended, while it is a zombie.
    """

    def __init__(self, loop: Loop, supervisor: Supervisor, outputs: Outputs) -> None:
        self._loop = loop
        self._supervisor = supervisor
        self._outputs = outputs
        self._oom_kills = procfs.oom_kills()
        self._again = Once(loop.first, self.reap)
        self._slice = Slice(loop)
        self._missed = False
        self._behind_since: Instant | None = None
        self.on_other: Callable[[int, ExitStatus], None] = _ignore
        self.on_end: Callable[[int, ExitStatus], None] = _ignore

    def reap(self) -> None:
        """Reap until nobody is left, or for a slice of time and then again in the next turn."""
        missed, self._missed = self._missed, False
        more = True
        try:
            while more and self._has_time():
                more = self._reap_one()
        finally:
            more |= missed
            self._behind_since = (self._behind_since or self._loop.now) if more else None
            if more:
                self._again.ask()

    def _reap_one(self) -> bool:
        """Whether there was one."""
        if (found := ends.look()) is None:
            return False
        pid, status = found[0], ExitStatus.from_wait(found[1])
        self._note(pid, status)
        self.ended(pid, status)
        return True

    def _has_time(self) -> bool:
        """Whether there is time for another one in this turn."""
        behind = self._behind_since is not None and self._loop.now > self._behind_since + BEHIND_S
        return self._slice.left(_BESIDE_WISHES_S if self._supervisor.wishes.waiting and not behind else SLICE_S)

    def _note(self, pid: int, status: ExitStatus) -> None:
        """Put it on record, then let it go. Its group can be looked for only after that."""
        try:
            if self._supervisor.key_of(pid) is not None:
                self.on_end(pid, status)
        finally:
            ends.release(pid)

    def hear(self, pid: int, fd: int) -> None:
        """Hear of the end of a process that is nobody's child of ours, by its pidfd, which stays its owner's."""
        self._loop.watch(fd, partial(self._seen, pid, fd), Rank.DEATH)

    def _seen(self, pid: int, fd: int) -> None:
        """He has ended; where this turn has no time left for that, he still has in the next one."""
        if not self._has_time():
            self._missed = True
            self._again.ask()
            return
        self._loop.unwatch(fd)
        self.ended(pid, pidfd.exit_status(fd) or UNKNOWN)

    def ended(self, pid: int, status: ExitStatus) -> None:
        """One death. The table hears of it even where the last words fail: it has been reaped and comes but once."""
        hint = ""
        try:
            if (key := self._supervisor.key_of(pid)) is not None:
                held = self._outputs.process_ended(key)
                killed = status.signum == _SIGKILL
                hint = explain(self._supervisor.rows[key], status, held, killed and self._oom())
            else:
                self.on_other(pid, status)
        finally:
            self._supervisor.reaped(pid, status, hint)

    def _oom(self) -> bool:
        """Whether the kernel's OOM killer has been at work since the last time."""
        before, self._oom_kills = self._oom_kills, max(self._oom_kills, procfs.oom_kills())
        return self._oom_kills > before


def explain(row: Process, status: ExitStatus, held: bool, oom: bool) -> str:
    """A fact that explains how it ended, or ''."""
    if row.stopping:
        return ""
    if oom:
        return "the kernel's OOM killer was at work: out of memory"
    if status.number == 0 and held and not row.running:
        return "it put itself in the background: let it run in the foreground"
    if status.number == 127:
        return "127 is the shell's word for a command that was not found"
    return ""


def _ignore(_pid: int, _status: ExitStatus) -> None:
    pass
