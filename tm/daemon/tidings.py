"""What the daemon's service manager is told: that it is up, reloads, ends, and how many of its processes run.

Guarantees: READY=1 comes when everything that launches by itself has been started, and after each reload, also one that
was refused; nothing but STOPPING=1, and how long that may take, is said once the end has begun. A manager that has a
watchdog hears twice in its time that the loop turns; without one nobody is woken for that.
"""

from __future__ import annotations

from tm.daemon.title import Title
from tm.edge.loop import Loop
from tm.edge.notify import Notifier, reloading

_MARGIN_S = 10.0
"""What the end may take beside the graces."""


class Tidings:
    """Sends them; with a `Notifier` that has no address, to nobody."""

    def __init__(self, notifier: Notifier, title: Title, loop: Loop, watchdog_s: float | None) -> None:
        self._loop = loop
        self._watchdog_s = watchdog_s
        self._notifier = notifier
        self._title = title
        self._ready = False

    def booted(self) -> None:
        """The boot is through."""
        self._ready = True
        self._notifier.tell("READY=1", self._status())
        self._title.on_set = self._counted
        if self._watchdog_s is not None:
            self._live(self._watchdog_s / 2)

    def reload(self, begins: bool) -> None:
        """A reload begins, or is over."""
        if self._ready:
            self._notifier.tell(*(reloading() if begins else ("READY=1", self._status())))

    def leaving(self, grace_s: float) -> None:
        """The shutdown begins, and may take so long."""
        self._ready = False
        extend = f"EXTEND_TIMEOUT_USEC={round((grace_s + _MARGIN_S) * 1e6)}"
        self._notifier.tell("STOPPING=1", "STATUS=shutting down", extend)

    def close(self) -> None:
        """There is nothing more to tell."""
        self._notifier.close()

    def _live(self, every_s: float) -> None:
        """The loop turns."""
        self._notifier.tell("WATCHDOG=1")
        self._loop.call_in(every_s, lambda: self._live(every_s))

    def _counted(self) -> None:
        if self._ready:
            self._notifier.tell(self._status())

    def _status(self) -> str:
        return f"STATUS={self._title.count}"
