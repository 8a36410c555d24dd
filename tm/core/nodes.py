"""The tree that a configuration file is read into: text, lists and mappings, each with its place.

Guarantees: a scalar keeps the text that was written, whatever YAML would make of it; a tree is finite and at most
`document.DEPTH_MOST` deep, though nodes may be shared where an alias was used; the keys of a mapping are text and
occur once.
Leaves to others: reading (`core.document`) and what the values mean (`core.values`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tm.core.errors import Place

A = TypeVar("A")
B = TypeVar("B")

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(slots=True, eq=False)
class Scalar:
    """One value. `plain`: written without quotes, so that YAML would have guessed a type for it."""

    place: Place
    width: int
    last_line: int
    text: str
    plain: bool

    @property
    def is_null(self) -> bool:
        """Whether nothing was written."""
        return self.plain and self.text in _NULLS


@dataclass(slots=True, eq=False)
class Sequence:
    """A list."""

    place: Place
    width: int
    last_line: int
    items: tuple[Node, ...]


@dataclass(slots=True, eq=False)
class Entry:
    """A key with its value. `merged`: it came by `<<`, and yields to a key written here, in any spelling."""

    key: Scalar
    value: Node
    merged: bool


@dataclass(slots=True, eq=False)
class Mapping:
    """Keys with values, in the order written."""

    place: Place
    width: int
    last_line: int
    entries: tuple[Entry, ...]


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(eq=False)
class Rejected(Exception):
    """A value that does not fit. `why` completes "'KEY' of OWNER: "; `expected` '': what the key says of itself."""

    node: Node
    id: str
    why: str
    expected: str = ""
    suggestion: str = ""


class AllRejected(Exception):
    """Every value below one key that does not fit."""

    def __init__(self, rejections: Iterable[Rejected]) -> None:
        self.rejections = tuple(rejections)
        super().__init__(self.rejections)


def gather(convert: Callable[[A], B], things: Iterable[A]) -> list[B]:
    """Convert them all; raises AllRejected after the last, so that no problem hides another."""
    done: list[B] = []
    rejections: list[Rejected] = []
    for thing in things:
        try:
            done.append(convert(thing))
        except Rejected as rejected:
            rejections.append(rejected)
    if rejections:
        raise AllRejected(rejections)
    return done


def kind_of(node: Node) -> str:
    """What a node is, for a sentence."""
    if isinstance(node, Scalar):
        return "empty" if node.is_null else "text"
    return "a list" if isinstance(node, Sequence) else "a mapping"


def scalar(node: Node, what: str = "one value") -> Scalar:
    """The node as one value, or Rejected."""
    if isinstance(node, Scalar):
        return node
    raise Rejected(node, "wrong-shape", f"this is {kind_of(node)}, not {what}")
