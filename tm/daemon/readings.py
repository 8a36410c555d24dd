"""Reading configurations apart: each in a process of its own, so that this one never waits, nor holds what it takes.

Guarantees: of those asked for one is read at a time, in their order; each is answered once, never from within `ask`:
with what was found, or with what is wrong, also where its process died, failed or took longer than LIMIT_S; that
concerns nothing else. One that nobody waits for any more is given up.
Leaves to others: what is read and made of it (`Reloading`), and waiting for the dead (`daemon.deaths`).
"""

from __future__ import annotations

import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from tm.core.errors import ConfigError, Place, Problem, quoted
from tm.core.exitstatus import ExitStatus
from tm.core.once import Once
from tm.core.timers import Timer
from tm.daemon.slices import Slices
from tm.edge import apart, reap, version
from tm.edge.descriptors import close_but
from tm.edge.loop import Callback, Loop

LIMIT_S: Final = 60.0
WAITING_MOST: Final = 32
_AGAIN: Final = "try again"


class Found(NamedTuple):
    """What was found. `parts`: what is a lot, in pieces that each take little time to be taken over."""

    what: Any
    parts: Sequence[Any] = ()


End: TypeAlias = Callable[[], None]
Work: TypeAlias = Callable[[], Found]
Then: TypeAlias = Callable[["Found | ConfigError"], None]


@dataclass(slots=True, eq=False)
class _Asked:
    """One reading. `path`: which file is blamed where nothing else is known; `kept`: descriptors that it writes to."""

    work: Work
    path: str
    kept: Iterable[int]
    then: Then


@dataclass(slots=True, eq=False)
class _Run:
    """The one that goes on."""

    asked: _Asked
    pid: int
    value: apart.Value
    limit: Timer[Callback]
    status: ExitStatus | None = None
    ended: bool = False


class Readings:
    """Those of one daemon. Owns the pipe of the one that goes on."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._slices = Slices(loop)
        self._waiting: deque[_Asked] = deque()
        self._run: _Run | None = None
        self._taken: _Asked | None = None
        self._next_one = Once(loop.soon, self._next)
        self._resting: list[Callback] = []

    def ask(self, work: Work, path: str, then: Then, kept: Iterable[int] = ()) -> End:
        """Do `work` apart, and tell `then` what it returns, or that it raises ConfigError; call what is returned to
        give it up.
        """
        asked = _Asked(work, path, kept, then)
        if len(self._waiting) >= WAITING_MOST:
            busy = unread(path, f"{WAITING_MOST} readings wait already, each of which takes what is there then")
            self._loop.soon(partial(then, busy))
        else:
            self._waiting.append(asked)
            self._soon()
        return partial(self._give_up, asked)

    def rest(self, then: Callback) -> None:
        """Call it when nothing is read any more."""
        self._resting.append(then)
        self._soon()

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child that is no instance has ended."""
        if self._run is not None and self._run.pid == pid:
            self._run.status = status
            self._judge(self._run)

    def end(self) -> None:
        """The daemon leaves: nothing more is read, and whoever waits is told."""
        present = self._run.asked if self._run is not None else self._taken
        given_up = [*([present] if present is not None else []), *self._waiting]
        for each in given_up:
            self._give_up(each)
        for each in given_up:
            each.then(unread(each.path, "taskmaster is shutting down"))

    # ---- one after another

    @property
    def _busy(self) -> bool:
        return self._run is not None or self._taken is not None

    def _soon(self) -> None:
        if not self._busy:
            self._next_one.ask()

    def _next(self) -> None:
        if self._waiting and not self._busy:
            self._begin(self._waiting.popleft())
        elif not self._busy:
            resting, self._resting = self._resting, []
            for each in resting:
                each()

    def _begin(self, asked: _Asked) -> None:
        try:
            pid, fd = apart.begin(partial(_answer, asked.work, asked.kept))
        except OSError as error:
            self._take_over(asked, _not_begun(asked.path, error))
            return
        limit = self._loop.call_in(LIMIT_S, self._limit)
        run = self._run = _Run(asked, pid, apart.Value(fd), limit)
        self._loop.watch(fd, partial(self._hear, run))

    def _hear(self, run: _Run) -> None:
        if not run.value.take():
            self._loop.unwatch(run.value.fd)
            run.ended = True
            self._judge(run)

    def _judge(self, run: _Run) -> None:
        """At the end of the pipe what came is whole; where it is not, how the process ended says why."""
        if run.ended and (run.value.whole is not None or run.status is not None):
            self._release(run)
            found = _found(run.value, run.asked.path, run.status)
            if isinstance(found, ModuleNotFoundError):
                found = unread(run.asked.path, str(found))
            self._take_over(run.asked, found)

    def _limit(self) -> None:
        """It takes too long; one that hangs in the kernel may live on, and concerns nobody any more."""
        if (run := self._run) is not None:
            self._kill(run)
            self._take_over(run.asked, unread(run.asked.path, f"that was not done within {LIMIT_S:g} s", _AGAIN))

    def _take_over(self, asked: _Asked, found: Found | ConfigError) -> None:
        """In slices; the next one is read after that, since it is held against this one."""
        self._taken = asked
        parts: list[Any] = []
        for part in () if isinstance(found, ConfigError) else found.parts:
            self._slices.then(partial(self._unpack, parts, part))
        whole = found if isinstance(found, ConfigError) else found._replace(parts=parts)
        self._slices.then(partial(self._tell, asked, whole))

    def _unpack(self, parts: list[Any], part: bytes) -> None:
        if self._taken is not None:
            parts.append(pickle.loads(part))

    def _tell(self, asked: _Asked, found: Found | ConfigError) -> None:
        if self._taken is not asked:
            return
        self._taken = None
        try:
            asked.then(found)
        finally:
            self._soon()

    def _give_up(self, asked: _Asked) -> None:
        if asked in self._waiting:
            self._waiting.remove(asked)
        elif self._run is not None and self._run.asked is asked:
            self._kill(self._run)
        elif self._taken is asked:
            self._taken = None
        self._soon()

    def _kill(self, run: _Run) -> None:
        if not run.ended:  # else it is on its way out, and its number may be another's soon
            reap.send(run.pid, signal.SIGKILL, group=False)
        self._release(run)

    def _release(self, run: _Run) -> None:
        self._loop.cancel(run.limit)
        self._loop.unwatch(run.value.fd)
        run.value.close()
        self._run = None


def begin(work: Work, path: str) -> Callable[[], Any]:
    """Begin with it where there is no loop yet; what is returned waits for what is found. Both raise ConfigError, the
    latter ModuleNotFoundError as well.
    """
    try:
        pid, fd = apart.begin(partial(_answer, work, ()))
    except OSError as error:
        raise _not_begun(path, error) from None
    return partial(_wait_for, pid, apart.Value(fd), path)


def _wait_for(pid: int, value: apart.Value, path: str) -> Any:
    os.set_blocking(value.fd, True)
    try:
        while value.take():
            pass
    finally:
        value.close()
    found = _found(value, path, ExitStatus.from_wait(os.waitpid(pid, 0)[1]))
    if isinstance(found, Found):
        return found.what
    raise found


def unread(path: str, why: str, hint: str = "") -> ConfigError:
    """It is not known what the file says."""
    message = f"{quoted(path)} cannot be read: {why}"
    return ConfigError([Problem("unread", Place(path, 1, 1), 1, "", message, "", hint)])


def _not_begun(path: str, error: OSError) -> ConfigError:
    return unread(path, f"no process can be made for it: {os.strerror(error.errno or 0)}", _AGAIN)


def _answer(work: Work, kept: Iterable[int], fd: int) -> bytes:
    """In the process that reads. What it imports may come from the version that is kept in memory."""
    close_but({fd, *kept, *version.in_use()})
    found: Found | ConfigError | ModuleNotFoundError
    try:
        what, parts = work()
        found = Found(what, [pickle.dumps(part, pickle.HIGHEST_PROTOCOL) for part in parts])
    except (ConfigError, ModuleNotFoundError) as error:
        found = error
    return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)


def _found(value: apart.Value, path: str, status: ExitStatus | None) -> Found | ConfigError | ModuleNotFoundError:
    """What the work returned, or what it raised, or a ConfigError that says how its process ended."""
    if (content := value.whole) is not None:
        found: Found | ConfigError | ModuleNotFoundError = pickle.loads(content)
        return found
    if bug := value.bug:
        return unread(path, "a bug of taskmaster kept it from that", f"it said:\n{bug.rstrip()}")
    return unread(path, f"the process that reads it ended with {status}", _AGAIN)
