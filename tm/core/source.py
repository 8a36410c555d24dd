"""The lines of the files that were read, and the list of what is wrong with them.

Guarantees: problems come in the order of the files, once each; a value of the environment appears in no quoted line,
but as `***`: neither where the file could be read as YAML (what to hide is known then) nor where it could not (then
every line that may belong to an `env...` key is hidden).
Leaves to others: keeping values of the environment out of the messages.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from tm.core.errors import ConfigError, Place, Problem, did_you_mean
from tm.core.nodes import Entry, Mapping, Node

PROBLEMS_MOST: Final = 1000
COMPARED_MOST: Final = 100_000
"""Words that are compared for suggestions in one reading: enough for honest mistakes, and about a second at most."""
SUGGESTION_COST: Final = 500
"""What a suggestion costs beside that, in such words: the few nearest ones are looked at closely."""
MASK: Final = "***"
LINE_BREAK: Final = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_ENV_KEY = re.compile(r"""env(?!_?-?file)[\w.-]*["']?\s*:? ?""", re.IGNORECASE)
_VARIABLE = re.compile(r"""\s*(?:- )?["']?[A-Z_][A-Z0-9_]*["']?\s*[:=] ?""")
_OPENING = re.compile(r"""(?:["']?[\w.-]+["']?\s*[:=]|-)(?=\s|$|=)""")


class Flood(Exception):
    """More problems than anyone reads: reading stops."""


def may_hold_secrets(key: str) -> bool:
    """Whether what stands under this key is to be hidden.

    A misspelt `environment` counts, and a key in capitals: a variable that was indented too little.
    """
    return key.isupper() or _ENV_KEY.search(key) is not None


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


class Source:
    """One file, by lines. `secret`: nothing of it but the names before `=` may be shown (an env file)."""

    def __init__(self, path: str, text: str, secret: bool = False) -> None:
        self.path = path
        self._lines = LINE_BREAK.split(text)
        self._hidden: list[Node] = []
        self._visible: dict[int, int] = {}
        self._shown: dict[int, str] = {}
        if secret:
            self._visible = {number: _after_name(line) for number, line in enumerate(self._lines, 1)}

    def line(self, number: int) -> str:
        """The line for people: what is secret in it, masked. Lines outside of the file are empty."""
        for node in {id(node): node for node in self._hidden}.values():
            self._hide_now(node)
        self._hidden.clear()
        if number not in self._shown:
            text = self.written(number)
            seen = self._visible.get(number, len(text))
            self._shown[number] = text if seen >= len(text) else text[:seen] + MASK
        return self._shown[number]

    def written(self, number: int) -> str:
        """The line as it is, secrets and all."""
        return self._lines[number - 1] if number <= len(self._lines) else ""

    def hide(self, node: Node) -> None:
        """Hide the values below a node: of a mapping the keys stay, where they lead their line."""
        self._hidden.append(node)

    def hide_by_looks(self) -> None:
        """Hide what may be an environment, for a file that cannot be read as YAML."""
        owner = first = -1
        for number, line in enumerate(self._lines, 1):
            indentation = _indentation(line)
            if owner >= 0 and (indentation > owner or not _OPENING.match(line.lstrip())):
                first = indentation if first < 0 else first
                self._limit(number, _after_name(line) if indentation == first else indentation)
                continue
            owner = first = -1
            if found := _ENV_KEY.search(line):
                owner = indentation
                self._limit(number, found.end())
            elif found := _VARIABLE.match(line):
                self._limit(number, found.end())

    def _hide_now(self, node: Node) -> None:
        visible: dict[int, int] = {}
        self._cover(node, visible)
        if isinstance(node, Mapping):
            for entry in node.entries:
                self._cover(entry.value, visible)
            first = {entry.key.place.line: entry for entry in reversed(node.entries)}
            for entry in first.values():
                self._uncover_key(node, entry, visible)
        for number, limit in visible.items():
            self._limit(number, limit)

    def _cover(self, node: Node, visible: dict[int, int]) -> None:
        start = node.place.column - 1
        visible[node.place.line] = min(start, visible.get(node.place.line, start))
        for number in range(node.place.line + 1, node.last_line + 1):
            indentation = _indentation(self.written(number))
            visible[number] = min(indentation, visible.get(number, indentation))

    def _uncover_key(self, mapping: Mapping, entry: Entry, visible: dict[int, int]) -> None:
        line, column = entry.key.place.line, entry.key.place.column - 1
        start = mapping.place.column - 1 if line == mapping.place.line else 0
        if self.written(line)[start:column].strip() not in ("", "{"):
            return
        here = entry.value.place.line == line and entry.value.place.column - 1 > column
        visible[line] = entry.value.place.column - 1 if here else column + entry.key.width

    def _limit(self, number: int, visible: int) -> None:
        self._visible[number] = min(visible, self._visible.get(number, visible))


_NAME = re.compile(r"""\s*(?:export\s+)?(?:- )?["']?[A-Za-z_][\w.-]*["']?\s*[:=] ?""")


def _after_name(line: str) -> int:
    """How much of a `NAME=value` or `NAME: value` line is no secret."""
    found = _NAME.match(line)
    return found.end() if found else _indentation(line)


class Report:
    """The files that were read, in order, and their problems."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._problems: dict[Problem, None] = {}
        self._comparisons_left = COMPARED_MOST

    def __len__(self) -> int:
        return len(self._problems)

    def read(self, source: Source) -> Source:
        """A file takes its rank by being read; what was said of it before holds."""
        return self._sources.setdefault(source.path, source)

    def add(self, problem: Problem) -> None:
        """Note a problem whose source line is still to come. Said twice is said once. Raises Flood at too many."""
        self._problems[problem] = None
        if len(self._problems) >= PROBLEMS_MOST:
            raise Flood

    def refuse(self, identity: str, node: Node, message: str, expected: str = "", suggestion: str = "") -> None:
        """Note a problem of a node."""
        self.add(Problem(identity, node.place, node.width, "", message, expected, suggestion))

    def did_you_mean(self, word: str, known: Collection[str]) -> str:
        """A suggestion as `errors.did_you_mean` makes it; '' once this reading has made too many."""
        cost = len(known) + SUGGESTION_COST
        if cost > self._comparisons_left:
            return ""
        self._comparisons_left -= cost
        return did_you_mean(word, known)

    def error(self) -> ConfigError:
        """All problems, with their lines, in the order of the files."""
        ranks = {path: rank for rank, path in enumerate(self._sources)}
        last = len(ranks)

        def order(problem: Problem) -> tuple[int, Place]:
            return ranks.get(problem.place.path, last), problem.place

        return ConfigError(self._with_line(problem) for problem in sorted(self._problems, key=order))

    def _with_line(self, problem: Problem) -> Problem:
        source = self._sources.get(problem.place.path)
        line = source.line(problem.place.line) if source else ""
        return Problem(
            problem.id, problem.place, problem.width, line, problem.message, problem.expected, problem.suggestion
        )
