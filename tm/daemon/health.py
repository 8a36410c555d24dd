"""Which processes are probed: those that have to become ready, and those that have to stay well.

Guarantees: a probe begins with its process, ends with it, and is of that one alone; a task without probes costs
nothing. A daemon that takes over begins its probes anew, and what was RUNNING stays RUNNING. A reload that changes
`liveness` ends the probe there is and begins the other.
Leaves to others: asking (`daemon.probes`, which is loaded when there is something to ask), and what follows from an
answer (`core.transitions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tm.core.effects import Send
from tm.core.exitstatus import ExitStatus
from tm.core.launch import waits_for_word
from tm.core.once import Once
from tm.core.probe import EXEC, UNSAID, Probe, late
from tm.core.process import Occurrence, Process
from tm.daemon.adoption import Parties
from tm.daemon.wiring import Key

if TYPE_CHECKING:
    from tm.daemon.probes import Asking

READINESS, LIVENESS = "readiness", "liveness"


class Health:
    """The probes of all processes. `marks`: the variables that tell that something is of this daemon's."""

    def __init__(self, parties: Parties, marks: Callable[[], Mapping[str, str]]) -> None:
        self._parties = parties
        self._marks = marks
        self._asked: dict[tuple[Key, str], tuple[int, Probe, Asking]] = {}
        self._alone = False
        self._soon = Once(parties.loop.soon, self._settle_all)
        parties.supervisor.why_late = self.why_late

    def observe(self, before: Process, _what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the supervisor."""
        for task in (before.task, after.task):
            if task.readiness or task.liveness:
                self._settle(after)
                return

    def look_again(self) -> None:
        """The processes, or what is wanted of them, are others than they were: see what is to be asked, soon."""
        self._soon.ask()

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child that is no process of a task has ended: perhaps a command that asks."""
        for _, _, asking in list(self._asked.values()):
            asking.reaped(pid, status)

    def why_late(self, row: Process) -> str:
        """The fault of a process that is not ready in time."""
        asked = self._asked.get(((row.task.name, row.n), READINESS))
        said = UNSAID if waits_for_word(row.task) else ""
        return late(row.task.successful_start_timeout_s, asked[2].last if asked else said)

    def last(self, row: Process) -> str:
        """Why it is not ready yet, or what was wrong with it when it was asked last; or ''."""
        asked = [self._asked.get(((row.task.name, row.n), word)) for word in (READINESS, LIVENESS)]
        return next((each[2].last for each in asked if each is not None), "")

    def end(self) -> None:
        """The daemon leaves: nothing of a question may be left behind."""
        for place in list(self._asked):
            self._stop(place)

    def _settle_all(self) -> None:
        rows = self._parties.supervisor.rows
        for key in {key for key, _ in self._asked} - rows.keys():
            self._stop((key, READINESS))
            self._stop((key, LIVENESS))
        for row in list(rows.values()):
            self._settle(row)

    def _settle(self, row: Process) -> None:
        """Let be asked what is to be, and nothing else."""
        for word, probe in _wanted(row):
            place = (row.task.name, row.n), word
            asked = self._asked.get(place)
            if asked is not None and (row.pid, probe) != asked[:2]:
                self._stop(place)
            if probe is not None and row.pid is not None and place not in self._asked:
                self._asked[place] = row.pid, probe, self._begin(row, row.pid, word, probe)

    def _begin(self, row: Process, pid: int, word: str, probe: Probe) -> Asking:
        from tm.daemon import probes  # what few use

        if probe.kind == EXEC and not self._alone:
            self._alone = True
            probes.end_what_was_left(self._marks())
        supervisor, log, key = self._parties.supervisor, self._parties.log, (row.task.name, row.n)
        inherits = supervisor.config.settings.inherit_environment
        subject = probes.Subject(
            row,
            word,
            probe,
            supervisor.environ if inherits else {},
            self._marks(),
            partial(supervisor.found, pid),
            lambda level, text: log.write(level, supervisor.rows.get(key, row).name, word, text),
        )
        return probes.begin(self._parties.loop, self._parties.outputs, subject)

    def _stop(self, place: tuple[Key, str]) -> None:
        if (asked := self._asked.pop(place, None)) is not None:
            asked[2].stop()


def _wanted(row: Process) -> Iterator[tuple[str, Probe | None]]:
    """Which probes it has to have now."""
    lives = row.pid is not None and not row.stopping
    starts = lives and not row.running
    yield READINESS, row.task.readiness if starts and not waits_for_word(row.task) else None
    yield LIVENESS, row.task.liveness if lives and not (starts and row.task.readiness) else None
