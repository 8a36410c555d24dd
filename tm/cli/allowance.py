"""How much a prompt is told of what nobody is waiting for, without being flooded.

Guarantees: the first BURST texts come at once, then REFILL_PER_S a second; what is held back is counted and told.
"""

from __future__ import annotations

from collections.abc import Callable

from tm.edge.loop import Loop

BURST = 40
REFILL_PER_S = 5.0


class Allowance:
    """How much a prompt is told."""

    def __init__(self, loop: Loop, tell: Callable[[str], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._allowed = float(BURST)
        self._at = loop.now
        self._held_back = 0

    def tell(self, text: str) -> None:
        """Tell it now, or count it."""
        if self._held_back == 0 and self._take():
            self._tell(text)
            return
        if self._held_back == 0:
            self._loop.call_in(1.0, self._report)
        self._held_back += 1

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
