"""`signal SIG SEL`: an operator's signal to processes."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from tm.core.commands import Command, UsageError
from tm.core.errors import did_you_mean
from tm.core.process import Process
from tm.core.records import Level
from tm.core.signal_names import signal_number
from tm.daemon.answers import Answer, Outcome
from tm.daemon.log_sources import key_of
from tm.daemon.supervisor import Supervisor
from tm.daemon.unkillable import unsent
from tm.edge.eventlog import EventLog


def signum_of(command: Command) -> int:
    """Which one is meant. Raises UsageError."""
    signum = signal_number(command.signal)
    if signum is None:
        hint = did_you_mean(command.signal, [each.name for each in signal.Signals])
        raise UsageError(f"No such signal: {command.signal[:80]}. {hint}".rstrip())
    return signum


def send(supervisor: Supervisor, log: EventLog, rows: Iterable[Process], command: Command, by: str) -> Answer:
    """Send it to all of them, on behalf of `by`. Raises UsageError."""
    signum = signum_of(command)
    missed = {}
    for row in rows:
        if supervisor.send(key_of(row), signum):
            log.write(Level.INFO, row.name, "signal", f"{command.signal} sent, by {by}")
        else:
            missed[row.name] = row
    idle = "Process '{}' is not running"
    lines = [unsent(row, signum) if row.pid else idle.format(row.name) for row in missed.values()]
    return Answer(lines, {"missed": list(missed)}, Outcome.FAILED if missed else Outcome.DONE)
