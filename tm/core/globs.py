"""Globs of absolute paths: which paths one matches, and which directories lead to such paths.

Guarantees: `*`, `?` and `[...]` match within one name, `**` as a whole name any number of directories; a name that
begins with a dot is matched only by what begins with one, so that `**` stays out of .git. Without any of these a path
matches itself, and everything below it that has no name with a dot in front.
Leaves to others: what there is (`daemon.watched_tree`). No link is followed, since nobody here looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from typing import Final

_DEEP: Final = "**"
_MAGIC: Final = re.compile(r"[*?\[]")


class Globs:
    """Several of them. `roots`: the directories in which, or below which, everything is that they match."""

    def __init__(self, patterns: Iterable[str]) -> None:
        each = [_Glob(pattern) for pattern in patterns]
        self._globs = tuple(each)
        self.roots = tuple(dict.fromkeys(glob.root for glob in each))

    def matches(self, path: str) -> bool:
        """Whether one of them matches it."""
        names = _names(path)
        return any(len(glob.parts) in glob.reached(names) for glob in self._globs)

    def leads(self, directory: str) -> bool:
        """Whether something in it, or below it, can match."""
        names = _names(directory)
        return any(at < len(glob.parts) or at in glob.deep for glob in self._globs for at in glob.reached(names))


class _Glob:
    """One. `parts`: a pattern for each name, None for `**`; `deep`: the places at which everything below matches."""

    def __init__(self, pattern: str) -> None:
        names = _names(pattern)
        plain = [name for name in names if not _MAGIC.search(name)]
        literal = next((at for at, name in enumerate(names) if _MAGIC.search(name)), len(names) - 1)
        self.root = "/" + "/".join(names[:literal])
        if len(plain) == len(names):
            names = [*names, _DEEP]
        self.parts = tuple(None if name == _DEEP else _Name(name) for name in names)
        self.deep = {len(self.parts)} if self.parts and self.parts[-1] is None else set()

    def reached(self, names: list[str]) -> set[int]:
        """How many of the parts these names may have used up."""
        at = self._closed({0})
        for name in names:
            at = self._closed({place for each in at for place in self._after(each, name)})
        return at

    def _after(self, at: int, name: str) -> set[int]:
        if at == len(self.parts):
            return set()
        part = self.parts[at]
        if part is None:
            return set() if name.startswith(".") else {at}
        return {at + 1} if part.matches(name) else set()

    def _closed(self, at: set[int]) -> set[int]:
        """With what is reached by a `**` that stands for nothing."""
        for place in range(len(self.parts)):
            if place in at and self.parts[place] is None:
                at.add(place + 1)
        return at


class _Name:
    """A pattern of one name."""

    def __init__(self, pattern: str) -> None:
        self._hidden = pattern.startswith(".")
        self._pattern = re.compile(translate(pattern))

    def matches(self, name: str) -> bool:
        """Whether it is such a name."""
        return (self._hidden or not name.startswith(".")) and self._pattern.match(name) is not None


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]
