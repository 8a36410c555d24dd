"""`taskmaster`: the command line, and which way it goes from there.

Guarantees: the exit codes of the manual (0 orderly end, 1 could not start, 2 usage or configuration, 3 another daemon
has what this one needs). While the configuration is read, what a daemon is made of is imported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from tm.cli import places
from tm.cli.forms import DONE, USAGE, Form, fail, say, write_anything
from tm.cli.options import config_path, parser
from tm.cli.reading import begin_apart, read
from tm.core.errors import ConfigError
from tm.edge.descriptors import tidy
from tm.edge.hall import VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the form that the command line asks for; the exit code."""
    tidy()
    write_anything()
    if VARIABLE not in os.environ:
        return _begin_anew(parser().parse_args(arguments))
    from tm.cli.running import go_on_here

    return go_on_here()


def _begin_anew(options: argparse.Namespace) -> int:
    """Started by a person or an init system."""
    form = _form(options)
    if options.echo and form is not Form.PLAIN:
        return fail("--echo is for the foreground without a shell, where stdout is free: type -n as well.", USAGE)
    try:
        here = places.here()
        reads = partial(read, options, here)
        path = config_path(options, form)
        reading = begin_apart(reads, os.path.join(here, path) if form is Form.DAEMON else path)
        if options.check:
            from tm.daemon.room import lacking

            config = reading().config
            print(f"{config.path}: no problems, {len(config.tasks)} task(s).", *lacking(config), sep="\n")
            return DONE
        from tm.cli.running import start  # while it is read

        return start(reading(), reads, form, options)
    except (ConfigError, places.NoConfiguration) as error:
        return fail(str(error), USAGE)


def _form(options: argparse.Namespace) -> Form:
    """The form to run in; without any input there is nobody for a shell."""
    if options.daemon:
        return Form.DAEMON
    if options.no_shell or options.check:
        return Form.PLAIN
    from tm.edge import console  # as the shell itself: only the foreground has one

    if console.stdin_given():
        return Form.SHELL
    say("no input, so no shell (as with -n).")
    return Form.PLAIN
