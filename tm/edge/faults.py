"""Named places at which a test lets the daemon die: TASKMASTER_FAULT=after-intent:3 kills it there, the third time.

Guarantees: without the variable `point` does nothing at all; with it the process ends by SIGKILL, as by any other.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

VARIABLE = "TASKMASTER_FAULT"


def _nothing(_name: str) -> None:
    """No test wants it."""


def _armed(environ: Mapping[str, str]) -> Callable[[str], None]:
    """What `point` is, by what the variable says."""
    name, _, count = environ.get(VARIABLE, "").partition(":")
    if not name:
        return _nothing
    left = [int(count or "1")]

    def point(here: str) -> None:
        if here == name:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    return point


point = _armed(os.environ)
