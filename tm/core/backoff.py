"""How long to wait before the next attempt.

Guarantees: doubling from `restartDelay`, never over `restartDelayMax`; a jitter of 10 % either way that is a hash of
the name, the attempt and the instant, so that processes which died together come back apart and a test can say when.
"""

from __future__ import annotations

from zlib import crc32

JITTER = 0.1
_MOST_DOUBLINGS = 62


def delay_s(name: str, attempt: int, at: float, first_s: float, most_s: float) -> float:
    """Seconds before attempt number `attempt` (from 1) of process `name`, which failed at the instant `at`."""
    plain_s: float = first_s * 2 ** min(attempt - 1, _MOST_DOUBLINGS)
    fraction = crc32(f"{name} {attempt} {at!r}".encode()) / 0xFFFFFFFF
    return min(min(plain_s, most_s) * (1 - JITTER + 2 * JITTER * fraction), most_s)
