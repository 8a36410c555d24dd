"""What makes a daemon fit for a container: the echo of its tasks' output, and the end that they bring about.

Guarantees: as process 1, without a shell, the daemon leaves when nothing is left to do, unless the command line says
something else, and hands a new size of its terminal on to tasks with `tty`; a daemon that follows another one goes on
as that had been told to.
Leaves to others: `daemon.echo`, `daemon.ending`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import ParamSpec

from tm.cli.forms import Form
from tm.cli.opening import Opened
from tm.daemon.ending import Ending, Parts
from tm.daemon.service import Service

P = ParamSpec("P")


def contain(opened: Opened, service: Service) -> None:
    """Let the service do what its options ask for. What others have it do when it is up they have said before."""
    options, ward = opened.where.options, opened.parts.estate.ward
    if options.get("echo"):
        from tm.daemon.echo import Echo  # nobody else needs it

        echo = Echo(service.loop, service.supervisor, service.outputs, _coloured())
        opened.held.callback(echo.close)
    when_done = options.get("exit_when_done")
    if when_done is None:
        when_done = ward.guardian == 1 and opened.form is Form.PLAIN
    if ward.guardian == 1 and opened.form is not Form.SHELL:
        service.on_signal = partial(_signalled, service)
    concerned = service.loop, service.supervisor, service.control, opened.parts.reloading, ward, opened.parts.log
    ending = Ending(Parts(*concerned), when_done, service.exit_with)
    follows = opened.parts.estate.left.hall is not None
    service.on_booted = _both(service.on_booted, lambda: ending.booted(follows))
    service.on_dropped = _both(service.on_dropped, lambda _row: ending.look())


def _signalled(service: Service, signum: int) -> bool:
    """A container's terminal that changes its size tells process 1 alone."""
    if signum != signal.SIGWINCH:
        return False
    service.attendants.terminals.resized(signum)
    return True


def _coloured() -> bool:
    dull = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return os.isatty(1) and not dull


def _both(first: Callable[P, None], then: Callable[P, None]) -> Callable[P, None]:
    def both(*args: P.args, **kwargs: P.kwargs) -> None:
        first(*args, **kwargs)
        then(*args, **kwargs)

    return both
