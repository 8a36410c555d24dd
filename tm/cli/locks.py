"""The state directory and the pidfile of a daemon, each held by one: found, locked, and what a second one is told.

Guarantees: one daemon a state directory, and where none is named one a configuration by whatever name it goes; a second
one has changed nothing when it is refused.
Leaves to others: the lock itself (`edge.pidfile`), and what else a daemon opens (`cli.opening`).
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress

from tm.cli import places
from tm.cli.forms import RUNNING_ALREADY, Form, Refusal, reason, say
from tm.core.config import Config
from tm.edge.pidfile import Held, Pidfile

_LOCK = "lock"


def state_and_locks(config: Config, form: Form, held: ExitStack) -> tuple[str, list[Pidfile]]:
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


def hold_pidfile(config: Config, form: Form, held: ExitStack) -> Pidfile | None:
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


def running(other: Held, config: Config) -> Refusal:
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
