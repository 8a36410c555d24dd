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


def disarm() -> None:
    """Nothing dies of it any more: who was killed by it is followed by one that is not."""
    _left[0] = 0
    os.environ.pop(VARIABLE, None)


def _armed(environ: Mapping[str, str], left: list[int]) -> Callable[[str], None]:
    """What `point` is, by what the variable says; `left`: how often it is still passed."""
    name, _, count = environ.get(VARIABLE, "").partition(":")
    if not name:
        return _nothing
    left[0] = int(count or "1")

    def point(here: str) -> None:
        if here == name:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    return point


_left = [0]
point = _armed(os.environ, _left)
