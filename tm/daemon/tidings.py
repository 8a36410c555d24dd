"""What the daemon's service manager is told: that it is up, reloads, ends, and how many of its processes run.

Guarantees: READY=1 comes when everything that launches by itself has been started, and after each reload, also one that
was refused; nothing but STOPPING=1 is said once the end has begun.
"""

from __future__ import annotations

from tm.daemon.title import Title
from tm.edge.notify import Notifier, reloading


class Tidings:
    """Sends them; with a `Notifier` that has no address, to nobody."""

    def __init__(self, notifier: Notifier, title: Title) -> None:
        self._notifier = notifier
        self._title = title
        self._ready = False

    def booted(self) -> None:
        """The boot is through."""
        self._ready = True
        self._notifier.tell("READY=1", self._status())
        self._title.on_set = self._counted

    def reload(self, begins: bool) -> None:
        """A reload begins, or is over."""
        if self._ready:
            self._notifier.tell(*(reloading() if begins else ("READY=1", self._status())))

    def leaving(self) -> None:
        """The shutdown begins."""
        self._ready = False
        self._notifier.tell("STOPPING=1", "STATUS=shutting down")

    def close(self) -> None:
        """There is nothing more to tell."""
        self._notifier.close()

    def _counted(self) -> None:
        if self._ready:
            self._notifier.tell(self._status())

    def _status(self) -> str:
        return f"STATUS={self._title.count}"
