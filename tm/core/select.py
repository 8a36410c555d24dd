"""Which processes a word means.

Guarantees: the order of the rows is kept and no process is given twice; a word that means nothing is an answer with the
nearest name, never an empty selection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import NamedTuple

from tm.core.errors import nearest
from tm.core.process import Process


class NotFound(NamedTuple):
    """A word that selects nothing."""

    word: str
    suggestion: str | None

    def __str__(self) -> str:
        hint = f" Did you mean '{self.suggestion}'?" if self.suggestion else ""
        return f"Task '{self.word}' not found.{hint}"


def select(words: Iterable[str], rows: Sequence[Process]) -> list[Process] | NotFound:
    """The processes that `words` mean, or the first word that means none."""
    chosen: set[int] = set()
    for word in dict.fromkeys(words):
        found = _matching(word, rows)
        if not found and word != "all":
            return NotFound(word, nearest(word, names(rows)))
        chosen.update(found)
    return [rows[i] for i in sorted(chosen)]


def names(rows: Iterable[Process]) -> list[str]:
    """Every word that means a task or an instance, for completion and for suggestions."""
    return list(dict.fromkeys(name for row in rows for name in (row.task.name, row.name)))


def _matching(word: str, rows: Sequence[Process]) -> list[int]:
    """The indices of what `word` means: the first reading that finds something."""
    if word == "all":
        return list(range(len(rows)))
    if word.startswith("@"):
        return [i for i, row in enumerate(rows) if word[1:] in row.task.labels]
    task, colon, instance = word.partition(":")
    if colon:
        return [i for i, row in enumerate(rows) if row.task.name == task and _is(instance, row)]
    for reading in (_is_task, _is_instance):
        if found := [i for i, row in enumerate(rows) if reading(word, row)]:
            return found
    pattern = re.compile(translate(word))
    globbed = any(char in word for char in "*?[")
    return [i for i, row in enumerate(rows) if globbed and (pattern.match(row.task.name) or pattern.match(row.name))]


def _is(instance: str, row: Process) -> bool:
    return instance == "*" or _is_instance(instance, row)


def _is_task(word: str, row: Process) -> bool:
    return row.task.name == word


def _is_instance(word: str, row: Process) -> bool:
    return word in (row.name, f"{row.task.name}_{row.n}")
