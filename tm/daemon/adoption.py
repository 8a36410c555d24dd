"""Taking over the processes that an earlier daemon has left: which still run, how the others ended, what goes on.

Guarantees: a process is taken over only when it is the very one that is on record, by its pidfd or, where that tells
nothing, by the time of its start; a stranger who has its number is never signalled. Its output goes on where it was:
the pipe is opened again through its own descriptors. What ended meanwhile is told with its exit status, as far as the
kernel tells, and treated by its policy once. A task that the configuration no longer has is stopped.
Leaves to others: the journal (`daemon.chronicle`), and how the configuration differs (`daemon.supervisor`).

A process on record may be dead and its number a stranger's. Whatever is left of its group is only ours when a member
says so in its environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from tm.core.config import Config
from tm.core.exitstatus import UNKNOWN, ExitStatus
from tm.core.journal import Ledger
from tm.core.launch import launch
from tm.core.process import Process
from tm.core.records import Level
from tm.core.remnant import remnant
from tm.core.saved import Saved, restored, saved
from tm.core.task import Task
from tm.core.transitions import Event, State
from tm.daemon.chronicle import Chronicle, identify
from tm.daemon.deaths import Deaths
from tm.daemon.outputs import Outputs
from tm.daemon.platform import Machine
from tm.daemon.supervisor import Supervisor
from tm.daemon.wiring import Key, Wiring
from tm.edge import pidfd, procfs, reap
from tm.edge.eventlog import EventLog
from tm.edge.loop import Loop, Rank

ORPHANED = "it ended while no daemon was there"


class Parts(NamedTuple):
    """Whom an adoption concerns."""

    loop: Loop
    supervisor: Supervisor
    machine: Machine
    outputs: Outputs
    deaths: Deaths
    chronicle: Chronicle
    log: EventLog


class Adoption:
    """What becomes of a ledger."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def begin(self, ledger: Ledger, config: Config) -> None:
        """Take over all that is on record, as if nothing had been, under the tasks of `config`."""
        for key, generation in list(ledger.intents.items()):
            self._complete(ledger, key, generation, config)
        tasks = {name: self._task(config, name, ledger) for name, _ in ledger.rows}
        floor_s = config.settings.restart_floor_s
        known = {key: restored(row, tasks[key[0]], floor_s) for key, row in ledger.rows.items()}
        rows = {key: _settled(row) for key, row in known.items()}
        self._parts.supervisor.take_over(replace(config, tasks=tasks), rows)
        self._parts.chronicle.begin(ledger.rows)
        for key, row in rows.items():
            if row.pid is not None:
                self._settle(key, row, ledger.rows[key])
        for key in rows:  # when everybody who shares a file is known
            self._parts.outputs.files.resume(self._parts.outputs.wiring(key))
        for key, row in known.items():
            if row.spawning or key in ledger.intents:
                self._start(key, rows)

    def _complete(self, ledger: Ledger, key: Key, generation: int, config: Config) -> None:
        """It was about to be spawned: put on record that it was, where it was. Who leads a session and was given these
        variables is it.
        """
        name, n = key
        marks = {f"TASKMASTER_TASK={name}", f"TASKMASTER_N={n}", f"TASKMASTER_GENERATION={generation}"}
        pid = procfs.leader_with(marks)
        if pid is None:
            return
        task = config.tasks.get(name) or remnant(name)
        now = self._parts.loop.now
        row = restored(ledger.rows[key], task, 0.0) if key in ledger.rows else Process(task, n, now)
        row = replace(row, state=State.STARTED, pid=pid, since=now, spawned_at=now)
        identity = identify(pid)
        ledger.rows[key] = saved(row, generation, identity.start, identity.number, procfs.pipes(pid))
        del ledger.intents[key]

    @staticmethod
    def _task(config: Config, name: str, ledger: Ledger) -> Task:
        """What the processes of a task are to be kept by; `instances` as there were."""
        numbers = [n for task, n in ledger.rows if task == name]
        return replace(config.tasks.get(name) or remnant(name), instances=max(numbers))

    def _settle(self, key: Key, row: Process, known: Saved) -> None:
        """Go on with a process that lives, or hear of its end."""
        assert row.pid is not None
        fd, status = _find(known)
        if fd is None:
            self._log(Level.WARNING, row, f"pid {row.pid} is gone: {status}, {ORPHANED}")
            left = reap.group_exists(row.pid)  # without one there is no reason to look at all processes
            if not (left and procfs.group_is(row.pid, f"TASKMASTER_INSTANCE={row.name}")):
                self._parts.machine.disown(row.pid)
            self._parts.supervisor.reaped(row.pid, status, ORPHANED)
            return
        self._parts.machine.adopt(row.pid, fd)
        lost = self._go_on_hearing(key, row, known)
        self._parts.loop.watch(fd, partial(self._ended, row.pid, fd), Rank.DEATH)
        self._log(Level.INFO, row, f"pid {row.pid} is taken over{lost}")

    def _go_on_hearing(self, key: Key, row: Process, known: Saved) -> str:
        """Have its output again; what is to be said where some of it cannot be had."""
        assert row.pid is not None
        outputs, start = self._parts.outputs, launch(row.task, row.n, {})
        found = procfs.open_pipes(row.pid, set(known.pipes.values()))
        wiring = Wiring(policy=start.logs, instance=row.name, adopted=True)
        troubles = []
        for name, inode in known.pipes.items():
            tail = partial(outputs.memory.tail, key, name)
            target = start.targets.get(name)
            if inode not in found:
                troubles.append(f"it has closed its {name}")
                continue
            try:
                wiring.add(name, target, outputs.files, tail, found[inode])
            except OSError as error:
                troubles.append(
                    f"{target} cannot be opened ({os.strerror(error.errno or 0)}): its {name} is kept in memory"
                )
                wiring.add(name, None, outputs.files, tail, found[inode])
        outputs.attach(key, wiring, row.pid)
        return "".join(f"; {each}" for each in troubles)

    def _ended(self, pid: int, fd: int) -> None:
        """One that was taken over has ended."""
        self._parts.loop.unwatch(fd)
        self._parts.deaths.ended(pid, pidfd.exit_status(fd) or UNKNOWN)

    def _start(self, key: Key, rows: Mapping[Key, Process]) -> None:
        """It was about to be started, and was not: it is on record nowhere."""
        if key in rows and rows[key].at_rest:
            self._parts.supervisor.ask(key, Event.START, by="an earlier daemon")

    def _log(self, level: Level, row: Process, text: str) -> None:
        self._parts.log.write(level, row.name, "adopt", text)


def _settled(row: Process) -> Process:
    """A row as the table has it: one that was being spawned, and has no process, is so again: by its deadline where
    that had come, else it rests until it is asked for.
    """
    if not row.spawning:
        return row
    if row.auto_started_at == row.since:
        return replace(row, state=State.BACKOFF, restarts=row.restarts - 1)
    return replace(row, state=State.STOPPED)


def _find(known: Saved) -> tuple[int | None, ExitStatus]:
    """A pidfd of the process on record, where it lives; else how it ended."""
    assert known.pid is not None
    with suppress(OSError):
        fd = pidfd.open_pidfd(known.pid)
        number = pidfd.identity(fd)
        began = known.start is not None and pidfd.start_time(known.pid) == known.start
        if number == known.identity if number else began:
            if not pidfd.ended(fd):
                return fd, UNKNOWN
            status = pidfd.exit_status(fd) or UNKNOWN
            os.close(fd)
            return None, status
        os.close(fd)
    return None, UNKNOWN
