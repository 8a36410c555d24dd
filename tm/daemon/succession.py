"""What a daemon has from the one before, and what it leaves to the next: the journal, the guardian, and taking over.

Guarantees: what is needed to go on after a death at any instant is on record, or with the guardian, before it is; a
daemon that was told to leave goes on leaving after its death where there is a guardian, since nobody else has asked for
anything meanwhile. Where a person has started the next one he wants it up.
Leaves to others: the lines (`daemon.chronicle`), the hall (`daemon.ward`), the processes (`daemon.adoption`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from tm.core.config import Config
from tm.core.effects import Send
from tm.core.exitstatus import UNKNOWN
from tm.core.journal import Head, Ledger
from tm.core.once import Once
from tm.core.process import Occurrence, Process
from tm.core.records import Level
from tm.daemon.adoption import Adoption, Parties
from tm.daemon.chronicle import Chronicle
from tm.daemon.listening import Listening
from tm.daemon.room import for_pidfds, has_spare
from tm.daemon.ward import Inheritance, PipeName, Ward
from tm.daemon.wiring import Key, Wiring
from tm.edge import pidfd, procfs
from tm.edge.hall import Word
from tm.edge.journal import Journal
from tm.edge.loop import SOON_S
from tm.edge.slots import Slots

_AGAIN_S = 5.0
TERMINAL = "terminal"
"""What the names begin with by which terminals are kept."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What outlives a daemon: its journal, what that held of the one before, whose turn it is at each log; its
    guardian, and what that has kept of the one before.
    """

    journal: Journal | None = None
    ledger: Ledger = field(default_factory=Ledger)
    slots: Slots | None = None
    ward: Ward = field(default_factory=lambda: Ward(None, {}))
    left: Inheritance = field(default_factory=Inheritance)

    def beside(self, name: str) -> str:
        """The path of another file of the state directory; '' where there is none."""
        return "" if self.journal is None else os.path.join(os.path.dirname(self.journal.path), name)


class Succession:
    """Of one daemon. `by`: on whose behalf it leaves, '' while it does not."""

    def __init__(self, estate: Estate, parties: Parties, place: str, say: Callable[[str], None]) -> None:
        """`place` is the configuration's path; `say` hears what went wrong."""
        head = Head(procfs.boot_id(), procfs.pid_namespace(), place)
        self._estate, self._parties = estate, parties
        self._chronicle = Chronicle(estate.journal, head, lambda key: parties.outputs.wiring(key).pipes(), say)
        self.by = ""
        self._unheard: dict[Key, int] = {}
        self._soon = Once(partial(parties.loop.call_in, SOON_S), self._complete)
        self._listen_on = Once(partial(parties.loop.call_in, _AGAIN_S), self._listen_again)
        parties.machine.intend = self._chronicle.intend
        parties.machine.marks = self._chronicle.marks
        parties.machine.keep = self._keep
        self._listening = Listening(parties.supervisor, estate.ward, estate.left.kept)
        parties.machine.listen = self._listening.open
        parties.deaths.on_end = self._chronicle.ended
        parties.outputs.on_close = estate.ward.drop
        estate.ward.on_exited = parties.deaths.ended

    @property
    def pid(self) -> int:
        """The pid that people signal: the guardian's where there is one."""
        return self._estate.ward.guardian

    @property
    def ordered_to_leave(self) -> str:
        """On whose behalf the daemon before was leaving, with what we have to go on; '' for no."""
        return self._estate.left.stopping

    @property
    def was_leaving(self) -> bool:
        """Whether the one before was leaving, and a person has started this one."""
        return bool(self._estate.ledger.stopping) and not self.ordered_to_leave

    @property
    def ours(self) -> dict[str, str]:
        """The variable by which processes of this state directory are known; nothing where none outlives its daemon."""
        return self._chronicle.ours

    def take_over(self, config: Config, others: Collection[int]) -> None:
        """Take over everything that the one before has left, under the tasks of `config`; `others`: pids that are no
        processes of tasks.
        """
        estate = self._estate
        estate.ledger.pids.update(others)
        if estate.left.why:
            sentence = f"the daemon before {estate.left.why}; this one takes over"
            self._parties.log.write(Level.WARNING, "taskmaster", "guardian", sentence)
        estate.ward.open(self._parties.loop)
        adoption = Adoption(self._parties, self._chronicle, estate.ward, estate.ledger, estate.left)
        adoption.begin(config)
        self._unheard.update(adoption.unheard)
        if self._unheard:
            self._listen_on.ask()

    def observe(self, before: Process, what: Occurrence, after: Process, sent: Sequence[Send]) -> None:
        """An observer of the rows."""
        self._chronicle.observe(before, what, after, sent)
        if self._chronicle.lately:
            self._soon.ask()
        self._listening.observe(before, what, after, sent)

    def _complete(self) -> None:
        self._chronicle.complete()
        if self._chronicle.lately:
            self._soon.ask()

    def dropped(self, row: Process) -> None:
        """It is gone for good."""
        self._chronicle.dropped(row)

    def become_orphans(self) -> None:
        """The guardian has died, and we are about to leave our children to the next one: reach all of them by pidfds,
        and hear by those how the children of the dead one end. Raises OSError.
        """
        machine = self._parties.machine
        holds = for_pidfds(len(self._parties.supervisor.rows))
        for row in self._parties.supervisor.rows.values():
            if row.pid is None:
                continue
            if not machine.adopted(row.pid):
                fd = pidfd.open_pidfd(row.pid) if holds else None
                machine.adopt(row.pid, fd, self._chronicle.identity((row.task.name, row.n)))
            else:
                self._unheard[row.task.name, row.n] = row.pid
        if not self._hear():
            self._listen_on.ask()

    def _hear(self) -> bool:
        """Hear by a pidfd each how those end of whom nobody else tells, as far as there is room for that; whether all
        are heard now. Raises OSError.
        """
        rows = self._parties.supervisor.rows
        for key, pid in list(self._unheard.items()):
            if key not in rows or rows[key].pid != pid or self._is_heard(key, pid):
                del self._unheard[key]
        return not self._unheard

    def _listen_again(self) -> None:
        """Look for the others again and again."""
        heard = False
        with suppress(OSError):  # there is no descriptor to look with
            heard = self._hear()
        if not heard:
            self._listen_on.ask()

    def _is_heard(self, key: Key, pid: int) -> bool:
        """Whether it is from now on, or has ended. Raises OSError where that cannot be seen."""
        deaths, loop, identity = self._parties.deaths, self._parties.loop, self._chronicle.identity(key)
        if has_spare() and (fd := self._parties.machine.pidfd(pid)) is not None:
            deaths.hear(pid, fd)
            return True
        if pidfd.lives(pid, identity.start, identity.number):
            return False
        loop.first(partial(deaths.ended, pid, UNKNOWN))
        return True

    def booted(self) -> None:
        """The daemon is up."""
        self._listening.settle()
        self._estate.ward.tell(Word.READY)

    def leaving(self, by: str) -> None:
        """The shutdown begins on behalf of `by`."""
        self.by = by
        self._chronicle.leaving(by)
        self._estate.ward.tell(Word.STOPPING, by)

    def lacking(self) -> str:
        """Why the next daemon could not take over what runs, or ''."""
        return self._chronicle.lacking()

    def end(self) -> None:
        """The daemon leaves; where nothing outlives it nothing has to be known, or listened at."""
        if not self._chronicle.end():
            return
        self._listening.end()
        if self._estate.slots is not None:
            self._estate.slots.remove()

    def _keep(self, key: Key, wiring: Wiring) -> None:
        """Have the guardian keep the pipes of a start."""
        if self._estate.ward.lasting:
            generation = self._chronicle.generation(key)
            streams = wiring.streams.items()
            named = {str(PipeName(each.inode, name, key, generation)): each.fd for name, each in streams}
            if wiring.terminal is not None:
                inode = wiring.streams["stdout"].inode
                named |= {f"{TERMINAL}:{inode}:{what}": fd for what, fd in wiring.terminal.kept.items()}
            self._estate.ward.keep(named)
