"""The command line of `taskmaster`: its options, the configuration that is meant, and what wins over that.

Guarantees: what is refused is told before anything was touched.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import tm
from tm.cli import places
from tm.cli.forms import Form
from tm.core.records import Level
from tm.core.settings import Settings
from tm.core.syslog import SYSLOG

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def parser() -> argparse.ArgumentParser:
    """What it takes."""
    import argparse  # as `load`: only for who is asked by a command line

    made = argparse.ArgumentParser(
        prog="taskmaster",
        description="Keep programs running as a configuration says; a shell on stdin steers them.",
        epilog="Without CONFIG: $TASKMASTER_CONFIG, ./taskmaster.yaml, /etc/taskmaster.yaml, the first that exists.",
        allow_abbrev=False,
    )
    form = made.add_mutually_exclusive_group()
    form.add_argument("-d", "--daemon", action="store_true", help="go into the background, return when it is up")
    form.add_argument("-n", "--no-shell", action="store_true", help="foreground without a shell, log to stderr")
    form.add_argument("-t", "--check", action="store_true", help="check the configuration, start nothing")
    made.add_argument("-p", "--pidfile", metavar="FILE", help="the pidfile (by default only with -d)")
    made.add_argument("-s", "--socket", metavar="PATH", help="the control socket")
    made.add_argument("-l", "--logfile", metavar="FILE", help="the event log: a file, or syslog (-n: stderr)")
    made.add_argument("--log-level", choices=[each.name.lower() for each in Level], help="least level to log")
    made.add_argument("--log-format", choices=["text", "json"], help="one line of text or of JSON an event")
    made.add_argument("--echo", action="store_true", help="with -n: the output of the tasks on stdout as well")
    made.add_argument(
        "--exit-when-done",
        action=argparse.BooleanOptionalAction,
        help="leave when nothing is left to do (by default as process 1 with -n)",
    )
    made.add_argument("--state-dir", metavar="DIR", help="where operators' wishes and the shell's history are kept")
    made.add_argument("-u", "--user", metavar="USER", help="as root: become this user when everything is open")
    made.add_argument("--version", action="version", version=f"taskmaster {tm.__version__}")
    made.add_argument("config", nargs="?", metavar="CONFIG", help="the configuration file")
    return made


def config_path(options: argparse.Namespace, form: Form) -> str:
    """The configuration to use; the shell's form falls back to the example. Raises NoConfiguration."""
    if options.config is not None:
        return str(options.config)
    found = places.find(os.environ)
    if found is not None:
        return found
    if form is not Form.SHELL:
        raise places.NoConfiguration(f"no configuration: looked for {', '.join(places.searched(os.environ))}.")
    try:
        path, new = places.write_example()
    except OSError as error:
        where = ", ".join(places.searched(os.environ))
        reason = os.strerror(error.errno or 0)
        raise places.NoConfiguration(f"no configuration in {where}, and no example can be written: {reason}.") from None
    print(f"No configuration found: {'wrote' if new else 'using'} {path}.", file=sys.stderr)
    return path


def with_flags(settings: Settings, options: argparse.Namespace | SimpleNamespace, here: str) -> Settings:
    """Flags win over the `taskmaster:` block. Paths are seen from `here`, also by a daemon that has left it."""
    paths = {
        "logfile": options.logfile,
        "state_dir": options.state_dir,
        "socket": options.socket,
        "pidfile": options.pidfile,
    }
    if options.daemon:
        paths = {key: path and os.path.join(here, path) for key, path in paths.items()}
    if options.logfile == SYSLOG:
        paths["logfile"] = SYSLOG
    given = {**paths, "log_level": options.log_level, "log_format": options.log_format, "user": options.user}
    return replace(settings, **{key: value for key, value in given.items() if value is not None})
