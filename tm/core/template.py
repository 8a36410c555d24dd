"""Text with holes: what `${VAR}`, `$$` and `{task} {instance} {n} {here}` mean in paths and in the environment.

Guarantees: one pass from left to right; what a variable holds is never expanded again; variables and `{here}` are
settled at load, so that a template holds only the three slots that differ between instances; equal texts are equal
templates. What is none of these words (`$5`, `$HOME`, `{other}`) stays as written.
Leaves to others: which keys are expanded at all, and where an error is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from tm.core.errors import did_you_mean, quoted


class Slot(Enum):
    """A hole that is filled for each instance."""

    TASK = "task"
    INSTANCE = "instance"
    N = "n"


HERE = "here"
"""The word for the directory of the file in which it is written."""


class Unexpandable(Exception):
    """A text whose variables cannot be settled. `reason` is a sentence, `hint` what to write instead, or ''."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Template(NamedTuple):
    """Pieces of text and slots, in order. Neighbouring texts are one piece, and no piece is empty."""

    parts: tuple[str | Slot, ...]

    @classmethod
    def of(cls, parts: Iterable[str | Slot]) -> Template:
        """A template in the one form that its text has."""
        joined: list[str | Slot] = []
        for part in parts:
            if isinstance(part, str) and joined and isinstance(joined[-1], str):
                joined[-1] += part
            elif part:
                joined.append(part)
        return cls(tuple(joined))

    def fill(self, task: str, instance: str, n: int | str) -> str:
        """The text for one instance."""
        if len(self.parts) == 1 and isinstance(text := self.parts[0], str):
            return text
        values = {Slot.TASK: task, Slot.INSTANCE: instance, Slot.N: str(n)}
        return "".join(part if isinstance(part, str) else values[part] for part in self.parts)

    @property
    def is_common(self) -> bool:
        """Whether all instances of a task have the same text."""
        return Slot.N not in self.parts and Slot.INSTANCE not in self.parts

    @property
    def text(self) -> str:
        """As it was written, variables settled."""
        return self.fill("{task}", "{instance}", "{n}")


_TOKEN = re.compile(
    r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<open>\$\{)|\{(?P<word>task|instance|n|here)\}"
)


def expand(text: str, variables: Mapping[str, str], here: str) -> Template:
    """Settle `text`. Raises Unexpandable for a variable that is not set and has no default, and for a lame `${`."""
    parts: list[str | Slot] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts += [text[end : token.start()], _piece(token, variables, here)]
        end = token.end()
    return Template.of([*parts, text[end:]])


def _piece(token: re.Match[str], variables: Mapping[str, str], here: str) -> str | Slot:
    if token["open"]:
        raise Unexpandable("'${' begins no variable", "write '${NAME}' or '${NAME:-default}', and '$$' for a plain '$'")
    if token["word"]:
        return here if token["word"] == HERE else Slot(token["word"])
    if token["name"]:
        return _variable(token["name"], token["default"], variables)
    return "$"


def _variable(name: str, default: str | None, variables: Mapping[str, str]) -> str:
    value = variables.get(name)
    if default is not None:
        return value or default
    if value is None:
        hint = did_you_mean(name, variables) or f"set it, or write a default: '${{{name}:-...}}'"
        raise Unexpandable(f"the variable {quoted(name)} is not set", hint)
    return value
