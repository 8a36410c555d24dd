"""A probe of one process: question after question, counted until they decide; or its output, listened to.

Guarantees: the next question is asked a period after the last one began, never before that one is over; on the
monotonic clock; what is decided is told once. A probe that is stopped leaves nothing behind and says nothing more.
Leaves to others: which processes are probed (`daemon.health`), and what follows from it (`core.transitions`).

A further way to ask is a further entry of `WAYS`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tm.core.exitstatus import ExitStatus
from tm.core.launch import launch
from tm.core.log_query import Sieve
from tm.core.probe import EXEC, HTTP, LOG, TCP, BadAddress, Probe, Tally, Target, http_target, tcp_address
from tm.core.process import Process
from tm.core.records import Level
from tm.core.timers import Instant, Timer
from tm.core.transitions import Event
from tm.daemon.line_watch import LineWatch
from tm.daemon.outputs import Outputs
from tm.daemon.questions import Call, Question, Run
from tm.daemon.wiring import Key
from tm.edge import procfs, reap
from tm.edge.loop import Callback, Loop

READINESS: Final = "readiness"
LIVENESS: Final = "liveness"


class Asking(Protocol):
    """A probe at work. `last`: why it was no success the last time, or ''."""

    @property
    def last(self) -> str: ...

    def stop(self) -> None:
        """No more of it."""

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """A child of the daemon's has ended, which is no process of a task."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is probed: a process, why, and how. `environ`: what its environment begins with; `marks`: the variables that
    tell that something is of this daemon's; `tell` hears what is decided, `note` what goes into the event log.
    """

    row: Process
    word: str
    probe: Probe
    environ: Mapping[str, str]
    marks: Mapping[str, str]
    tell: Callable[[Event, str], None]
    note: Callable[[Level, str], None]

    @property
    def key(self) -> Key:
        """Which instance it is."""
        return self.row.task.name, self.row.n

    @property
    def fill(self) -> tuple[str, str, int]:
        """What the slots of a template mean for it."""
        return self.row.task.name, self.row.name, self.row.n


class Prober:
    """Asks one process again and again."""

    def __init__(self, loop: Loop, subject: Subject, ask: Callable[[Prober], Question]) -> None:
        self._loop = loop
        self._subject = subject
        self._ask = ask
        self._tally = Tally(subject.probe.successes, subject.probe.failures)
        self._question: Question | None = None
        self._began = loop.now
        self._stopped = False
        probe = subject.probe
        first_s = probe.delay_s if subject.word == READINESS else probe.delay_s + probe.period_s
        self._timer: Timer[Callback] = loop.call_in(first_s, self._next)

    @property
    def last(self) -> str:
        """Why the last question had no success, or ''."""
        return self._tally.last

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        self._loop.cancel(self._timer)
        if self._question is not None:
            self._question.stop()

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """Perhaps a command that asks."""
        if self._question is not None:
            self._question.reaped(pid, status)

    def answered(self, why: str) -> None:
        """An answer; '' is a success."""
        if self._stopped:
            return
        before, subject = self._tally.bad, self._subject
        decided = self._tally.failed(why) if why else self._tally.passed()
        if subject.word == LIVENESS:
            self._note(before, why)
        if decided and why:
            subject.tell(Event.UNHEALTHY, self._sentence(why))
        elif decided and subject.word == READINESS:
            subject.tell(Event.READY, "")

    def unasked(self, why: str) -> None:
        """It could not be asked, which says nothing of it."""
        if not self._stopped:
            self._subject.note(Level.WARNING, f"could not be asked: {why}")

    def over(self) -> None:
        """The question is; the next one has its time."""
        self._question = None
        if not self._stopped:
            due = Instant(max(self._loop.now, self._began + self._subject.probe.period_s))
            self._timer = self._loop.call_at(due, self._next)

    def _next(self) -> None:
        self._began = self._loop.now
        self._question = self._ask(self)
        self._question.begin()

    def _note(self, before: int, why: str) -> None:
        """That something is wrong, or is well again."""
        if why:
            self._subject.note(Level.WARNING, f"failure {self._tally.bad} of {self._subject.probe.failures}: {why}")
        elif before and not self._tally.bad:
            self._subject.note(Level.INFO, f"well again after {before} failure(s)")

    def _sentence(self, why: str) -> str:
        """What is wrong with the process."""
        count = self._subject.probe.failures
        what = "liveness" if self._subject.word == LIVENESS else "not ready"
        return f"{what}: {count} failures in a row, the last: {why}" if count > 1 else f"{what}: {why}"


class _Nobody:
    """A question that cannot be asked, since there is no such address."""

    def __init__(self, asker: Prober, why: str) -> None:
        self._asker = asker
        self._why = why

    def begin(self) -> None:
        """That is the answer."""
        self._asker.answered(self._why)
        self._asker.over()

    def stop(self) -> None:
        """Nothing was begun."""

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """Nothing was begun."""


def _over_a_connection(loop: Loop, _outputs: Outputs, subject: Subject) -> Asking:
    probe = subject.probe
    assert probe.address is not None
    text = probe.address.fill(*subject.fill)
    try:
        target = http_target(text, probe.path) if probe.kind == HTTP else Target(tcp_address(text), "")
    except BadAddress as error:
        why = f"{error.why}; {error.hint}" if error.hint else error.why
        return Prober(loop, subject, lambda asker: _Nobody(asker, why))
    return Prober(loop, subject, lambda asker: Call(loop, asker, probe, target))


def _by_a_command(loop: Loop, _outputs: Outputs, subject: Subject) -> Asking:
    words = tuple(word.fill(*subject.fill) for word in subject.probe.words)
    mark = {"TASKMASTER_PROBE": subject.word}

    def ask(asker: Prober) -> Question:
        made = launch(subject.row.task, subject.row.n, subject.environ)
        made = replace(made, argv=words, environment={**made.environment, **subject.marks, **mark})
        return Run(loop, asker, made, subject.probe.timeout_s)

    return Prober(loop, subject, ask)


def end_what_was_left(marks: Mapping[str, str]) -> None:
    """The commands by which a daemon that died was just asking: nobody waits for them any more."""
    words = {f"{name}={value}" for name, value in marks.items()}
    for pid, variables in procfs.leaders_with(words).items() if marks else ():
        if "TASKMASTER_PROBE" in variables and procfs.group_is(pid, words):
            reap.send(pid, signal.SIGKILL, group=True)


def _by_its_output(_loop: Loop, outputs: Outputs, subject: Subject) -> Asking:
    return LineWatch(outputs, subject.key, Sieve(subject.probe.pattern), lambda: subject.tell(Event.READY, ""))


WAYS: Final[Mapping[str, Callable[[Loop, Outputs, Subject], Asking]]] = {
    EXEC: _by_a_command,
    HTTP: _over_a_connection,
    TCP: _over_a_connection,
    LOG: _by_its_output,
}
"""How a process is asked, by the kind of the probe."""


def begin(loop: Loop, outputs: Outputs, subject: Subject) -> Asking:
    """Begin to probe."""
    return WAYS[subject.probe.kind](loop, outputs, subject)
