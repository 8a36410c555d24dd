"""Becoming the guardian, by exec of the version that is kept.

Guarantees: a process that could not become it is what it was, and gives no descriptor to its children.
Leaves to others: what the guardian does (`daemon.guardian`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from tm.edge import faults
from tm.edge.hall import VARIABLE, write_state

VERSION = "version"
"""The name by which the version that was up last is kept, and the argument in whose place its descriptor comes."""
LEAVE = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
FORWARDED = (*LEAVE, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
"""The signals that are the daemon's, whoever of the two gets them."""


@contextmanager
def handed_on(fds: Iterable[int]) -> Iterator[None]:
    """While the calling process becomes another program by exec: these descriptors and 0 to 2 stay open, and signals
    wait until that can take them. Where it does not come to that everything is as it was.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*FORWARDED, signal.SIGCHLD))
    going = list(fds)
    try:
        for fd in (0, 1, 2, *going):
            os.set_inheritable(fd, True)
        yield
    finally:
        for fd in going:
            os.set_inheritable(fd, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def become(state: dict[str, Any], kept: dict[str, int]) -> NoReturn:
    """Let the calling process be the guardian from now on, with these descriptors by name, VERSION among them.

    `state` names: `hall` and `daemon`, the way to the daemon and its pid, None where there is none; `argv`, how the
    version that is kept is started; `where`, what the next daemon is to know; `title`, what ps shows, `called`, what it
    shows of the daemon, and `path`, where setproctitle is; and what else `Guardian` remembers. Raises OSError.
    """
    fd = write_state({**state, "kept": kept})
    hall = [] if state["hall"] is None else [state["hall"]]
    argv = [str(kept[VERSION]) if each == VERSION else each for each in state["argv"]]
    environ = {name: value for name, value in os.environ.items() if name != faults.VARIABLE}
    try:
        with handed_on((fd, *hall, *kept.values())):
            os.execve(argv[0], argv, {**environ, VARIABLE: str(fd)})
    finally:
        os.close(fd)
