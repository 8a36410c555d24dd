"""What the prompt is told of changes, without being flooded.

Guarantees: what becomes of the processes that the last command named is told, PROMISED changes of each; of the others
the first BURST notices come at once, then REFILL_PER_S a second, and what is held back is counted and told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from tm.core.process import Occurrence, Process, Send
from tm.core.report import told
from tm.core.timers import Instant
from tm.edge.loop import Loop

BURST = 40
REFILL_PER_S = 5.0
PROMISED = 4


class Notices:
    """An observer of the rows that talks to a console."""

    def __init__(self, loop: Loop, tell: Callable[[str], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._allowed = float(BURST)
        self._at = loop.now
        self._held_back = 0
        self._promised: dict[str, int] = {}

    def promise(self, names: Iterable[str]) -> None:
        """Somebody waits to hear what becomes of these, BURST of them at most; of those named before nobody does."""
        self._promised = dict.fromkeys(islice(names, BURST), PROMISED)

    def observe(self, before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """A row changed."""
        text = told(before, what, after)
        if text is None:
            return
        if self._is_promised(after.name) or (self._held_back == 0 and self._take()):
            self._tell(text)
            return
        if self._held_back == 0:
            self._loop.call_at(Instant(self._loop.now + 1.0), self._report)
        self._held_back += 1

    def _is_promised(self, name: str) -> bool:
        left = self._promised.get(name, 0)
        if left:
            self._promised[name] = left - 1
        return left > 0

    def _take(self) -> bool:
        now = self._loop.now
        self._allowed = min(float(BURST), self._allowed + (now - self._at) * REFILL_PER_S)
        self._at = now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    def _report(self) -> None:
        self._tell(f"... and {self._held_back} more changes; type: events")
        self._held_back = 0
