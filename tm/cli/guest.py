"""The foreground shell while somebody is attached to a terminal: its own prompt waits until he comes back.

Guarantees: what he types goes to the process, what the process shows comes as it is; Ctrl-], a hang-up, losing the
terminal to another job, and the end of the process bring the prompt back, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tm.cli import raw
from tm.core.ports import Outlet, Watcher

if TYPE_CHECKING:
    from tm.daemon.attaching import Attached

STDIN = 0


class Guest:
    """`on_back` hears why the prompt is back."""

    def __init__(self, watcher: Watcher, outlet: Outlet, on_back: Callable[[str], None]) -> None:
        self._watcher = watcher
        self._outlet = outlet
        self._on_back = on_back
        self._raw = raw.Raw()
        self._attached: Attached | None = None

    def show(self, data: bytes) -> None:
        """What the terminal shows."""
        self._outlet.put(self._raw.shown(data))

    def ended(self, text: str) -> None:
        """The process has ended."""
        self._back(text)

    def stay(self, attached: Attached) -> None:
        """Until he comes back."""
        self._attached = attached
        self._raw.enter()
        self._watcher.watch(STDIN, self._typed)
        self.show(attached.first)
        self.resized()

    def resized(self) -> None:
        """The terminal has another size."""
        if self._attached is not None:
            self._attached.resize(*raw.size())

    def leave(self) -> None:
        """Come back, the process goes on."""
        if self._attached is not None:
            self._back(f"Detached from '{self._attached.name}', which goes on.")

    def _typed(self) -> None:
        if self._attached is None:
            return
        typed, last = raw.keys()
        if typed and not self._attached.type(typed):
            self._outlet.put(raw.BELL)
        if last:
            self.leave()

    def _back(self, text: str) -> None:
        attached, self._attached = self._attached, None
        if attached is None:
            return
        attached.end()
        self._watcher.unwatch(STDIN)
        self._outlet.put(self._raw.leave())
        self._on_back(text)
