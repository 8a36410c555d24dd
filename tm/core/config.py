"""A configuration, as a value.

Guarantees: it has no problem: all of them were found when it was read.
Leaves to others: the reading of files (`core.loading`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tm.core.settings import Settings
from tm.core.task import Task


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without problems. `path`: as it was named; `tasks`: in the order of the files."""

    path: str
    tasks: Mapping[str, Task]
    settings: Settings


EMPTY: Final = Config("", {}, Settings())
"""Nothing to keep: what a boot begins with and a shutdown ends with."""
