"""`taskmaster`: the command line, and the forms it starts.

Guarantees: the exit codes of the manual (0 orderly end, 1 could not start, 2 usage or configuration); what is wrong is
told on stderr before anything is started.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import tm
from tm.cli import places
from tm.cli.shell import Shell, greeting
from tm.core.config import load
from tm.core.errors import ConfigError
from tm.core.records import Level
from tm.core.settings import Settings
from tm.daemon.reloading import Reading, Reloading
from tm.daemon.service import Parts, Service
from tm.edge import console, wishes
from tm.edge.descriptors import tidy
from tm.edge.eventlog import EventLog
from tm.edge.world import Machine as World

DONE, NOT_STARTED, USAGE = 0, 1, 2
DEFAULT_LOG = "taskmaster.log"


class Refusal(Exception):
    """The program cannot go on; the text is for people."""


class Opened(NamedTuple):
    """What the forms share."""

    parts: Parts
    history: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the form that the command line asks for; the exit code."""
    tidy()
    _write_anything()
    options = _parser().parse_args(arguments)
    if not (options.check or options.no_shell or console.stdin_given()):
        print("taskmaster: no input, so no shell (as with -n).", file=sys.stderr)
        options.no_shell = True
    try:
        read = partial(_read, options, places.here())
        reading = read(_config_path(options))
    except (ConfigError, places.NoConfiguration) as error:
        return _fail(str(error), USAGE)
    if options.check:
        print(f"{reading.config.path}: no problems, {len(reading.config.tasks)} task(s).")
        return DONE
    try:
        opened = _open(reading, read, options.no_shell)
    except Refusal as error:
        return _fail(str(error), NOT_STARTED)
    service = Service(opened.parts)
    try:
        return service.run() if options.no_shell else _with_shell(service, opened)
    finally:
        service.close()


def _write_anything() -> None:
    """Let half a character, as a file's name may hold it, be shown as an escape instead of being an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _with_shell(service: Service, opened: Opened) -> int:
    shell = Shell(service, opened.history)
    config = opened.parts.reloading.config
    processes = sum(task.instances for task in config.tasks.values())
    try:
        shell.open(greeting(config.path, len(config.tasks), processes))
        return service.run()
    finally:
        shell.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="taskmaster",
        description="Keep programs running as a configuration says; a shell on stdin steers them.",
        epilog="Without CONFIG: $TASKMASTER_CONFIG, ./taskmaster.yaml, /etc/taskmaster.yaml, the first that exists.",
        allow_abbrev=False,
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-n", "--no-shell", action="store_true", help="foreground without a shell, log to stderr")
    form.add_argument("-t", "--check", action="store_true", help="check the configuration, start nothing")
    parser.add_argument("-l", "--logfile", metavar="FILE", help=f"the event log (default: {DEFAULT_LOG}; -n: stderr)")
    parser.add_argument("--log-level", choices=[each.name.lower() for each in Level], help="least level to log")
    parser.add_argument("--log-format", choices=["text", "json"], help="one line of text or of JSON an event")
    parser.add_argument("--state-dir", metavar="DIR", help="where operators' wishes and the shell's history are kept")
    parser.add_argument("--version", action="version", version=f"taskmaster {tm.__version__}")
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="the configuration file")
    return parser


def _config_path(options: argparse.Namespace) -> str:
    """The configuration to use; the shell's form falls back to the example. Raises NoConfiguration."""
    if options.config is not None:
        return str(options.config)
    found = places.find(os.environ)
    if found is not None:
        return found
    if options.no_shell or options.check:
        raise places.NoConfiguration(f"no configuration: looked for {', '.join(places.searched(os.environ))}.")
    try:
        path, new = places.write_example()
    except OSError as error:
        where = ", ".join(places.searched(os.environ))
        reason = os.strerror(error.errno or 0)
        raise places.NoConfiguration(f"no configuration in {where}, and no example can be written: {reason}.") from None
    print(f"No configuration found: {'wrote' if new else 'using'} {path}.", file=sys.stderr)
    return path


def _read(options: argparse.Namespace, here: str, path: str) -> Reading:
    """Read and check; flags win over the file, `here` is where relative directories begin. Raises ConfigError."""
    world = World(os.environ, here)
    config = load(path, world)
    return Reading(replace(config, settings=_with_flags(config.settings, options)), world)


def _open(reading: Reading, read: Callable[[str], Reading], no_shell: bool) -> Opened:
    """Open what the daemon needs. Raises Refusal."""
    settings = reading.config.settings
    log = _log(settings, no_shell)
    state = settings.state_dir or places.state_directory(reading.config.path, os.environ)
    path = os.path.join(state, "wishes.json")
    kept: wishes.Wishes = {}
    try:
        kept = wishes.load(path, os.path.abspath(reading.config.path))
    except ValueError as error:
        log.write(Level.WARNING, "taskmaster", "wishes", str(error))
    reloading = Reloading(reading, read, kept, path)
    return Opened(Parts(reloading, log, dict(os.environ)), os.path.join(state, "history"))


def _with_flags(settings: Settings, options: argparse.Namespace) -> Settings:
    """Flags win over the `taskmaster:` block."""
    given = {
        "logfile": options.logfile,
        "log_level": options.log_level,
        "log_format": options.log_format,
        "state_dir": options.state_dir,
    }
    return replace(settings, **{key: value for key, value in given.items() if value is not None})


def _log(settings: Settings, no_shell: bool) -> EventLog:
    """The event log; a default that cannot be opened falls back to stderr, an explicit one is a Refusal."""
    level, as_json = Level[settings.log_level.upper()], settings.log_format == "json"
    path = settings.logfile or (None if no_shell else DEFAULT_LOG)
    try:
        return EventLog(path, level, as_json)
    except OSError as error:
        reason = f"the event log {path} cannot be opened: {os.strerror(error.errno or 0)}"
    if settings.logfile:
        raise Refusal(f"{reason}. Name another with --logfile.")
    print(f"taskmaster: {reason}; logging to stderr.", file=sys.stderr)
    return EventLog(None, level, as_json)


def _fail(text: str, code: int) -> int:
    print(text if "\n" in text else f"taskmaster: {text}", file=sys.stderr)
    return code
