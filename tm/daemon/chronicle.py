"""Keeping the journal: what has to be known of every process when this daemon is no longer there.

Guarantees: an instance is on record before it is spawned, with its pid when it is, and with every change of its row; a
journal that cannot be written keeps anything new from being started, and what could not be written is written as soon
as it can be. Without a journal everything goes on, and nothing outlives the daemon.
Leaves to others: the lines (`core.journal`), the file (`edge.journal`), and what the next daemon makes of it
(`daemon.adoption`).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from tm.core.effects import Send
from tm.core.exitstatus import ExitStatus
from tm.core.imprint import imprint
from tm.core.journal import Head, Intent, Ledger, compacted, ended_line, gone_line, intent_line, row_line, stopping_line
from tm.core.lasting import NOBODY, saved
from tm.core.launch import SpawnFailure
from tm.core.process import Occurrence, Process
from tm.core.saved import Identity
from tm.core.task import Task
from tm.core.transitions import Event
from tm.daemon.wiring import Key
from tm.edge import pidfd
from tm.edge.faults import point
from tm.edge.journal import Journal

_AT_ONCE = 50
_TICKS = os.sysconf("SC_CLK_TCK")


class Chronicle:
    """The journal of one daemon. `pipes` tells the inode of each pipe of an instance; `say` hears what went wrong."""

    def __init__(
        self, journal: Journal | None, head: Head, pipes: Callable[[Key], Mapping[str, int]], say: Callable[[str], None]
    ) -> None:
        self._journal = journal
        place = "" if journal is None else os.path.dirname(os.path.realpath(journal.path))
        self.ours = {} if journal is None else {"TASKMASTER_STATE": place}
        """The variable that all instances of this state directory have, and no other."""
        self._pipes = pipes
        self._say = say
        self._ledger = Ledger(head)
        self._generations: dict[Key, int] = {}
        self._imprints: dict[str, tuple[Task, str]] = {}
        self._owed = False
        self._trouble = ""
        self.lately: deque[Key] = deque()
        """Whose process was spawned a moment ago, so that nobody has asked yet when it has begun."""

    def begin(self, ledger: Ledger) -> None:
        """Begin anew, with what was taken over."""
        self._ledger.rows.update(ledger.rows)
        self._ledger.ended.update(ledger.ended)
        self._generations.update({key: row.generation for key, row in ledger.rows.items()})
        self._owed = True
        self._write(b"")

    def intend(self, key: Key) -> SpawnFailure | None:
        """It is about to be spawned; why it must not be, where that cannot be put on record."""
        intent = Intent(self.generation(key) + 1, ticks())
        self._ledger.intents[key] = intent
        if not self._write(intent_line(*key, intent)):
            del self._ledger.intents[key]
            return SpawnFailure("journal", f"the journal cannot be written: {self._trouble}", shortage=True)
        self._generations[key] = intent.generation
        return None

    def ended(self, pid: int, status: ExitStatus) -> None:
        """The process has ended, and nobody could tell again how once it has been reaped."""
        self._ledger.ended[pid] = status
        self._write(ended_line(pid, status))
        point("after-ended")

    def generation(self, key: Key) -> int:
        """The number of its latest start."""
        return self._generations.get(key, 0)

    def identity(self, key: Key) -> Identity:
        """What tells the process of an instance that has one from all others."""
        row = self._ledger.rows[key]
        return Identity(row.start, row.identity)

    def marks(self, key: Key, generation: int | None = None) -> dict[str, str]:
        """The variables by which an instance of this start, else of its latest, is known to be ours, whatever name
        others have given to theirs.
        """
        number = self.generation(key) if generation is None else generation
        return {
            "TASKMASTER_TASK": key[0],
            "TASKMASTER_N": str(key[1]),
            "TASKMASTER_GENERATION": str(number),
        } | self.ours

    def observe(self, _before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the rows."""
        key = (after.task.name, after.n)
        known = self._ledger.rows.get(key)
        identity, pipes, made_of = NOBODY, None, self._imprint(after.task)
        if after.pid is not None and what.event is Event.SPAWNED:
            identity = identify(after.pid, at_once=False) if self._journal is not None else NOBODY
            pipes = self._pipes(key)
        elif after.pid is not None and known is not None:
            identity, pipes, made_of = Identity(known.start, known.identity), known.pipes, known.imprint
        if identity.number and identity.start is None:
            self.lately.append(key)
        row = saved(after, self.generation(key), identity, pipes, made_of)
        self._ledger.put(row)
        if what.event in (Event.SPAWNED, Event.SPAWN_FAILED):
            self._ledger.intents.pop(key, None)
        self._write(row_line(row))
        point(f"after-{what.event.value}")

    def complete(self) -> None:
        """Put on record when some of the processes have begun that were spawned lately, and still live."""
        for _ in range(min(_AT_ONCE, len(self.lately))):
            key = self.lately.popleft()
            row = self._ledger.rows.get(key)
            if row is not None and row.pid is not None and row.start is None:
                row = row._replace(start=pidfd.start_time(row.pid))
                self._ledger.put(row)
                self._write(row_line(row))

    def dropped(self, row: Process) -> None:
        """It is gone for good."""
        key = (row.task.name, row.n)
        self._ledger.drop(key)
        self._write(gone_line(*key))

    def leaving(self, by: str) -> None:
        """The shutdown begins on behalf of `by`."""
        self._ledger.stopping = by
        self._write(stopping_line(by))

    def end(self) -> bool:
        """The daemon leaves; whether nothing outlives it, and so nothing has to be known."""
        if self._journal is not None and not self._ledger.rows:
            self._journal.remove()
        return not self._ledger.rows

    def lacking(self) -> str:
        """Why the next daemon could not take over what runs, or ''."""
        if self._journal is None:
            return "there is no state directory to put them on record in (--state-dir)"
        if not self._write(b""):
            return f"the journal cannot be written ({self._trouble})"
        try:
            os.close(pidfd.open_pidfd(os.getpid()))
        except OSError as error:
            return f"this machine has no pidfds ({os.strerror(error.errno or 0)})"
        return ""

    def _imprint(self, task: Task) -> str:
        """Made once for each task as a reading of the configuration has it."""
        was, known = self._imprints.get(task.name, (None, ""))
        if was is task:
            return known
        made = imprint(task)
        self._imprints[task.name] = task, made
        return made

    def _write(self, line: bytes) -> bool:
        """Put a line on record, or all of them where one is owed or there are too many; whether that was done."""
        if self._journal is None:
            return True
        try:
            if self._owed or self._journal.wants_compaction:
                self._journal.compact(compacted(self._ledger))
                self._owed = False
            else:
                self._journal.append(line)
        except OSError as error:
            return self._failed(line, error)
        if self._trouble:
            self._say(f"the journal {self._journal.path} is written again")
        self._trouble = ""
        return True

    def _failed(self, line: bytes, error: OSError) -> bool:
        """A compaction that fails is not the end of a journal that can be appended to."""
        if not self._owed and self._journal is not None:
            with suppress(OSError):
                self._journal.append(line)
                return True
        self._owed = True
        trouble = os.strerror(error.errno or 0)
        if trouble != self._trouble and self._journal is not None:
            self._say(f"the journal {self._journal.path} cannot be written ({trouble}): nothing new is started")
        self._trouble = trouble
        return False


def identify(pid: int, at_once: bool = True) -> Identity:
    """What tells a process of ours, which has not been reaped, from all others: the inode of its pidfd, and when it has
    begun. To ask for that waits until the process has become its program: not `at_once`, if the inode tells enough.
    """
    number = 0
    with suppress(OSError):
        fd = pidfd.open_pidfd(pid)
        number = pidfd.identity(fd)
        os.close(fd)
    return Identity(pidfd.start_time(pid) if at_once or not number else None, number)


def ticks() -> int:
    """Now, in the clock by which the kernel tells when a process began."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS)
