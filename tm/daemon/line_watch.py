"""Waiting for a line in the output of a process.

Guarantees: every line that it writes from its start on is looked at, as it was written, until the one has come; what
others write costs no more for it, and after that line this output neither. An expression that takes too long is given
up, and that is told.
Traps: a line that a daemon has taken in the moment of its death is not seen by the next one.
"""

from __future__ import annotations

from collections.abc import Callable

from tm.core.exitstatus import ExitStatus
from tm.core.lines import LINE_BYTES, cut
from tm.core.log_query import Sieve
from tm.daemon.output_views import LINE_S, PATIENCE_S
from tm.daemon.outputs import Outputs
from tm.daemon.wiring import Key
from tm.edge.patience import TooLong, within


class LineWatch:
    """Calls `found` once. `last`: why not yet."""

    def __init__(self, outputs: Outputs, key: Key, sieve: Sieve, found: Callable[[], None]) -> None:
        self._outputs = outputs
        self._key = key
        self._sieve = sieve
        self._found = found
        self._unfinished: dict[str, bytes] = {}
        self.last = "no line of its output was the one"
        outputs.watchers[key] = self._hear

    def stop(self) -> None:
        """Listen no more."""
        if self._outputs.watchers.get(self._key) == self._hear:
            del self._outputs.watchers[self._key]

    def reaped(self, pid: int, status: ExitStatus) -> None:
        """No process belongs to it."""

    def _hear(self, stream: str, data: bytes) -> None:
        whole, rest = cut(self._unfinished.pop(stream, b"") + data)
        if rest:
            self._unfinished[stream] = rest[-LINE_BYTES:]
        whole = whole.replace(b"\r\n", b"\n")  # from a terminal
        try:
            if whole and self._is_in(whole):
                self.stop()
                self._found()
        except TooLong:
            self.last = "the expression of 'log' takes too long on its output: simplify it"
            self.stop()

    def _is_in(self, block: bytes) -> bool:
        """Raises TooLong."""
        lines = block.removesuffix(b"\n").split(b"\n")
        if not self._sieve.takes_long:
            return any(map(self._sieve.passes, lines))
        with within(PATIENCE_S + LINE_S * len(lines)):
            return self._sieve.may_pass(block) and any(map(self._sieve.passes, lines))
