"""The daemon's side of its guardian: what it has it keep, what it tells it and hears, and what is done when it dies.

Guarantees: nothing here waits for the guardian, also where that is stopped: what it does not take now it gets when it
does, with the descriptors as they are then; without a guardian nothing is kept and everything goes on.
Leaves to others: what is made of an inheritance (`daemon.adoption`, `cli.opening`), and the other side
(`daemon.guardian`).

A pipe is kept under a name that says whose it is, before its process is started: a process that has ended when the next
daemon comes has left nothing else that could tell.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from tm.core.exitstatus import ExitStatus
from tm.core.once import Once
from tm.daemon.wiring import Key
from tm.edge.hall import VARIABLE, Hall, Word, read_state
from tm.edge.loop import SOON_S, Loop, Rank

_PIPE = "pipe"
_AT_ONCE = 50


class PipeName(NamedTuple):
    """Whose pipe it is: the inode, the stream, and which start of which instance."""

    inode: int
    stream: str
    key: Key
    generation: int

    def __str__(self) -> str:
        """One word."""
        task, n = self.key
        return f"{_PIPE}:{self.inode}:{self.stream}:{n}:{self.generation}:{task.encode().hex()}"


def pipe_name(word: str) -> PipeName | None:
    """Read it again; None for the name of something else."""
    kind, *rest = word.split(":")
    if kind != _PIPE:
        return None
    inode, stream, n, generation, task = rest
    return PipeName(int(inode), stream, (bytes.fromhex(task).decode(), int(n)), int(generation))


class Ended(NamedTuple):
    """How a process that led a session ended, and when it had begun, in clock ticks since boot."""

    status: ExitStatus
    start: int


@dataclass(slots=True)
class Inheritance:
    """What an earlier daemon has left, beside what is on record. `kept`: descriptors by name; `exits`: how processes
    ended whose end is perhaps on record nowhere; `stopping`: on whose behalf that daemon was leaving, '' for no;
    `why`: what became of it. `hall`: the way to the guardian, `guardian` its pid; `where`: where everything is, in the
    words of who had it kept.
    """

    hall: socket.socket | None = None
    guardian: int = 0
    where: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    exits: dict[int, Ended] = field(default_factory=dict)
    stopping: str = ""
    why: str = ""
    trial: int | None = None
    """Nothing is to be taken over, but found out whether it could be; the file gets the version's code."""
    memory: int | None = None
    """A file with what a daemon knew beside that which was replaced in order."""

    def pipes(self) -> dict[PipeName, int]:
        """The pipes among what is kept."""
        named = ((pipe_name(word), fd) for word, fd in self.kept.items())
        return {name: fd for name, fd in named if name is not None}


def inherited(environ: dict[str, str] | os._Environ[str]) -> Inheritance:
    """What this process was given by an earlier daemon, by the variable that has it, which is gone then. Raises
    ValueError where that makes no sense.
    """
    try:
        return inheritance(read_state(int(environ.pop(VARIABLE))))
    except (OSError, ValueError, EOFError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the variable {VARIABLE} is taskmaster's own and not to be set by others") from error


def inheritance(state: dict[str, Any]) -> Inheritance:
    """What it says. Raises KeyError, TypeError and more where it makes no sense."""
    hall = None if state["hall"] is None else socket.socket(fileno=state["hall"])
    exits = {int(pid): Ended(ExitStatus.from_wait(how), start) for pid, (how, start) in state["exits"].items()}
    words = (state["stopping"], state["why"])
    left = Inheritance(hall, state["guardian"], state["where"], state["kept"], exits, *words)
    left.trial, left.memory = state.get("trial"), state.get("memory")
    return left


class Ward:
    """A daemon with a guardian, or without. `kept`: what the guardian is to have, by name; the descriptors belong to
    others. `on_exited` hears how a child of the guardian ended, `on_lost` that the guardian has died.

    `unmet`: how many in a row that took the place of another one have not begun. `lasting`: there is one, or there will
    be one again.

    The guardian's pid is told and never asked of the kernel: where it has died, our parent is somebody else.
    """

    def __init__(self, end: socket.socket | None, kept: Mapping[str, int], guardian: int = 0) -> None:
        """`end` is ours of the hall, which is the ward's from now on; `kept`: what it has already."""
        self.kept = dict(kept)
        self._names = {fd: name for name, fd in kept.items()}
        self._dropped: list[str] = []
        self._hall = None if end is None else Hall(end, self.kept)
        self.lasting = end is not None
        self._guardian = guardian
        self._loop: Loop | None = None
        self._soon: Once | None = None
        self._waits: bool | None = None
        self.on_exited: Callable[[int, ExitStatus], None] = lambda pid, status: None
        self.on_lost: Callable[[], None] = lambda: None
        self._met = False
        self.unmet = 0
        self._on_met: Callable[[], None] = lambda: None

    @property
    def guarded(self) -> bool:
        """Whether there is a guardian."""
        return self._hall is not None

    @property
    def guardian(self) -> int:
        """The pid that people signal: the guardian's, or our own."""
        return self._guardian if self.guarded else os.getpid()

    def fileno(self) -> int:
        """The descriptor of the hall. Only with a guardian."""
        assert self._hall is not None
        return self._hall.fileno()

    def meet(self, end: socket.socket, guardian: int) -> None:
        """There is another guardian, which has all that the one before had. `end` is the ward's from now on."""
        self._hall, self._guardian, self._waits = Hall(end, self.kept), guardian, None
        self.unmet += 1
        self._watch()

    def open(self, loop: Loop) -> None:
        """Hear it from now on."""
        self._loop, self._soon = loop, Once(partial(loop.call_in, SOON_S), self._say_dropped)
        self._watch()

    def gather(self) -> dict[int, Ended]:
        """How leaders of sessions have ended, by what the guardian has said and nobody has heard yet. It says so before
        it lets them go: whoever is found to be gone is among these, or was among the earlier ones.
        """
        found = {}
        with suppress(EOFError):
            while self._hall is not None and (message := self._hall.hear()) is not None:
                word, rest, _ = message
                if word == Word.HERE:
                    self._greeted()
                pid, status, *start = map(int, rest.split()) if word == Word.EXITED else (0, 0)
                if start:
                    found[pid] = Ended(ExitStatus.from_wait(status), *start)
        return found

    def when_met(self, then: Callable[[], None]) -> None:
        """Do `then` when who was started is the guardian, by the name that an init script looks for."""
        if self._met or not self.guarded:
            then()
        else:
            self._on_met = then

    def keep(self, fds: Mapping[str, int]) -> None:
        """Have these kept. One of a name that there is takes its place."""
        fresh = {name: fd for name, fd in fds.items() if self.kept.get(name) != fd}
        self.kept.update(fresh)
        self._names.update({fd: name for name, fd in fresh.items()})
        self._say(Word.KEEP, *fresh)

    def drop(self, fd: int) -> None:
        """It is about to be closed, which is said soon, of all together: a death has several, and a start is urgent."""
        if (name := self._names.pop(fd, None)) is not None:
            del self.kept[name]
            self._dropped.append(name)
            if self._soon is None:
                self._say_dropped()
            else:
                self._soon.ask()

    def _say_dropped(self) -> None:
        """Not of a name that means another one by now."""
        names, self._dropped = [name for name in self._dropped if name not in self.kept], []
        if names:
            self._say(Word.DROP, *names)

    def exchange(self, name: str, fd: int) -> None:
        """Have this kept under the name, and close what was; both are the ward's."""
        before = self.kept.get(name)
        self.keep({name: fd})
        if before is not None:
            self._names.pop(before, None)
            os.close(before)

    def discard(self, name: str) -> None:
        """Have nothing kept under the name, and close what was, which is the ward's."""
        if (fd := self.kept.get(name)) is not None:
            self.drop(fd)
            os.close(fd)

    def tell(self, word: str, rest: str = "") -> bool:
        """Say one of the words that take no descriptor, and what goes with it; whether the guardian has heard that, and
        all that came before.
        """
        self._say_dropped()
        self._say(word, *([rest] if rest else []))
        return self._hall is not None and not self._hall.owes

    def _say(self, word: str, *names: str) -> None:
        if self._hall is not None:
            self._hall.say(word, *names)
            self._watch()

    def _watch(self) -> None:
        """Hear it, and where something is owed also when it takes more."""
        if self._loop is not None and self._hall is not None and self._waits is not self._hall.owes:
            self._waits = self._hall.owes
            self._loop.watch(self._hall.fileno(), self._heard, Rank.DEATH, both=self._waits)

    def _heard(self) -> None:
        """What the guardian says."""
        for _ in range(_AT_ONCE):
            if self._hall is None:
                return
            try:
                message = self._hall.hear()
            except EOFError:
                self._lose()
                return
            if message is None:
                break
            word, rest, _ = message
            if word == Word.HERE:
                self._greeted()
            elif word == Word.EXITED:
                pid, status, *_ = map(int, rest.split())
                self.on_exited(pid, ExitStatus.from_wait(status))
                self.tell(Word.NOTED, str(pid))
        if self._hall is not None:
            self._hall.send()
            self._watch()

    def _greeted(self) -> None:
        self.unmet = 0
        if not self._met:
            self._met = True
            self._on_met()

    def _lose(self) -> None:
        assert self._hall is not None
        if self._loop is not None:
            self._loop.unwatch(self._hall.fileno())
        self._hall.close()
        self._hall = None
        self.on_lost()
