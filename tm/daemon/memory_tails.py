"""What streams without a file said last, by process and stream.

Guarantees: a tail is kept over restarts of its process, until the instance is gone for good.
Leaves to others: how much of it is kept (`core.tail`).
"""

from __future__ import annotations

from tm.core.log_search import Held
from tm.core.tail import Tail, Tails
from tm.daemon.wiring import Key


class MemoryTails:
    """All tails of one daemon."""

    def __init__(self, tails: Tails) -> None:
        self._tails = tails
        self._by_stream: dict[tuple[Key, str], Tail] = {}

    def tail(self, key: Key, stream: str) -> Tail:
        """The tail of a stream, empty at first."""
        return self._by_stream.get((key, stream)) or self._by_stream.setdefault((key, stream), self._tails.new())

    def all(self) -> list[tuple[Key, str, bytes, int]]:
        """Everything: whose, which stream, what it holds, how much it ever took."""
        return [(*whose, tail.read(), tail.taken) for whose, tail in self._by_stream.items()]

    def put(self, key: Key, stream: str, data: bytes, taken: int) -> None:
        """What `all` has told."""
        tail = self.tail(key, stream)
        tail.append(data)
        tail.taken = taken

    def read(self, key: Key, stream: str) -> Held:
        """What it holds."""
        tail = self._by_stream.get((key, stream))
        return Held(b"") if tail is None else Held(tail.read(), tail.taken)

    def clear(self, key: Key) -> None:
        """Forget what a process said."""
        for (whose, _), tail in self._by_stream.items():
            if whose == key:
                tail.clear()

    def forget(self, key: Key) -> None:
        """The instance is gone for good."""
        for stream in ("stdout", "stderr"):
            if (tail := self._by_stream.pop((key, stream), None)) is not None:
                self._tails.drop(tail)
