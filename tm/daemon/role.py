"""Becoming the guardian: the code that it is made of, and the exec.

Guarantees: a process that could not become it is what it was, and gives no descriptor to its children.
Leaves to others: what the guardian does (`daemon.guardian`).
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

from tm.edge.bare import packed, run_instead
from tm.edge.hall import in_memory, write_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, NoReturn

CODE = "guardian"
"""The name by which the code is kept."""
VERSION = "version"
"""The name by which the version that was up last is kept, and the argument in whose place its descriptor comes."""
LEAVE = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
FORWARDED = (*LEAVE, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""The signals that are the daemon's, whoever of the two gets them."""


def code() -> int:
    """The guardian's code, as it is on the disk now, in a file in memory. Raises OSError, SyntaxError."""
    edge = ("tm.edge.hall", "tm.edge.bare", "tm.edge.ends", "tm.edge.ps", "tm.edge.signals")
    return in_memory(packed(*edge, "tm.daemon.role", "tm.daemon.guardian"))


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
    """Let the calling process be the guardian from now on, with these descriptors by name, CODE among them.

    `state` names: `hall` and `daemon`, the way to the daemon and its pid, None where there is none; `kept_argv`, how it
    is started from the version that is kept, `argv`, how from what is installed, and `where`, what it is to know;
    `title`, what ps shows, and `path`, where setproctitle is; and what else `Guardian` remembers. Raises OSError.
    """
    fd = write_state({**state, "kept": kept})
    hall = [] if state["hall"] is None else [state["hall"]]
    try:
        with handed_on((fd, *hall, *kept.values())):
            run_instead(kept[CODE], str(fd))
    finally:
        os.close(fd)
