"""Becoming the version that is installed now: how it is tried out, what goes along, and going on with that.

Guarantees: what is tried out is what is run then, by the same command line, up to where it would begin to serve; the
trial touches nothing. What goes along is what crash and restart keep, and beside it what only a daemon's memory has:
its clients with what they have going, the tails of output that goes to no file, and the latest events. What of that the
new version cannot read is left: clients are hung up on then, and come again.
Leaves to others: the order of things (`daemon.upgrade`).
"""

from __future__ import annotations

import importlib
import os
import pickle
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import tm
from tm.cli import guarding
from tm.cli.forms import DONE, Form
from tm.cli.opening import Opened
from tm.core.records import Level, Record
from tm.daemon import role
from tm.daemon.history import Change
from tm.daemon.reading import Reading
from tm.daemon.service import Service
from tm.daemon.ward import Inheritance
from tm.daemon.wiring import Key
from tm.edge import hall, version
from tm.edge.trial import begin
from tm.faces.hub import Client, Hub


class Memory(NamedTuple):
    """What only a daemon's memory has. `tails`: whose, which stream, what it holds, how much it ever took."""

    version: str
    by: str
    clients: list[Client]
    tails: list[tuple[Key, str, bytes, int]]
    records: list[Record]
    changes: dict[Key, Change]


def arrange(opened: Opened, service: Service, hub: Hub | None) -> None:
    """Let the service be upgraded when somebody asks for it, and go on with what the one before knew."""
    trial = _Trial(opened)
    service.upgrade.cannot = partial(_cannot, opened, service)
    service.upgrade.try_out = trial.begin
    service.upgrade.hand_over = partial(_hand_over, opened, service, hub, trial)
    given = opened.parts.estate.left.memory
    if given is None:
        return
    memory = guarding.unpickled(given, Memory)
    os.close(given)
    if memory is not None:
        _recall(opened, service, memory)
        service.on_adopted = partial(_go_on, opened, service, hub, memory)


def _cannot(opened: Opened, service: Service) -> str:
    """Why this daemon cannot be replaced while it runs, and what to do instead; or ''."""
    if service.control.leaving:
        return "taskmaster is leaving"
    if opened.form is Form.SHELL:
        return "with a prompt it is not replaced while it runs; type: shutdown --keep, and start the new version"
    if not opened.parts.estate.ward.guarded:
        return "it has no guardian; type: shutdown --keep, and start the new version"
    lacking = service.succession.lacking()
    return f"{lacking}; the new version could not take the processes over" if lacking else ""


# ---- the trial


class _Trial:
    """One version after another, tried out. `code`: that of the latest."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.code: int | None = None

    def begin(self) -> tuple[int, int]:
        """Start it; its pid, and a pipe with what it says. Raises OSError."""
        if self.code is not None:
            os.close(self.code)
        self.code = hall.in_memory(b"")
        kept = {name: fd for name, fd in self._opened.parts.estate.ward.kept.items() if name == guarding.LOADED}
        state = _state(self._opened, kept) | {"hall": None, "trial": self.code}
        given = hall.write_state(state)
        try:
            argv = guarding.argv(self._opened.where)
            return begin(argv, {**os.environ, hall.VARIABLE: str(given)}, [given, self.code, *kept.values()])
        finally:
            os.close(given)


def try_out(left: Inheritance, read: Callable[[str], Reading]) -> int:
    """In the trial: do everything but serve. Raises what keeps this version from starting."""
    assert left.trial is not None
    for name in version.modules():
        importlib.import_module(name)
    place = guarding.where(left)
    if guarding.loaded(left) is None:
        read(place.configuration)
    version.write(left.trial)
    return DONE


# ---- the exec


def _state(opened: Opened, kept: dict[str, int]) -> dict[str, Any]:
    where = asdict(opened.where)
    guardian = opened.parts.estate.ward.guardian
    return {"where": where, "guardian": guardian, "kept": kept, "exits": {}, "stopping": "", "why": ""}


def _hand_over(opened: Opened, service: Service, hub: Hub | None, trial: _Trial, by: str) -> str:
    """Become the new version; why not, where that could not be."""
    ward, clients = opened.parts.estate.ward, [] if hub is None else hub.leave()
    known = pickle.dumps(_memory(opened, service, clients, by), pickle.HIGHEST_PROTOCOL)
    if not ward.tell(hall.Word.TRYING):
        ward.tell(hall.Word.READY)
        return "its guardian does not listen"
    going: list[int] = []
    argv = guarding.argv(opened.where)
    try:
        going.append(hall.in_memory(known))
        code = {} if trial.code is None else {guarding.NEXT: trial.code}
        state = _state(opened, {**ward.kept, **code}) | {"hall": ward.fileno(), "memory": going[0]}
        going.append(hall.write_state(state))
        lasting = (ward.fileno(), *ward.kept.values(), *code.values(), *(each.left.fd for each in clients))
        with role.handed_on((*going, *lasting)):
            os.execve(argv[0], argv, {**os.environ, hall.VARIABLE: str(going[-1])})
    except OSError as error:
        for fd in going:
            os.close(fd)
        ward.tell(hall.Word.READY)
        return f"{argv[0]} cannot be run: {os.strerror(error.errno or 0)}"


def _memory(opened: Opened, service: Service, clients: list[Client], by: str) -> Memory:
    tails = service.outputs.memory.all()
    return Memory(tm.__version__, by, clients, tails, list(opened.parts.log.records), service.control.history.last)


# ---- in the new version


def _recall(opened: Opened, service: Service, memory: Memory) -> None:
    """Know again what was said and what happened."""
    for key, stream, data, taken in memory.tails:
        service.outputs.memory.put(key, stream, data, taken)
    opened.parts.log.records.extendleft(reversed(memory.records))
    service.control.history.last.update(memory.changes)


def _go_on(opened: Opened, service: Service, hub: Hub | None, memory: Memory) -> None:
    """Everything is taken over: say so, let the clients go on, and let the guardian have what is of this version."""
    went = f"from {memory.version}" if memory.version != tm.__version__ else "the same version"
    sentence = f"taskmaster {tm.__version__} goes on ({went}), asked for by {memory.by}"
    opened.parts.log.write(Level.INFO, "taskmaster", "upgrade", sentence)
    if hub is not None:
        hub.go_on(memory.clients)
    guarding.renew(opened.parts.estate.ward)
