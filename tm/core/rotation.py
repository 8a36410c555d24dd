"""When a log file is complete, and what its predecessors are called. Pure.

Guarantees: a file is complete at a line end, unless none comes within SLACK_BYTES after its limit; nothing is dropped,
doubled or reordered by cutting; an empty file is never complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SLACK_BYTES: Final = 64 * 1024
"""How far a line may lead beyond the limit before the file is cut inside it."""


def portion(data: bytes, size: int, limit: int, at_line_end: bool) -> tuple[int, bool]:
    """How much of `data` still goes into a file of `size` bytes, and whether the file is complete with it.

    `limit`: bytes, 0 for none; `at_line_end`: whether the file ends with a line end now.
    """
    room = limit - size
    if not limit or len(data) <= room:
        return len(data), False
    if end := data.rfind(b"\n", 0, max(room, 0)) + 1:
        return end, True
    if size and at_line_end:
        return 0, True
    if end := data.find(b"\n", max(room, 0)) + 1:
        return end, True
    return len(data), len(data) - room > SLACK_BYTES


def names(path: str, keep: int, there: Callable[[str], bool]) -> list[tuple[str, str]]:
    """The renames that make room for a new file, in their order: the newest of `keep` predecessors is `path.1`. Only
    what is there is renamed, up to the first that is missing.
    """
    numbered = [path]
    while len(numbered) <= keep and there(numbered[-1]):
        numbered.append(f"{path}.{len(numbered)}")
    return list(zip(reversed(numbered[:-1]), reversed(numbered[1:]), strict=True))
