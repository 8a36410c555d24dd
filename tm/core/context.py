"""What the reading of a configuration asks of the machine, as a capability: so the reading itself stays pure.

Guarantees: nothing here does anything; `Context` says how relative paths, variables and `{here}` are settled.
Leaves to others: the real machine (`edge.world`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class World(Protocol):
    """The machine, as far as a configuration can see it."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that `${VAR}` means."""

    @property
    def cwd(self) -> str:
        """Where taskmaster was started: an absolute path."""

    def read(self, path: str) -> str:
        """The text of a file. Raises `errors.Unreadable`."""

    def glob(self, pattern: str) -> Sequence[str]:
        """The files that match, sorted."""

    def has_user(self, name: str) -> bool:
        """Whether there is a user of this name."""

    def has_group(self, name: str) -> bool:
        """Whether there is a group of this name."""

    def has_zone(self, name: str) -> bool:
        """Whether there is a time zone of this name."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a value may refer to. `here`: the absolute directory of the file that is being read."""

    world: World
    here: str


def absolute(path: str, cwd: str) -> str:
    """`path` seen from `cwd`, without detours; symbolic links are not looked at."""
    joined = posixpath.normpath(posixpath.join(cwd, path))
    return "/" + joined.lstrip("/")
