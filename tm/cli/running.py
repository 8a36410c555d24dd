"""A daemon from what it opens to its end, in every form, and one that follows another.

Guarantees: what is wrong is told where it was started, also when it is found in the background.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace
from typing import Any

from tm.cli import guarding
from tm.cli.container import contain
from tm.cli.face import serve
from tm.cli.forms import DONE, NOT_STARTED, USAGE, Form, Refusal, fail, reason, say, write_anything
from tm.cli.guarding import Loaded, loaded, take_role, where
from tm.cli.opening import Opened, follow, open_daemon
from tm.cli.reading import begin_apart, read
from tm.cli.upgrading import arrange, try_out
from tm.core.errors import ConfigError
from tm.core.launch import OPEN_FILES
from tm.core.report import blamed, cause, hint
from tm.daemon.reading import Reading
from tm.daemon.role import FORWARDED
from tm.daemon.room import make_room
from tm.daemon.service import Service
from tm.daemon.ward import Inheritance, inheritance, inherited
from tm.edge import version
from tm.edge.daemonize import Readiness, detach, prevent_core

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def start(reading: Reading, read: Callable[[str], Reading], form: Form, options: argparse.Namespace) -> int:
    """Be a daemon in this form; the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # the daemon takes them when it can
    try:
        opened = open_daemon(reading, read, form, vars(options))
        _make_room(opened)
        return _in_background(opened) if form is Form.DAEMON else _run(opened, _nothing)
    except Refusal as error:
        return fail(str(error), error.code)


def _make_room(opened: Opened) -> None:
    """Have as many descriptors as may be needed, before there is a guardian, which has as many then; tell what is
    lacking where the event log, which is told as well, is not seen.
    """
    os.environ.pop(OPEN_FILES, None)  # set by whoever it was, it is not about us
    sentences = make_room(opened.parts.reloading.config, os.getpid())
    if opened.form is not Form.SHELL and opened.parts.log.path is not None:
        for sentence in sentences:
            say(sentence)


def go_on_here() -> int:
    """By exec after another daemon, or to try that out; the exit code."""
    try:
        left = inherited(os.environ)
    except ValueError as error:
        return fail(f"{error}.", USAGE)
    return _follow(left)


def go_on(state: dict[str, Any]) -> int:
    """In a fork of the guardian of a daemon that is no more, with what that has left; the exit code."""
    write_anything()
    return _follow(inheritance(state))


def _follow(left: Inheritance) -> int:
    """After another daemon, with what that has left, the options among it."""
    try:
        place = where(left)
        options = SimpleNamespace(**place.options)
        form = Form.DAEMON if options.daemon else Form.PLAIN
        if form is Form.DAEMON:
            prevent_core()
        reads = partial(read, options, place.directory)
        if left.trial is not None:
            return try_out(left, reads)
        reading = loaded(left) or begin_apart(reads, place.configuration)()
        return _run(follow(reading, reads, form, place, left), _nothing)
    except ConfigError as error:
        return fail(str(error), USAGE)
    except Refusal as error:
        return fail(str(error), error.code)


def _in_background(opened: Opened) -> int:
    """Detach and run there; here, wait until it is up. Raises Refusal."""
    try:
        end = detach(opened.descriptors())
    except OSError as error:
        opened.held.close()
        raise Refusal(f"no way into the background: {reason(error)}.") from None
    if isinstance(end, int):
        return end
    try:
        return _run(opened, partial(_up, end))
    except Refusal as error:
        say(str(error))
        end.tell(error.code)
        return error.code


def _up(end: Readiness, service: Service) -> None:
    """Everything has been started, or tried: tell the starter, with what did not start and where that is written."""
    if service.control.leaving:
        say("it was told to leave before it was up.")
        end.tell(NOT_STARTED)
        return
    failed = [row for row in service.supervisor.rows.values() if row.failure is not None]
    for row in failed:
        fact = f"; {hint(row)}" if hint(row) else ""
        say(f"process '{row.name}' failed to start: {cause(row)}{fact}; see {blamed(row)}")
    if failed:
        say("the daemon is up and keeps the rest.")
    end.tell(NOT_STARTED if failed else DONE)


def _run(opened: Opened, on_up: Callable[[Service], None]) -> int:
    """Serve until the end; everything is given back then, also when the daemon never came so far. Raises Refusal.

    Clients are hung up on last: who waits for that, as `taskmasterctl shutdown` does, may start the next one at once.
    A daemon with a guardian that fails on the way gives nothing back: the next one goes on with it.
    """
    first, over = opened.parts.estate.left.hall is None, False
    with ExitStack() as last:
        try:
            _lower(opened)
            opened = guarding.guard(opened)
            service = _begin(opened, last)
            service.on_booted = partial(opened.parts.estate.ward.when_met, partial(on_up, service))
            contain(opened, service)
            code = _with_shell(service, opened) if opened.form is Form.SHELL else service.run()
            over = True
        except Refusal:
            over = first
            raise
        finally:
            if over or not opened.parts.estate.ward.guarded:
                opened.held.close()
    return code


def _begin(opened: Opened, last: ExitStack) -> Service:
    """The daemon, about to run: its pid is written, its socket served. Raises Refusal."""
    try:
        opened.sign(opened.parts.estate.ward.guardian)
    except OSError as error:
        raise Refusal(f"the pidfile or the lock cannot be written: {reason(error)}.") from None
    service = Service(opened.parts)
    opened.held.callback(service.close)
    opened.parts.estate.ward.on_lost = partial(take_role, opened, service)
    hub = None
    if opened.listener is not None:
        hub = serve(service, opened.listener, opened.parts)
        last.callback(hub.hang_up)
        opened.held.callback(hub.close)
    Loaded(opened)
    arrange(opened, service, hub)
    return service


def _lower(opened: Opened) -> None:
    """Give up root, if somebody was named, also for the guardian. What is imported late is imported while that may be
    read. Raises Refusal.
    """
    if opened.ids is not None:
        for name in (*version.modules(), "difflib", "hashlib"):
            importlib.import_module(name)
    try:
        opened.lower()
    except OSError as error:
        user = opened.parts.reloading.config.settings.user
        raise Refusal(f"user '{user}' cannot be taken on: {reason(error)}.") from None


def _with_shell(service: Service, opened: Opened) -> int:
    from tm.cli.shell import Shell, greeting  # readline and more, which a daemon in the background never needs

    shell = Shell(service, opened.history)
    config = opened.parts.reloading.config
    processes = sum(task.instances for task in config.tasks.values())
    try:
        shell.open(greeting(config.path, len(config.tasks), processes))
        return service.run()
    finally:
        shell.close()


def _nothing(_service: Service) -> None:
    pass
