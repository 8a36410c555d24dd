"""The wall clock, with an alarm that hears when somebody sets it.

Guarantees: an alarm rings at its wall time, and at once whenever the clock is set or the machine was suspended:
timerfd(2) with TFD_TIMER_CANCEL_ON_SET, so that nothing wakes up to look. Where there is none it looks every LOOK_S.
Leaves to others: what is due (`core.cron`, `daemon.ticks`).

Python has had timerfd since 3.13; until then it is reached through ctypes, as inotify is (`edge.presence`).
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from contextlib import suppress
from typing import Final

from tm.core.ports import Callback, Watcher

LOOK_S: Final = 60.0
_CLOCK_REALTIME: Final = 0
_ABSOLUTE: Final = 1
_CANCEL_ON_SET: Final = 2


class Spec(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class WallClock:
    """The clock on the wall; at most one alarm at a time. Owns its descriptor. `rings`: what the alarm calls."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._fd: int | None = None
        self._alarm: float | None = None
        self._looking = False
        self.rings: Callback = lambda: None

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def set_alarm(self, at: float | None) -> None:
        """Ring at this time, and whenever the clock is set; None: never."""
        self._alarm = at
        if at is None:
            self.close()
            return
        if self._fd is None and sys.platform == "linux":
            self._fd = self._opened()
        if self._fd is None or not self._armed(self._fd, at):
            self._look_again()

    def close(self) -> None:
        """Give the descriptor back; nothing rings any more."""
        self._alarm = None
        if self._fd is not None:
            self._watcher.unwatch(self._fd)
            os.close(self._fd)
            self._fd = None

    def _opened(self) -> int | None:
        fd: int = ctypes.CDLL(None).timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            return None
        self._watcher.watch(fd, self._rang)
        return fd

    def _armed(self, fd: int, at: float) -> bool:
        whole = max(1, int(at))  # 0 would disarm it
        spec = Spec(0, 0, whole, max(0, int((at - whole) * 1e9)))
        set_time = ctypes.CDLL(None).timerfd_settime
        return bool(set_time(fd, _ABSOLUTE | _CANCEL_ON_SET, ctypes.byref(spec), None) == 0)

    def _rang(self) -> None:
        """The time has come, or (ECANCELED) the clock was set."""
        if self._fd is not None:
            with suppress(OSError):
                os.read(self._fd, 8)
        self.rings()

    def _look_again(self) -> None:
        if not self._looking and self._alarm is not None:
            self._looking = True
            wait_s = min(LOOK_S, max(0.0, self._alarm - self.now()))
            self._watcher.call_in(wait_s, self._looked)

    def _looked(self) -> None:
        self._looking = False
        if self._alarm is not None:
            self.rings()
