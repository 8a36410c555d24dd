"""What a daemon opens and holds before it serves: state, pidfile, socket, event log; and whose rights it keeps.

Guarantees: a second daemon is refused before it has changed anything. What somebody named and cannot be had is a
Refusal; a default is done without where the form can, and that is said. A daemon that follows another one by the same
guardian holds what that held, without an instant in which nobody did.
Leaves to others: who is the only one (`cli.locks`), which socket and who serves it (`cli.face`), the way into the
background (`edge.daemonize`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tm.cli.event_log import LOG, event_log
from tm.cli.face import group, listen
from tm.cli.forms import USAGE, Form, Refusal, reason
from tm.cli.locks import hold_pidfile, running, state_and_locks
from tm.core.config import Config
from tm.core.journal import Head, Ledger
from tm.core.records import Level
from tm.core.settings import Settings
from tm.core.syslog import SYSLOG
from tm.daemon.reading import Reading
from tm.daemon.reloading import Reloading
from tm.daemon.service import Parts
from tm.daemon.succession import Estate
from tm.daemon.ward import Inheritance, Ward
from tm.edge import procfs, spawn, wishes
from tm.edge.eventlog import EventLog
from tm.edge.journal import Journal
from tm.edge.pidfile import Held, Pidfile
from tm.edge.slots import Slots
from tm.edge.sockets import Listener

_STATE = "state"
_PIDFILE, _SOCKET = "pidfile", "socket"


@dataclass(frozen=True, slots=True)
class Where:
    """Where everything is, by whatever way it was found: what the next daemon opens, or holds already; and how it is
    started: the interpreter's `flags`, the `script` and its `arguments`, which are `options` by now.
    """

    flags: tuple[str, ...]
    script: str
    arguments: tuple[str, ...]
    options: dict[str, Any]
    configuration: str
    directory: str
    state: str
    locks: tuple[str, ...]
    pidfile: str | None
    socket: str | None
    socket_is_ours: bool
    log: str | None


@dataclass(frozen=True, slots=True)
class Opened:
    """What is held. `files`: locked with our pid in them; `ids`: whom to become; `given`: what then becomes theirs, the
    state directory or the log, each where it is ours to give.
    """

    parts: Parts
    form: Form
    where: Where
    files: tuple[Pidfile, ...]
    pidfile: Pidfile | None
    listener: Listener | None
    ids: spawn.Ids | None
    given: frozenset[str]
    held: ExitStack

    @property
    def history(self) -> str:
        """Where the shell keeps what was typed."""
        return os.path.join(self.where.state, "history")

    def sign(self, pid: int) -> None:
        """Write the pid that people signal, which is another one in the background. Raises OSError."""
        for each in self.files:
            each.write(str(pid), os.path.abspath(self.parts.reloading.config.path))
        if self.pidfile is not None:
            self.pidfile.write(str(pid))

    def descriptors(self) -> list[int]:
        """What has to stay open on the way into the background."""
        held = [*self.lasting().values(), self.parts.log.fileno()]
        return [*held, self.parts.estate.journal.fileno()] if self.parts.estate.journal is not None else held

    def lasting(self) -> dict[str, int]:
        """What goes on to the next daemon, by name."""
        lasting = {_lock(at): each.fileno() for at, each in enumerate(self.files)}
        if self.pidfile is not None:
            lasting[_PIDFILE] = self.pidfile.fileno()
        if self.listener is not None:
            lasting[_SOCKET] = self.listener.fileno()
        return lasting

    def lower(self) -> None:
        """Give up root, if somebody was named, and hand over what is to be written later. Raises OSError."""
        if self.ids is None:
            return
        whose = (self.ids.uid, self.ids.gid)
        if LOG in self.given:
            os.fchown(self.parts.log.fileno(), *whose)
        if _STATE in self.given:
            directory = os.open(self.where.state, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fchown(directory, *whose)
            os.close(directory)
        if self.parts.estate.journal is not None:
            os.fchown(self.parts.estate.journal.fileno(), *whose)
        if self.parts.estate.slots is not None:
            self.parts.estate.slots.give_to(*whose)
        if self.listener is not None:
            self.listener.give_to(*whose)
        spawn.become(self.ids)


def open_daemon(reading: Reading, read: Callable[[str], Reading], form: Form, options: dict[str, Any]) -> Opened:
    """Open and hold everything; `options` are those of the command line. Raises Refusal; nothing is held then."""
    held = ExitStack()
    try:
        return _open(reading, read, form, options, held)
    except Held as other:
        held.close()
        raise running(other, reading.config) from None
    except Refusal:
        held.close()
        raise


def _open(
    reading: Reading, read: Callable[[str], Reading], form: Form, options: dict[str, Any], held: ExitStack
) -> Opened:
    config, settings = reading.config, reading.config.settings
    ids = _ids(settings)
    given = set() if settings.state_dir and os.path.lexists(settings.state_dir) else {_STATE}
    state, locks = state_and_locks(config, form, held)
    given = given if locks else set()
    pidfile = hold_pidfile(config, form, held)
    if (listener := listen(config, form)) is not None:
        held.callback(listener.close)
    log = event_log(config, form, state, given)
    held.callback(log.close)
    reloading = _reloading(reading, read, state, log)
    parts = _parts(reloading, log, state, held, ids) if locks else Parts(reloading, log, dict(os.environ))
    where = Where(
        flags=tuple(sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]),
        script=os.path.join(reloading.directory, sys.argv[0]),
        arguments=tuple(sys.argv[1:]),
        options=options,
        configuration=config.path,
        directory=reloading.directory,
        state=state,
        locks=tuple(each.path for each in locks),
        pidfile=None if pidfile is None else pidfile.path,
        socket=None if listener is None else listener.path,
        socket_is_ours=listener is not None and listener.owned,
        log=SYSLOG if settings.logfile == SYSLOG else log.path,
    )
    environ = {**parts.environ, **spawn.who(settings.user or "")} if ids is not None else parts.environ
    notify = None if form is Form.SHELL else environ.get("NOTIFY_SOCKET")
    parts = replace(parts, environ=environ, notify=notify)
    return Opened(parts, form, where, tuple(locks), pidfile, listener, ids, frozenset(given), held)


def follow(reading: Reading, read: Callable[[str], Reading], form: Form, where: Where, left: Inheritance) -> Opened:
    """Hold what the daemon before held, and open what it had open. Raises Refusal; nothing is given back then."""
    held = ExitStack()
    locks = [Pidfile.over(path, left.kept[_lock(at)]) for at, path in enumerate(where.locks)]
    pidfile = None if where.pidfile is None else Pidfile.over(where.pidfile, left.kept[_PIDFILE])
    for each in (*locks, *([] if pidfile is None else [pidfile])):
        held.callback(each.release)
    listener = None
    if where.socket is not None:
        gid = group(reading.config)
        listener = Listener.over(left.kept[_SOCKET], where.socket, gid, where.socket_is_ours)
        held.callback(listener.close)
    settings = replace(reading.config.settings, logfile=where.log)
    log = event_log(replace(reading.config, settings=settings), form, where.state, set())
    held.callback(log.close)
    reloading = _reloading(reading, read, where.state, log)
    parts = _parts(reloading, log, where.state, held)
    estate = replace(parts.estate, left=left, ward=Ward(left.hall, left.kept, left.guardian))
    parts = replace(parts, notify=parts.environ.get("NOTIFY_SOCKET"), estate=estate)
    return Opened(parts, form, where, tuple(locks), pidfile, listener, None, frozenset(), held)


def _parts(reloading: Reloading, log: EventLog, state: str, held: ExitStack, ids: spawn.Ids | None = None) -> Parts:
    """What the daemon is made of, with what outlives it. Raises Refusal."""
    journal, ledger = _journal(state, reloading.config, log, None if ids is None else ids.uid)
    held.callback(journal.close)
    slots = Slots(os.path.join(state, "turns"))
    held.callback(slots.close)
    return Parts(reloading, log, dict(os.environ), estate=Estate(journal, ledger, slots))


def _reloading(reading: Reading, read: Callable[[str], Reading], state: str, log: EventLog) -> Reloading:
    path = os.path.join(state, "wishes.json")
    return Reloading(reading, read, _wishes(path, reading.config, log), path)


def _lock(at: int) -> str:
    return f"lock{at}"


# ---- wishes, journal, rights


def _wishes(path: str, config: Config, log: EventLog) -> wishes.Wishes:
    try:
        return wishes.load(path, os.path.abspath(config.path))
    except ValueError as error:
        log.write(Level.WARNING, "taskmaster", "wishes", str(error))
        return wishes.Wishes()


def _journal(state: str, config: Config, log: EventLog, user: int | None) -> tuple[Journal, Ledger]:
    """The journal and what it holds of this boot, this pid namespace and this configuration. Raises Refusal."""
    path = os.path.join(state, "journal")
    head = Head(procfs.boot_id(), procfs.pid_namespace(), os.path.abspath(config.path))
    try:
        journal = Journal(path, partial(log.write, Level.WARNING, "taskmaster", "journal"), user)
        ledger = journal.load()
    except OSError as error:
        raise Refusal(
            f"the journal {path} cannot be read ({reason(error)}), and with it what an earlier daemon may have left "
            "running. Remove it if nothing has."
        ) from None
    if ledger.head != head:
        strange = ledger.head is not None and ledger.head.configuration != head.configuration
        if ledger.head is not None and ledger.rows and strange:
            whose = f"{ledger.head.configuration}: what that has left running is not looked for"
            log.write(Level.WARNING, "taskmaster", "journal", f"the journal {path} was about {whose}")
        ledger = Ledger(damaged=not strange and bool(ledger.rows or ledger.damaged))
    return journal, ledger


def _ids(settings: Settings) -> spawn.Ids | None:
    """Whom to become; None: stay who we are. Raises Refusal."""
    if settings.user is None:
        return None
    try:
        ids = spawn.identity(settings.user)
    except KeyError:
        raise Refusal(f"there is no user '{settings.user}' on this machine.", USAGE) from None
    if ids.uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise Refusal(
            f"only root can become user '{settings.user}', and this is uid {os.geteuid()}. "
            "Start it as root, or without --user and taskmaster.user."
        )
    return ids
