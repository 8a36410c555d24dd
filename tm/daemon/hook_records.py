"""The hooks that run, on record, and those that an earlier daemon has left.

Guarantees: a process is taken for a hook only when it is the very one that is on record; one that was left running is
heard of when its leader ends, and gets SIGKILL with its group when its time is over. Where the record cannot be
written, hooks run all the same, and that is told once; without a state directory the next daemon knows of none.
Leaves to others: what follows from its end (`daemon.hooks`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

from tm.core.hook import Moment
from tm.core.saved import count, name, number, whole
from tm.core.timers import Instant, Timer
from tm.daemon.chronicle import identify
from tm.daemon.wiring import Key
from tm.edge import notes, pidfd, procfs, reap
from tm.edge.loop import Callback, Loop, Rank

_MOST_PID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Record:
    """One hook that runs. `until`: a monotonic instant, valid within one boot, as `start` and `identity` are."""

    task: str
    n: int
    moment: str
    pid: int
    start: int | None
    identity: int
    until: float


@dataclass(slots=True, eq=False)
class Left:
    """One that an earlier daemon has begun. `fd`: its pidfd; `then` hears its exit code or minus its signal, None where
    nobody can tell.
    """

    key: Key
    moment: Moment
    pid: int
    fd: int
    timer: Timer[Callback] | None = None
    then: Callable[[int | None], None] = lambda number: None

    def kill(self) -> None:
        """SIGKILL to all of its group. Its end is heard of all the same."""
        try:
            pidfd.send(self.fd, signal.SIGKILL, group=True)
        except OSError:  # a kernel that knows no groups of pidfds
            if not pidfd.ended(self.fd):
                reap.send(self.pid, signal.SIGKILL, group=True)


class HookRecords:
    """The file `path`, '' for none. `say` hears that it cannot be written; `known`: all pids that were on record."""

    def __init__(self, loop: Loop, path: str, say: Callable[[str], None]) -> None:
        self._loop = loop
        self._path = path
        self._say = say
        self._running: dict[int, _Record] = {}
        self._trouble = False
        self.known: set[int] = set()

    def begun(self, pid: int, key: Key, moment: Moment, limit_s: float) -> None:
        """It runs."""
        if pid and self._path:
            who = identify(pid)
            until = self._loop.sample() + limit_s
            self._running[pid] = _Record(*key, moment.value, pid, who.start, who.number, until)
            self._write()

    def ended(self, pid: int) -> None:
        """It is over."""
        if self._running.pop(pid, None) is not None:
            self._write()

    def resume(self) -> list[Left]:
        """Those on record that still run, watched from now on."""
        left = []
        self.known.clear()
        for record in _records(notes.read(self._path)) if self._path else ():
            self.known.add(record.pid)
            try:
                fd = pidfd.recognized(record.pid, record.start, record.identity)
            except OSError:
                continue
            if fd is not None:
                self._running[record.pid] = record
                left.append(self._watch(record, fd))
        if self._path:
            self._write()
        return left

    def _watch(self, record: _Record, fd: int) -> Left:
        left = Left((record.task, record.n), Moment(record.moment), record.pid, fd)
        self._loop.watch(fd, partial(self._over, left), Rank.DEATH)
        left.timer = self._loop.call_at(Instant(record.until), left.kill)
        return left

    def _over(self, left: Left) -> None:
        self._loop.unwatch(left.fd)
        if left.timer is not None:
            self._loop.cancel(left.timer)
        status = pidfd.exit_status(left.fd)
        os.close(left.fd)
        self.ended(left.pid)
        left.then(None if status is None else status.number)

    def _write(self) -> None:
        records = [asdict(each) for each in self._running.values()]
        try:
            notes.write(self._path, {"boot": procfs.boot_id(), "hooks": records} if records else None)
        except OSError as error:
            if not self._trouble:
                why = os.strerror(error.errno or 0)
                self._say(f"{self._path} cannot be written ({why}): the next daemon will not know the hooks that run")
            self._trouble = True
            return
        self._trouble = False


def _records(content: object) -> Iterator[_Record]:
    """The records of this boot that make sense."""
    match content:
        case {"boot": boot, "hooks": [*records]} if boot == procfs.boot_id():
            for each in records:
                try:
                    yield _record(each)
                except (ValueError, TypeError, KeyError):
                    continue


def _record(given: object) -> _Record:
    """Read one. Raises ValueError, TypeError, KeyError."""
    if not isinstance(given, dict):
        raise TypeError("no record of a hook")
    start = None if given["start"] is None else count(given["start"])
    moment, until = Moment(given["moment"]).value, float(count(int(given["until"])))
    whose = name(given["task"]), number(given["n"])
    return _Record(*whose, moment, whole(2, _MOST_PID)(given["pid"]), start, count(given["identity"]), until)
