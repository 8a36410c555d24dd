"""What a daemon opens and holds before it serves: state, pidfile, socket, event log; and whose rights it keeps.

Guarantees: one daemon a state directory, and where none is named one a configuration by whatever name it goes; a second
one is refused before it has changed anything. What somebody named and cannot be had is a Refusal; a default is done
without where the form can, and that is said.
Leaves to others: which socket, and who serves it (`cli.face`), the way into the background (`edge.daemonize`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

from tm.cli import places
from tm.cli.face import listen
from tm.cli.forms import RUNNING_ALREADY, USAGE, Form, Refusal, reason, say
from tm.core.config import Config
from tm.core.journal import Head, Ledger
from tm.core.records import Level
from tm.core.settings import Settings
from tm.core.syslog import SYSLOG
from tm.daemon.reloading import Reading, Reloading
from tm.daemon.service import Parts
from tm.edge import files, procfs, spawn, wishes
from tm.edge.eventlog import EventLog, LogFile
from tm.edge.journal import Journal
from tm.edge.pidfile import Held, Pidfile
from tm.edge.slots import Slots
from tm.edge.sockets import Listener
from tm.edge.syslog import Reporter, Syslog

DEFAULT_LOG = "taskmaster.log"
_LOCK = "lock"
_STATE, _LOG = "state", "log"


@dataclass(frozen=True, slots=True)
class Opened:
    """What is held. `files`: locked with our pid in them; `ids`: whom to become; `given`: what then becomes theirs, the
    state directory or the log, each where it is ours to give.
    """

    parts: Parts
    form: Form
    state: str
    files: tuple[Pidfile, ...]
    pidfile: Pidfile | None
    listener: Listener | None
    ids: spawn.Ids | None
    given: frozenset[str]
    held: ExitStack

    @property
    def history(self) -> str:
        """Where the shell keeps what was typed."""
        return os.path.join(self.state, "history")

    def sign(self) -> None:
        """Write our pid, which is another one in the background. Raises OSError."""
        for each in self.files:
            each.write(str(os.getpid()), os.path.abspath(self.parts.reloading.config.path))
        if self.pidfile is not None:
            self.pidfile.write(str(os.getpid()))

    def descriptors(self) -> list[int]:
        """What has to stay open on the way into the background."""
        held = [each.fileno() for each in self.files]
        held += [self.parts.journal.fileno()] if self.parts.journal is not None else []
        held += [self.pidfile.fileno()] if self.pidfile is not None else []
        held += self.listener.descriptors() if self.listener is not None else []
        return [*held, self.parts.log.fileno()]

    def lower(self) -> None:
        """Give up root, if somebody was named, and hand over what is to be written later. Raises OSError."""
        if self.ids is None:
            return
        if _LOG in self.given:
            os.fchown(self.parts.log.fileno(), self.ids.uid, self.ids.gid)
        if _STATE in self.given:
            directory = os.open(self.state, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fchown(directory, self.ids.uid, self.ids.gid)
            os.close(directory)
        if self.listener is not None:
            self.listener.give_to(self.ids.uid, self.ids.gid)
        spawn.become(self.ids)


def open_daemon(reading: Reading, read: Callable[[str], Reading], form: Form) -> Opened:
    """Open and hold everything. Raises Refusal; nothing is held then."""
    held = ExitStack()
    try:
        return _open(reading, read, form, held)
    except Held as other:
        held.close()
        raise _running(other, reading.config) from None
    except Refusal:
        held.close()
        raise


def _open(reading: Reading, read: Callable[[str], Reading], form: Form, held: ExitStack) -> Opened:
    config, settings = reading.config, reading.config.settings
    ids = _ids(settings)
    given = set() if settings.state_dir and os.path.lexists(settings.state_dir) else {_STATE}
    state, files = _state(config, form, held)
    given = given if files else set()
    pidfile = _pidfile(config, form, held)
    if (listener := listen(config, form)) is not None:
        held.callback(listener.close)
    log = _log(config, form, state, given)
    held.callback(log.close)
    path = os.path.join(state, "wishes.json")
    reloading = Reloading(reading, read, _wishes(path, config, log), path)
    environ = dict(os.environ) | (spawn.who(settings.user or "") if ids else {})
    notify = None if form is Form.SHELL else environ.get("NOTIFY_SOCKET")
    journal, ledger = _journal(state, config, log) if files else (None, Ledger())
    slots = Slots(os.path.join(state, "turns")) if journal is not None else None
    if journal is not None and slots is not None:
        held.callback(journal.close)
        held.callback(slots.close)
    parts = Parts(reloading, log, environ, notify, journal, ledger, slots)
    return Opened(parts, form, state, tuple(files), pidfile, listener, ids, frozenset(given), held)


# ---- state and pidfile: only one


def _state(config: Config, form: Form, held: ExitStack) -> tuple[str, list[Pidfile]]:
    """The state directory, and the locks. Raises Held or Refusal."""
    named = config.settings.state_dir
    state = named or places.state_directory(config.path, os.environ)
    try:
        if named:
            return named, [_locked(os.path.join(named, _LOCK), config, held)]
        os.makedirs(places.state_base(os.environ), 0o755 if os.geteuid() == 0 else 0o700, exist_ok=True)
        alone = _locked(places.identity_lock(config.path, os.environ), config, held)
        try:
            return state, [alone, _locked(os.path.join(state, _LOCK), config, held)]
        except Held as other:
            if form is not Form.SHELL or _same(other, config):
                raise
            state = places.own_state_directory(config.path, os.environ)
            say(f"{other.path} is held by the daemon of {_whose(other)}; keeping state in {state}.")
            return state, [alone, _locked(os.path.join(state, _LOCK), config, held)]
    except OSError as error:
        if named:
            raise Refusal(f"the state directory {named} cannot be used: {reason(error)}.") from None
        say(f"the state directory {state} cannot be used ({reason(error)}); going on without, and without its lock.")
        return state, []


def _locked(path: str, config: Config, held: ExitStack) -> Pidfile:
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    lock = Pidfile(path, 0o600)
    held.callback(lock.release)
    lock.write(str(os.getpid()), os.path.abspath(config.path))
    return lock


def _pidfile(config: Config, form: Form, held: ExitStack) -> Pidfile | None:
    """The pidfile: where one is named, and always in the background. Raises Held or Refusal."""
    path = config.settings.pidfile
    if path is None and form is not Form.DAEMON:
        return None
    try:
        path = path or places.pidfile_path(config.path, os.environ)
        places.make_runtime_directory(path, os.environ)
        pidfile = Pidfile(path, 0o644)
        held.callback(pidfile.release)
        pidfile.write(str(os.getpid()))
    except OSError as error:
        where = path or error.filename
        raise Refusal(f"the pidfile {where} cannot be written: {reason(error)}. Name one with --pidfile.") from None
    return pidfile


def _running(other: Held, config: Config) -> Refusal:
    """What an operator hears who starts a second one."""
    code = RUNNING_ALREADY
    who = f"as pid {other.pid}" if other.pid is not None else "and has only just begun"
    if _same(other, config):
        return Refusal(f"{config.path} is already running {who}; it holds {other.path}.", code)
    advice = "Name another --state-dir, --socket and --pidfile for this one"
    if len(other.lines) < 2:
        return Refusal(f"a daemon is already running {who}; it holds {other.path}. {advice}.", code)
    return Refusal(f"the daemon of {_whose(other)} is already running {who}; it holds {other.path}. {advice}.", code)


def _whose(other: Held) -> str:
    return other.lines[1] if len(other.lines) > 1 else "another configuration"


def _same(other: Held, config: Config) -> bool:
    """Whether the holder runs the same file."""
    if len(other.lines) < 2:
        return False
    with suppress(OSError):
        return os.path.samefile(other.lines[1], config.path)
    return other.lines[1] == os.path.abspath(config.path)


# ---- log, wishes, rights


def _log(config: Config, form: Form, state: str, given: set[str]) -> EventLog:
    """The event log; a file that is made here is noted in `given`. Raises Refusal."""
    settings = config.settings
    level, as_json = Level[settings.log_level.upper()], settings.log_format == "json"
    if settings.logfile == SYSLOG:
        return EventLog(_to_syslog(settings), level, as_json)
    path = settings.logfile or _default_log(config, form, state)
    try:
        if path is not None and form is Form.DAEMON and not settings.logfile:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        new = path is not None and not os.path.lexists(path)
        file = LogFile(path, settings.log_max_size_bytes, partial(_next_file, settings.log_keep))
        if path is not None and new and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            given.add(_LOG)
        return EventLog(file, level, as_json)
    except OSError as error:
        why = f"the event log {path} cannot be opened: {os.strerror(error.errno or 0)}"
    if settings.logfile or form is Form.DAEMON:
        raise Refusal(f"{why}. Name another with --logfile.")
    say(f"{why}; logging to stderr.")
    return EventLog(LogFile(None), level, as_json)


def _to_syslog(settings: Settings) -> Reporter:
    """The event log's way to syslog. Raises Refusal."""
    path = settings.syslog_socket
    try:
        return Reporter(Syslog(path))
    except OSError as error:
        why = f"the event log cannot be sent to syslog at {path}: {reason(error)}"
        advice = "name its socket with 'syslogSocket' of 'taskmaster'"
        raise Refusal(f"{why}. Start a syslog daemon, or {advice}, or name a file with --logfile.") from None


def _next_file(keep: int, path: str, fd: int) -> int:
    return files.open_next(path, keep, fd)


def _default_log(config: Config, form: Form, state: str) -> str | None:
    match form:
        case Form.SHELL:
            return DEFAULT_LOG
        case Form.PLAIN:
            return None
        case Form.DAEMON:
            return places.log_path(config.path, state)


def _wishes(path: str, config: Config, log: EventLog) -> wishes.Wishes:
    try:
        return wishes.load(path, os.path.abspath(config.path))
    except ValueError as error:
        log.write(Level.WARNING, "taskmaster", "wishes", str(error))
        return {}


def _journal(state: str, config: Config, log: EventLog) -> tuple[Journal | None, Ledger]:
    """The journal and what it holds of this boot, this pid namespace and this configuration. Raises Refusal."""
    path = os.path.join(state, "journal")
    head = Head(procfs.boot_id(), procfs.pid_namespace(), os.path.abspath(config.path))
    try:
        journal = Journal(path, partial(log.write, Level.WARNING, "taskmaster", "journal"))
        ledger = journal.load()
    except OSError as error:
        raise Refusal(
            f"the journal {path} cannot be read ({reason(error)}), and with it what an earlier daemon may have left "
            "running. Remove it if nothing has."
        ) from None
    if ledger.head != head:
        if ledger.rows and ledger.head is not None and ledger.head.configuration != head.configuration:
            whose = f"{ledger.head.configuration}: what that has left running is not looked for"
            log.write(Level.WARNING, "taskmaster", "journal", f"the journal {path} was about {whose}")
        ledger = Ledger()
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
