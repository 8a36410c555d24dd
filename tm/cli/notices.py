"""What the prompt is told of changes, without being flooded.

Guarantees: what becomes of the processes that the last command named is told, PROMISED changes of each; the others
share an allowance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from tm.cli.allowance import BURST, Allowance
from tm.core.effects import Send
from tm.core.process import Occurrence, Process
from tm.core.report import told
from tm.edge.loop import Loop

PROMISED = 4


class Notices:
    """An observer of the rows that talks to a console."""

    def __init__(self, loop: Loop, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._allowance = Allowance(loop, tell)
        self._promised: dict[str, int] = {}

    def promise(self, names: Iterable[str]) -> None:
        """Somebody waits to hear what becomes of these, BURST of them at most; of those named before nobody does."""
        self._promised = dict.fromkeys(islice(names, BURST), PROMISED)

    def observe(self, before: Process, what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """A row changed."""
        text = told(before, what, after)
        if text is None:
            return
        if self._is_promised(after.name):
            self._tell(text)
        else:
            self._allowance.tell(text)

    def _is_promised(self, name: str) -> bool:
        left = self._promised.get(name, 0)
        if left:
            self._promised[name] = left - 1
        return left > 0
