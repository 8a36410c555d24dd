"""The descendants of a process where nothing keeps them together: as far as /proc tells.

A process counts as one when its parent is one; when its session is one that the first process or a descendant leads or
has led, for a session is entered by descent alone; when it was started with the variables that mark the tree; and when
it has counted before and is still the same by the time of its start, wherever it has gone since.

Guarantees: neither this process nor the first of the machine ever counts, nor whoever has the number of a descendant
that is gone; signals go to processes that are held by a descriptor and looked at again (`Deliver`). Where /proc cannot
be read, as without a free descriptor, OSError is raised and nothing concluded.

What cannot be seen: one that left its session, lost its parent and wiped its environment before anybody looked. The
first look is at the first signal, or at the end of the first process.

Traps: a look takes time, in which more are forked. It goes by rising pids, as /proc lists them, so that most of what is
born during the look is seen by it. Who is signalled during the look may end, and what descends from him is an orphan
before it is looked at: only SIGSTOP is sent meanwhile. SIGKILL goes to those who have been stopped before: they fork no
more, and a limit on processes that they have used up stays used up.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

Deliver: TypeAlias = Callable[[int, int, Callable[[int], bool]], bool]
"""Sends a signal to a pid, if the process that has it now is one that is meant: `edge.pidfd.deliver`."""

_PASSES: Final = 50
_LONGEST_S: Final = 0.5
"""How long one call may look for new ones; who calls again goes on."""


class Seen(NamedTuple):
    """One process, as /proc showed it. `start`: when it began, in clock ticks since boot."""

    pid: int
    parent: int
    session: int
    start: int


class Kin:
    """One tree. `marks`: variables as `NAME=value`, which all of its processes were started with.

    `root` is the first process, a child that has not been reaped or is held otherwise; None when it is gone and its
    number may be a stranger's.
    """

    def __init__(self, root: int | None, marks: frozenset[bytes]) -> None:
        self._marks = marks
        self._known: dict[int, int] = {}
        self._sessions: set[int] = set()
        if root is not None and (seen := _seen(root)) is not None:
            self._known[root] = seen.start
            self._sessions.add(root)

    def led_by(self, session: int) -> None:
        """The first process has just ended: while its session has a member, the session's number means the tree."""
        if not os.path.exists(f"/proc/{session}"):
            self._sessions.add(session)

    def members(self) -> Iterator[Seen]:
        """All that live, each as soon as it is known to be one."""
        found: dict[int, Seen] = {}
        sessions = {each for each in self._sessions if self._ours(each)}
        strangers: list[Seen] = []
        for each in _living():
            if self._counts(each, found, sessions) or self._marked(each.pid):
                yield self._count(each, found, sessions)
            else:
                strangers.append(each)
        before = -1
        while before != len(found):  # a parent or a session may be known only after its child
            before = len(found)
            for each in strangers:
                if each.pid not in found and self._counts(each, found, sessions):
                    yield self._count(each, found, sessions)
        self._known = {pid: each.start for pid, each in found.items()}
        self._sessions = sessions & {each.session for each in found.values()}

    def left(self) -> bool:
        """Whether any of them lives."""
        return any(_same(pid, start) for pid, start in self._known.items()) or any(True for _ in self.members())

    def send(self, signum: int, deliver: Deliver) -> bool:
        """Send to all of them, those that are forked meanwhile included; False when it reached nobody."""
        if signum == signal.SIGKILL:
            stopped, _ = self._send(signal.SIGSTOP, deliver)
            return sum(_deliver(each, signum, deliver) for each in stopped) > 0
        return self._send(signum, deliver)[1]

    def _send(self, signum: int, deliver: Deliver) -> tuple[list[Seen], bool]:
        """Look and send until a look finds nobody new; whom it concerned, and whether it reached anybody."""
        told: dict[tuple[int, int], Seen] = {}
        reached = False
        until = time.monotonic() + _LONGEST_S
        for _ in range(_PASSES):
            before = len(told)
            for each in self.members() if signum == signal.SIGSTOP else list(self.members()):
                if (each.pid, each.start) not in told:
                    told[each.pid, each.start] = each
                    reached |= _deliver(each, signum, deliver)
            if len(told) == before or time.monotonic() > until:
                break
        return list(told.values()), reached

    def _ours(self, session: int) -> bool:
        """Whether the number of a session that was ours is not a stranger's by now, who would have it as his pid."""
        start = self._known.get(session)
        return not os.path.exists(f"/proc/{session}") or (start is not None and _same(session, start))

    def _counts(self, each: Seen, found: dict[int, Seen], sessions: set[int]) -> bool:
        return each.parent in found or each.session in sessions or self._known.get(each.pid) == each.start

    def _count(self, each: Seen, found: dict[int, Seen], sessions: set[int]) -> Seen:
        found[each.pid] = each
        if each.session == each.pid:  # not that of one who carries the marks into a session of somebody else's
            sessions.add(each.session)
        self._known[each.pid] = each.start
        return each

    def _marked(self, pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self._marks <= set(file.read().split(b"\0"))
        except OSError:
            return False


def _deliver(each: Seen, signum: int, deliver: Deliver) -> bool:
    return deliver(each.pid, signum, lambda pid: _same(pid, each.start))


def _same(pid: int, start: int) -> bool:
    """Whether the process is still that one, and alive."""
    seen = _seen(pid)
    return seen is not None and seen.start == start


def _living() -> Iterator[Seen]:
    """The processes of the machine by rising pids, as they are when it is their turn."""
    never = {1, os.getpid()}
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal() and (pid := int(entry.name)) not in never and (seen := _seen(pid)):
                yield seen


def _seen(pid: int) -> Seen | None:
    """One process; None when it is gone, or a zombie without living threads."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if words[0] in (b"Z", b"X") and int(words[17]) <= 1:
        return None
    return Seen(pid, int(words[1]), int(words[3]), int(words[19]))
