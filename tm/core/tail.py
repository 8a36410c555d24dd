"""The last bytes of a stream without a file, within a budget for all of them together.

Guarantees: a tail holds at most TAIL_BYTES, all tails of one `Tails` at most its budget; what is cut is the oldest
part, of the tail that has gone unread the longest; nothing is allocated before something comes; a stream that comes
byte by byte takes little more memory than one that comes at once.
"""

from __future__ import annotations

from collections import deque

TAIL_BYTES = 64 * 1024
_CHUNK_BYTES = 4096


class Tail:
    """One stream's last bytes. `size`: how many; `taken`: how many it has ever taken in."""

    __slots__ = ("_chunks", "_owner", "size", "taken")

    def __init__(self, owner: Tails) -> None:
        self._owner = owner
        self._chunks: deque[bytes | bytearray] | None = None
        self.size = self.taken = 0

    def append(self, data: bytes) -> None:
        """Take `data` in; the oldest bytes give way."""
        self.taken += len(data)
        if self._chunks is None:
            self._chunks = deque()
        self._put(self._chunks, data[-TAIL_BYTES:])
        grown = min(len(data), TAIL_BYTES)
        self.size += grown
        self._owner.grown(grown)
        self.shrink(TAIL_BYTES)
        self._owner.settle()

    @staticmethod
    def _put(chunks: deque[bytes | bytearray], data: bytes) -> None:
        """Small pieces come together in one chunk: each object alone would cost more than what it holds."""
        last = chunks[-1] if chunks else None
        if isinstance(last, bytearray) and len(last) + len(data) <= _CHUNK_BYTES:
            last += data
        else:
            chunks.append(data if len(data) >= _CHUNK_BYTES else bytearray(data))

    def read(self) -> bytes:
        """All that is held. Being read makes it the last to be cut."""
        self._owner.was_read(self)
        return b"".join(self._chunks or ())

    def clear(self) -> None:
        """Forget it all."""
        self.shrink(0)

    def shrink(self, limit: int) -> None:
        """Cut from the front down to `limit` bytes."""
        chunks = self._chunks
        while chunks and self.size > limit:
            first = chunks.popleft()
            excess = min(self.size - limit, len(first))
            if excess < len(first):
                chunks.appendleft(first[excess:])
            self.size -= excess
            self._owner.grown(-excess)


class Tails:
    """All tails and their budget in bytes, which may be changed at any time."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.total = 0
        self._by_reading: dict[Tail, None] = {}

    def new(self) -> Tail:
        """A further tail, empty."""
        tail = Tail(self)
        self._by_reading[tail] = None
        return tail

    def drop(self, tail: Tail) -> None:
        """Give up a tail with what it holds."""
        tail.clear()
        self._by_reading.pop(tail, None)

    def grown(self, size: int) -> None:
        """A tail grew by `size` bytes."""
        self.total += size

    def was_read(self, tail: Tail) -> None:
        """Move `tail` behind the others."""
        self._by_reading.pop(tail)
        self._by_reading[tail] = None

    def settle(self) -> None:
        """Halve tails, the longest unread first, until the budget is kept."""
        if self.total <= self.budget:
            return
        for tail in self._by_reading:
            while tail.size and self.total > self.budget:
                tail.shrink(tail.size // 2)
