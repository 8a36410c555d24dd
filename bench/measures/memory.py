"""Where a run writes what it writes: into memory, where that can be had.

A disk is not what is measured, and has moods: ext4, for minutes after thousands of logs of the last run were deleted,
looks at each of them before it makes a new one; and who writes much is let wait.
"""

from __future__ import annotations

import os
from pathlib import Path

_MEMORY = Path("/dev/shm")


def place() -> Path | None:
    """A directory in memory in which programs can be run too; None, the usual one, where there is none, or where
    TMPDIR says something else.
    """
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    return _MEMORY if usable and "TMPDIR" not in os.environ else None
