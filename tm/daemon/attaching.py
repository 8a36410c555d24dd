"""Who is attached to the terminal of a process: what it shows goes to all of them, what any of them types goes to it.

Guarantees: an onlooker begins with the last lines, made safe to show, since what they asked a terminal then it shall
not answer now; then every byte comes as it is, once; the end of the process is told, and is the end of the attachment.
The size is what was asked for last.
Leaves to others: an onlooker who is slow (he is told everything, and has to lose what is too much for him).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tm.core.lines import decoded, printable
from tm.core.log_search import Held, Search
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.daemon.answers import Answer, failed
from tm.daemon.log_sources import key_of, sources
from tm.daemon.onlooker import Onlooker
from tm.daemon.outputs import Outputs
from tm.daemon.wiring import Key
from tm.edge.eventlog import EventLog
from tm.edge.logfile import Log
from tm.edge.terminal import Terminal

_FIRST_BYTES = 64 * 1024


class Attached:
    """One onlooker at one terminal. `name`: of the process; `first`: what he begins with."""

    def __init__(self, terminal: Terminal, name: str, first: bytes, onlooker: Onlooker) -> None:
        self.name = name
        self.first = first
        self.onlooker = onlooker
        self._terminal = terminal
        terminal.taps.append(onlooker.show)
        self.on_end: Callable[[], None] = lambda: None

    def type(self, data: bytes) -> bool:
        """Let the process read it; False where it has left too much unread, and nothing was typed."""
        return self._terminal.type(data)

    def resize(self, rows: int, columns: int) -> None:
        """Let the terminal have this size, and the process draw anew."""
        self._terminal.resize(rows, columns)

    def end(self) -> None:
        """Look on no more."""
        if self.onlooker.show in self._terminal.taps:
            self._terminal.taps.remove(self.onlooker.show)
        self.on_end()


class Attachments:
    """All of them."""

    def __init__(self, outputs: Outputs, log: EventLog) -> None:
        self._outputs = outputs
        self._log = log
        self._attached: dict[Key, list[Attached]] = {}

    def attach(self, row: Process, by: str, last: int | None, onlooker: Onlooker) -> Answer | Attached:
        """As `Terminals.attach` says, for one process."""
        key = key_of(row)
        if row.pid is None:
            return failed(f"Process '{row.name}' is not running; type: start {row.name}")
        terminal = self._outputs.wiring(key).terminal
        if terminal is None or terminal.ended:
            without = "has closed its terminal" if row.task.tty else "has no terminal (`tty: true`)"
            return failed(f"Process '{row.name}' {without}; type: logs -f {row.name}")
        first = terminal.seen() if last is None else self._last_lines(row, last) + terminal.seen()
        attached = Attached(terminal, row.name, first, onlooker)
        self._attached.setdefault(key, []).append(attached)
        attached.on_end = partial(self._forget, key, attached, by)
        self._log.write(Level.INFO, row.name, "attach", f"attached: {by}")
        return attached

    def observe(self, before: Process, what: Occurrence, after: Process) -> None:
        """What a change of a row means to onlookers."""
        if before.pid is None or after.pid is not None:
            return
        how = "" if what.status is None else f": {what.status}"
        for each in self._attached.pop(key_of(before), ()):
            each.end()
            each.onlooker.ended(f"Process '{before.name}' has ended{how}")

    def _forget(self, key: Key, attached: Attached, by: str) -> None:
        everybody = self._attached.get(key, [])
        if attached in everybody:
            everybody.remove(attached)
            self._log.write(Level.INFO, attached.name, "attach", f"detached: {by}")

    def _last_lines(self, row: Process, count: int) -> bytes:
        """The last lines, an unfinished one without a line end; nothing where they cannot be read."""
        (source,) = sources(self._outputs, [row], ["stdout"])
        try:
            log = source.open()
        except OSError:
            return b""
        try:
            return _shown(log, count)
        finally:
            log.close()


def _shown(log: Log | Held, count: int) -> bytes:
    search = Search(log, count, room=_FIRST_BYTES)
    while search.step():
        pass
    kept = (line.rstrip(b"\r").rpartition(b"\r")[2] for line in search.found)  # what came before is written over
    text = "\r\n".join(printable(decoded(line)) for line in kept)
    return (text if search.ends_open or not text else f"{text}\r\n").encode()
