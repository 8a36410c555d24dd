"""Which process is which: those on record, those that were about to be, and those whose record is lost.

Guarantees: a process is recognized only by what no other one has: its pidfd or, where that tells nothing, the time of
its start; what it was given in its environment; or that it is the only child of the guardian's that can be meant. Where
several can be, none is taken, and that is told.
Leaves to others: what becomes of it (`daemon.adoption`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, NoReturn

from tm.core.config import Config
from tm.core.exitstatus import UNKNOWN, ExitStatus
from tm.core.journal import Intent, Ledger
from tm.core.lasting import restored, saved
from tm.core.process import Process
from tm.core.records import Level
from tm.core.remnant import remnant
from tm.core.saved import NUMBER_MOST, Identity, Saved
from tm.core.timers import Instant
from tm.core.transitions import State
from tm.daemon.chronicle import Chronicle, identify
from tm.daemon.failures import shortage
from tm.daemon.room import for_pidfds
from tm.daemon.ward import Inheritance, Ward
from tm.daemon.wiring import Key
from tm.edge import pidfd, procfs
from tm.edge.eventlog import EventLog

_NUMBER = re.compile("[0-9]{1,18}")


class Look(NamedTuple):
    """What was seen of a process on record. `lives`; `fd`: its pidfd, None where it has ended or none is to be held;
    `status`: how it has ended; `heard`: the
    guardian tells of its end, now or later, so that it counts as alive until then; `ours`: it is a child of our own, as
    after an upgrade, and SIGCHLD tells.
    """

    fd: int | None
    status: ExitStatus
    heard: bool
    ours: bool = False
    lives: bool = False


class Recognition:
    """Of what a ledger tells and a guardian has kept."""

    def __init__(self, chronicle: Chronicle, ward: Ward, ledger: Ledger, left: Inheritance, log: EventLog) -> None:
        self._chronicle = chronicle
        self._ward = ward
        self._ledger = ledger
        self._left = left
        self._log = log
        self._holds = for_pidfds(len(ledger.rows))

    def look_for_more(self) -> None:
        """The journal has lost lines: who leads a session, says that he is ours, and began later than all that is on
        record of him, was about to be spawned.
        """
        rows = self._ledger.rows
        for pid, variables in procfs.leaders_with(_words(self._chronicle.ours)).items():
            name, n, generation = (variables.get(f"TASKMASTER_{each}", "") for each in ("TASK", "N", "GENERATION"))
            if name and _NUMBER.fullmatch(n) and _NUMBER.fullmatch(generation) and int(n) <= NUMBER_MOST:
                key, intent = (name, int(n)), Intent(int(generation), pidfd.start_time(pid) or 0)
                if key not in rows or rows[key].generation < intent.generation:
                    self._ledger.intents[key] = intent

    def complete(self, key: Key, intent: Intent, config: Config, now: Instant) -> bool:
        """It was about to be spawned: put on record that it was, where it was; whether that could be told."""
        candidates = self._spawned(key, intent)
        if len(candidates) > 1:
            pids = ", ".join(map(str, candidates))
            text = f"it was just being started, and nobody can tell which of these it is: pids {pids}"
            remedy = f"nothing is started; end them and type: start {key[0]}"
            self._log.write(Level.ERROR, key[0], "adopt", f"{text}; {remedy}")
            return False
        if not candidates:
            return True
        ledger, (name, n) = self._ledger, key
        pid = candidates[0]
        task = config.tasks.get(name) or remnant(name)
        row = restored(ledger.rows[key], task, 0.0) if key in ledger.rows else Process(task, n, now)
        row = replace(row, state=State.STARTED, pid=pid, since=now, spawned_at=now, wanted_up=True)
        ended = self._left.exits.get(pid)
        identity = identify(pid) if ended is None else Identity(ended.start)
        start = (key, intent.generation)
        kept = {name.stream: name.inode for name in self._left.pipes() if (name.key, name.generation) == start}
        ledger.pids.add(pid)
        ledger.put(saved(row, intent.generation, identity, kept or procfs.pipes(pid)))
        del ledger.intents[key]
        return True

    def _spawned(self, key: Key, intent: Intent) -> list[int]:
        """The process of a start that was intended. Who leads a session and was given these variables is it; else it
        is a child of the guardian's, alive or ended, that leads a session, began after that and is not on record.
        Whoever ends after we have looked at the living is still to be heard of.
        """
        marked = procfs.leaders_with(_words(self._chronicle.marks(key, intent.generation)))
        begun_since = [pid for pid in marked if (pidfd.start_time(pid) or 0) >= intent.tick]
        if begun_since:
            return begun_since[:1]
        if not self._ward.guarded:
            return []
        living = procfs.leaders_of(self._ward.guardian)
        self._left.exits.update(self._ward.gather())
        begun = living | {pid: ended.start for pid, ended in self._left.exits.items()}
        return [pid for pid, tick in begun.items() if tick >= intent.tick and pid not in self._ledger.pids]

    def look(self, known: Saved) -> Look:
        """Whether it lives. How it ended, where it has, the guardian says when it may be gone, so that is heard after
        all looks; whose child it is is asked before, since nobody else has its number while it is found.
        """
        assert known.pid is not None
        if procfs.parent(known.pid) == os.getpid():
            return Look(None, UNKNOWN, heard=True, ours=True)
        heard = self._ward.guarded and procfs.parent(known.pid) == self._ward.guardian
        try:
            look = _look(known, heard)
        except OSError as error:
            self._crash(known.pid, error)
        if look.fd is not None and not self._holds:
            os.close(look.fd)
            return look._replace(fd=None)
        return look

    def _crash(self, pid: int, error: OSError) -> NoReturn:
        """End as by a kill, with all that is on record: whoever cannot see what runs would start it a second time."""
        why, remedy = os.strerror(error.errno or 0), shortage(error.errno or 0)
        text = f"pid {pid} cannot be looked at ({why}): what runs goes on, and nothing is started; {remedy}"
        self._log.write(Level.ERROR, "taskmaster", "adopt", text)
        os._exit(1)

    def told(self, known: Saved) -> ExitStatus | None:
        """How it ended, as somebody has said who saw it."""
        assert known.pid is not None
        ended = self._left.exits.get(known.pid)
        if ended is not None and known.start in (None, ended.start):
            return ended.status
        return self._ledger.ended.get(known.pid)

    def is_group(self, key: Key, generation: int, pid: int) -> bool:
        """Whether the group that `pid` led is of this start."""
        return procfs.group_is(pid, _words(self._chronicle.marks(key, generation)))


def _words(variables: Mapping[str, str]) -> set[str]:
    return {f"{name}={value}" for name, value in variables.items()}


def _look(known: Saved, heard: bool) -> Look:
    """Raises OSError where the machine has too little left to look with."""
    assert known.pid is not None
    try:
        fd = pidfd.recognized(known.pid, known.start, known.identity)
    except OSError as error:
        if shortage(error.errno or 0):
            raise
        return Look(None, UNKNOWN, heard)
    if fd is not None and not heard and pidfd.ended(fd):
        status = pidfd.exit_status(fd) or UNKNOWN
        os.close(fd)
        return Look(None, status, heard)
    return Look(fd, UNKNOWN, heard, lives=fd is not None)
