"""Work that is put off, and done once for all who have asked for it until then."""

from __future__ import annotations

from collections.abc import Callable

from tm.core.ports import Callback


class Once:
    """`put_off` is given what to do when it is time, as `Loop.first` and `Loop.soon` are. `due`: somebody has asked."""

    __slots__ = ("_put_off", "_work", "due")

    def __init__(self, put_off: Callable[[Callback], object], work: Callback) -> None:
        self._put_off, self._work = put_off, work
        self.due = False

    def ask(self) -> None:
        """Have it done, not from within what happens now."""
        if not self.due:
            self.due = True
            self._put_off(self._do)

    def _do(self) -> None:
        self.due = False
        self._work()
