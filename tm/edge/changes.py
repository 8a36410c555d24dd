"""Descriptors that are readable and stay so, watched for more: edge-triggered epoll(7) below the loop.

Guarantees: a callback is called when something new has come since the last call, and once at the beginning; what is
readable and unchanged wakes nobody. Where there is no epoll a descriptor is watched as any other is.
Leaves to others: descriptors, which have to be unwatched before they are closed.
"""

from __future__ import annotations

import select
from collections.abc import Callable

from tm.core.ports import Watcher

_EVENTS = 64


class Changes:
    """A set of descriptors; the loop watches one for all of them, while there are any."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._callbacks: dict[int, Callable[[], None]] = {}

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call it when more comes. Watched already: that goes on."""
        if self._epoll is None:
            self._watcher.watch(fd, callback)
        elif fd not in self._callbacks:
            if not self._callbacks:
                self._watcher.watch(self._epoll.fileno(), self._ready)
            self._callbacks[fd] = callback
            self._epoll.register(fd, select.EPOLLIN | select.EPOLLET)

    def unwatch(self, fd: int) -> None:
        """Forget it; not watched: nothing happens."""
        if self._epoll is None:
            self._watcher.unwatch(fd)
        elif self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            if not self._callbacks:
                self._watcher.unwatch(self._epoll.fileno())

    def close(self) -> None:
        """Give the descriptor back; nothing is watched any more."""
        if self._epoll is not None:
            for fd in list(self._callbacks):
                self.unwatch(fd)
            self._epoll.close()

    def _ready(self) -> None:
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0, _EVENTS):
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback()
