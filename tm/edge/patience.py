"""A limit of time for what cannot be cut into pieces: a regular expression, which may go on for ever.

Guarantees: what takes longer than the time allowed ends with TooLong. Once `within` was used, a SIGALRM outside of it
does nothing.
Traps: the alarm is heard by the interpreter's own code and by its `re`, which looks out for signals now and then, the
more seldom the longer the text is; not by everything that is written in C.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class TooLong(Exception):
    """The time is over."""


class within:  # noqa: N801  # it is used as a word of a `with`
    """`with within(0.1): ...`; not to be nested."""

    _waiting = False

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self._over)
        within._waiting = True
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        within._waiting = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    @staticmethod
    def _over(_signum: int, _frame: FrameType | None) -> None:
        if within._waiting:
            within._waiting = False
            raise TooLong
