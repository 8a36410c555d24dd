"""Taking over the processes that an earlier daemon has left: which still run, how the others ended, what goes on.

Guarantees: a process is taken over only when it is the very one that is on record; a stranger who has its number is
never signalled. Its output goes on where it was: in the pipe that a guardian has kept, or one that is opened again
through its own descriptors. What ended meanwhile is told with its exit status, as far as somebody knows it, and treated
by its policy once. A task that the configuration no longer has is stopped.
Leaves to others: who is who (`daemon.recognition`), the journal (`daemon.chronicle`), and how the configuration differs
(`daemon.supervisor`).

A process on record may be dead and its number a stranger's. Whatever is left of its group is only ours when a member
says so in its environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from tm.core.config import Config
from tm.core.exitstatus import ExitStatus
from tm.core.imprint import imprint
from tm.core.journal import Ledger
from tm.core.lasting import restored
from tm.core.launch import Launch, launch
from tm.core.process import Process
from tm.core.records import Level
from tm.core.remnant import remnant
from tm.core.saved import Identity
from tm.core.task import Task
from tm.core.transitions import Event, State
from tm.daemon.chronicle import Chronicle
from tm.daemon.deaths import Deaths
from tm.daemon.outputs import Outputs
from tm.daemon.platform import Machine
from tm.daemon.recognition import Look, Recognition
from tm.daemon.supervisor import Supervisor
from tm.daemon.ward import Inheritance, Ward
from tm.daemon.wiring import Key, Wiring
from tm.edge import procfs, reap
from tm.edge.eventlog import EventLog
from tm.edge.hall import Word
from tm.edge.loop import Loop

ORPHANED = "it ended while no daemon was there"


class Parties(NamedTuple):
    """Whom an adoption concerns."""

    loop: Loop
    supervisor: Supervisor
    machine: Machine
    outputs: Outputs
    deaths: Deaths
    log: EventLog


class Adoption:
    """What becomes of a ledger, and of what a guardian has kept."""

    def __init__(self, parts: Parties, chronicle: Chronicle, ward: Ward, ledger: Ledger, left: Inheritance) -> None:
        self._parts = parts
        self._chronicle = chronicle
        self._ward = ward
        self._ledger = ledger
        self._left = left
        self._pipes = {name.inode: (name, fd) for name, fd in left.pipes().items()}
        self._orphaned = left.hall is None  # there was nobody in between
        self.unheard: dict[Key, int] = {}
        """Who lives, and of whose end nobody tells, for want of descriptors."""
        self._recognition = Recognition(chronicle, ward, ledger, left, parts.log)

    def begin(self, config: Config) -> None:
        """Take over all that is on record, as if nothing had been, under the tasks of `config`."""
        ledger = self._ledger
        if ledger.damaged:
            self._recognition.look_for_more()
        complete, now = self._recognition.complete, self._parts.loop.now
        doubtful = [key for key, intent in list(ledger.intents.items()) if not complete(key, intent, config, now)]
        tasks = _tasks(config, ledger)
        floor_s = config.settings.restart_floor_s
        known = {key: restored(row, tasks[key[0]], floor_s) for key, row in ledger.rows.items()}
        rows = {key: _settled(row) for key, row in known.items()}
        outdated = _outdated(ledger, config, known)
        self._parts.supervisor.take_over(replace(config, tasks=tasks), rows, outdated)
        self._chronicle.begin(ledger)
        for key in outdated:
            self._log(Level.INFO, rows[key], "a key that needs a restart has changed meanwhile")
        looks = {key: self._recognition.look(ledger.rows[key]) for key, row in rows.items() if row.pid is not None}
        self._left.exits.update(self._ward.gather())
        ended = {key: status for key, look in looks.items() if (status := self._settle(key, rows[key], look))}
        for key in rows:  # when everybody who shares a file is known
            self._parts.outputs.files.resume(self._parts.outputs.wiring(key).streams.values())
        for key, status in ended.items():
            self._die(key, rows[key], status)
        self._hold(rows)
        for pid in self._left.exits:
            self._ward.tell(Word.NOTED, str(pid))
        for key, row in known.items():
            if (row.spawning or key in ledger.intents) and key not in doubtful and _is_in(config, key):
                self._start(key, rows)

    def _settle(self, key: Key, row: Process, look: Look) -> ExitStatus | None:
        """Go on with a process that lives; how it ended, where it has, with what it left in its pipes to be read."""
        assert row.pid is not None
        known, machine, fd = self._ledger.rows[key], self._parts.machine, look.fd
        if look.ours:
            self._go_on_hearing(key, row, {})
            self._log(Level.INFO, row, f"pid {row.pid} is taken over")
            return None
        if (told := self._recognition.told(known)) is not None or not look.lives:
            if fd is not None:
                os.close(fd)
            self._go_on_hearing(key, row, {})
            return told or look.status
        machine.adopt(row.pid, fd, Identity(known.start, known.identity))
        lacking = {inode for inode in known.pipes.values() if inode not in self._pipes}
        lost = self._go_on_hearing(key, row, procfs.open_pipes(row.pid, lacking))
        if not look.heard and fd is not None:
            self._parts.deaths.hear(row.pid, fd)
        elif not look.heard:
            self.unheard[key] = row.pid
        self._log(Level.INFO, row, f"pid {row.pid} is taken over{lost}")
        return None

    def _die(self, key: Key, row: Process, status: ExitStatus) -> None:
        """It has ended while no daemon was there."""
        assert row.pid is not None
        self._log(Level.WARNING, row, f"pid {row.pid} is gone: {status}, {ORPHANED}")
        left = reap.group_exists(row.pid)  # without one there is no reason to look at all processes
        generation = self._ledger.rows[key].generation
        if not (left and self._recognition.is_group(key, generation, row.pid)):
            self._parts.machine.disown(row.pid)
        self._parts.outputs.process_ended(key)
        self._parts.supervisor.reaped(row.pid, status, ORPHANED if self._orphaned else "")

    def _go_on_hearing(self, key: Key, row: Process, found: dict[int, int]) -> str:
        """Have its output again, from what was kept and what was `found`; what is to be said where some of it cannot be
        had.
        """
        start = launch(row.task, row.n, {})
        wiring, troubles = self._wiring(row, start), []
        for name, inode in self._ledger.rows[key].pipes.items():
            if inode in self._pipes and self._pipes[inode][0].key == key:
                found[inode] = self._pipes.pop(inode)[1]
            if inode in found:
                troubles.append(self._wire(key, start, wiring, name, found[inode]))
            else:
                troubles.append(f"it has closed its {name}")
        self._parts.machine.keep(key, wiring)
        self._parts.outputs.attach(key, wiring, row.pid)
        return "".join(f"; {each}" for each in troubles if each)

    def _wiring(self, row: Process, start: Launch) -> Wiring:
        ends = self._parts.outputs.ends
        return Wiring(policy=start.logs, instance=row.name, adopted=self._orphaned, common=start.common, ends=ends)

    def _wire(self, key: Key, start: Launch, wiring: Wiring, name: str, fd: int) -> str:
        """Let a pipe go where it went; what is to be said where it cannot."""
        outputs, target = self._parts.outputs, start.targets.get(name)
        tail = partial(outputs.memory.tail, key, name)
        try:
            wiring.add(name, target, outputs.files, tail, fd)
        except OSError as error:
            wiring.add(name, None, outputs.files, tail, fd)
            return f"{target} cannot be opened ({os.strerror(error.errno or 0)}): its {name} is kept in memory"
        return ""

    def _hold(self, rows: Mapping[Key, Process]) -> None:
        """Pipes of earlier starts, which descendants may write to; those of nobody are closed."""
        for name, fd in self._pipes.values():
            if name.key not in rows:
                self._ward.drop(fd)
                os.close(fd)
                continue
            row = rows[name.key]
            start = launch(row.task, row.n, {})
            wiring = self._wiring(row, start)
            self._wire(name.key, start, wiring, name.stream, fd)
            self._parts.outputs.attach(name.key, wiring, None)

    def _start(self, key: Key, rows: Mapping[Key, Process]) -> None:
        """It was about to be started, and was not: it is on record nowhere."""
        if key in rows and rows[key].at_rest:
            self._parts.supervisor.ask(key, Event.START, by="an earlier daemon")

    def _log(self, level: Level, row: Process, text: str) -> None:
        self._parts.log.write(level, row.name, "adopt", text)


def _tasks(config: Config, ledger: Ledger) -> dict[str, Task]:
    """What the processes of each task are to be kept by; `instances` as there were."""
    most = dict(sorted(ledger.rows))  # the highest number of each
    return {name: replace(config.tasks.get(name) or remnant(name), instances=n) for name, n in most.items()}


def _outdated(ledger: Ledger, config: Config, rows: Mapping[Key, Process]) -> set[Key]:
    """Who is wanted up and would have to be restarted for what `config` says by now, as at a reload. What is just to be
    started has that anyway.
    """
    now = {name: imprint(config.tasks[name]) for name in {task for task, _ in ledger.rows} if name in config.tasks}
    differ = {key for key, row in ledger.rows.items() if row.imprint not in ("", now.get(key[0], row.imprint))}
    return {key for key in differ if rows[key].wanted_up and not (rows[key].spawning or key in ledger.intents)}


def _is_in(config: Config, key: Key) -> bool:
    """Whether the configuration still has the instance."""
    return key[0] in config.tasks and key[1] <= config.tasks[key[0]].instances


def _settled(row: Process) -> Process:
    """A row as the table has it: one that was being spawned, and has no process, is so again: by its deadline where
    that had come, else it rests until it is asked for.
    """
    if not row.spawning:
        return row
    if row.auto_started_at == row.since:
        return replace(row, state=State.BACKOFF, restarts=row.restarts - 1)
    return replace(row, state=State.STOPPED)
