"""Which instances have a terminal (`tty`), and who is attached to one.

Guarantees: a terminal is kept by the guardian with all that belongs to it, so that whoever takes its process over takes
it over as well; one whose process nobody has taken over is given up; a daemon none of whose tasks asks for a terminal
imports nothing for it.
Leaves to others: the terminal itself (`edge.terminal`), and who looks on (`daemon.attaching`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tm.core import flow
from tm.core.process import Occurrence, Process, Send
from tm.daemon.adoption import Parties
from tm.daemon.answers import Answer, NoSuchTask, Outcome, failed
from tm.daemon.failures import NoTerminal
from tm.daemon.onlooker import Onlooker
from tm.daemon.succession import TERMINAL, Estate
from tm.daemon.wiring import Wiring, piped
from tm.edge.pipes import Pipe, pipe

if TYPE_CHECKING:
    from tm.daemon.attaching import Attached, Attachments


class Terminals:
    """Of one daemon. `rows` finds processes by what was typed."""

    def __init__(self, parties: Parties, estate: Estate, rows: Callable[[tuple[str, ...]], list[Process]]) -> None:
        self._parties = parties
        self._rows = rows
        self._ward = estate.ward
        self._left = {name: fd for name, fd in estate.left.kept.items() if name.startswith(f"{TERMINAL}:")}
        self._attachments: Attachments | None = None
        parties.outputs.ends = self._ends

    def taken_over(self) -> None:
        """What is left now is of nobody."""
        left, self._left = self._left, {}
        for fd in left.values():
            self._ward.drop(fd)
            os.close(fd)

    def attach(self, words: tuple[str, ...], by: str, last: int | None, onlooker: Onlooker) -> Answer | Attached:
        """Let somebody look on, and type; why not. `last`: with how many of the last lines he begins; None: only with
        what nobody has been shown yet.
        """
        try:
            rows = self._rows(words)
        except NoSuchTask as error:
            return failed(str(error), Outcome.NO_SUCH_TASK)
        if len(rows) != 1:
            names = ", ".join(row.name for row in rows[:10]) + (", ..." if len(rows) > 10 else "")
            text = f"'{words[0]}' means {len(rows)} processes, and attach takes one: {names}"
            return failed(text, Outcome.USAGE)
        if self._attachments is None:
            from tm.daemon.attaching import Attachments

            self._attachments = Attachments(self._parties.outputs, self._parties.log)
        return self._attachments.attach(rows[0], by, last, onlooker)

    def observe(self, before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the supervisor."""
        if self._attachments is not None:
            self._attachments.observe(before, what, after)

    def resized(self, signum: int) -> None:
        """The terminal of the daemon has another size, and so shall those of its tasks; without one they get the
        signal.
        """
        size = _own_size()
        for row in self._parties.supervisor.rows.values():
            terminal = self._parties.outputs.wiring((row.task.name, row.n)).terminal
            if terminal is None or row.pid is None:
                continue
            if size is not None:
                terminal.resize(size.lines, size.columns)
            else:
                self._parties.machine.send(row.task, row.pid, signum)

    def _ends(self, wiring: Wiring, held: int) -> tuple[flow.Pipe, int]:
        """Pipes for all but those that have a terminal, or had one under an earlier daemon."""
        if held >= 0:
            return self._taken_over(wiring, held)
        if not wiring.tty:
            return piped(wiring, held)
        if not sys.platform.startswith("linux"):
            raise NoTerminal(0, "only on Linux")
        from tm.edge import terminal

        try:
            ours, theirs = terminal.pair()
        except OSError as error:
            raise NoTerminal(error.errno, error.strerror) from None
        try:
            read, way = pipe()
        except OSError:
            os.close(ours)
            os.close(theirs)
            raise
        return self._terminal(wiring, ours, read, way), theirs

    def _taken_over(self, wiring: Wiring, held: int) -> tuple[flow.Pipe, int]:
        inode = os.fstat(held).st_ino
        ours = self._left.pop(f"{TERMINAL}:{inode}:terminal", None)
        way = self._left.pop(f"{TERMINAL}:{inode}:way", None)
        if ours is None or way is None:
            for fd in filter(None, (ours, way)):
                self._ward.drop(fd)
                os.close(fd)
            return piped(wiring, held)
        return self._terminal(wiring, ours, held, way), -1

    def _terminal(self, wiring: Wiring, ours: int, read: int, way: int) -> flow.Pipe:
        from tm.edge.terminal import Terminal

        os.set_blocking(way, False)
        outputs = self._parties.outputs
        wiring.terminal = Terminal(self._parties.loop, ours, Pipe(read), way)
        wiring.terminal.on_close = lambda fd: outputs.on_close(fd)
        return wiring.terminal


def _own_size() -> os.terminal_size | None:
    for fd in (0, 1, 2):
        try:
            return os.get_terminal_size(fd)
        except OSError:
            continue
    return None
