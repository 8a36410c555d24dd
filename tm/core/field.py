"""A key of the configuration as one declaration, and the reading of a mapping by a table of them.

Guarantees: every key that is unknown, given twice (in whatever spelling) or holds what does not fit is reported at its
place; what is empty counts as not given; a key that came by `<<` yields to one written there.
Leaves to others: which keys there are (`core.task_keys`, `core.setting_keys`), and what must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from tm.core.context import Context
from tm.core.document import read
from tm.core.errors import Place, quoted
from tm.core.nodes import AllRejected, Entry, Node, Rejected, Scalar
from tm.core.nodes import Mapping as MappingNode
from tm.core.source import Report
from tm.core.task import OnReload

FREE_PREFIX = "x-"
"""Keys that begin so are for the reader's own use, at every level."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of values: how one is read, what is expected, and its JSON Schema."""

    convert: Callable[[Node, Context], Any]
    expected: str
    schema: Mapping[str, Any]

    def __call__(self, node: Node, context: Context) -> Any:
        """The value of a node. Raises AllRejected."""
        try:
            return self.convert(node, context)
        except Rejected as one:
            rejections: tuple[Rejected, ...] = (one,)
        except AllRejected as several:
            rejections = several.rejections
        raise AllRejected(replace(each, expected=each.expected or self.expected) for each in rejections)


@dataclass(frozen=True, slots=True)
class Field:
    """A key. `default`: as it would be written, '' when there is none; `doc`: one sentence for people."""

    key: str
    attribute: str
    convert: Kind
    default: str
    on_reload: OnReload
    doc: str
    aliases: tuple[str, ...] = ()
    unit: str = ""

    @property
    def spellings(self) -> tuple[str, ...]:
        """The key first, then what else is accepted for it."""
        return (self.key, *self.aliases)

    @property
    def default_value(self) -> Any:
        """The default as plain data, for the schema."""
        return yaml.safe_load(self.default)

    def default_for(self, context: Context) -> Any:
        """The default as a value; None when there is none."""
        if not self.default:
            return None
        root = read("default", f"value: {self.default}", Report())
        return self.convert(root.entries[0].value, context) if root else None


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was written. `node`: where; `owner`: who wrote it, for messages."""

    value: Any
    key: Scalar
    node: Node
    owner: str

    @property
    def place(self) -> Place:
        """Where its key stands."""
        return self.key.place


@dataclass(slots=True)
class Block:
    """What a mapping gives, by key. `refused`: keys that were given, but not so that they could be used."""

    given: dict[str, Given] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)


class Table:
    """The keys of one kind of mapping. `what` completes "expected "."""

    def __init__(self, what: str, fields: Iterable[Field]) -> None:
        self.what = what
        self.fields = tuple(fields)
        self.by_spelling = {spelling: each for each in self.fields for spelling in each.spellings}

    def defaults(self, context: Context) -> dict[str, Any]:
        """The value of each key that is not given, by attribute."""
        return {each.attribute: each.default_for(context) for each in self.fields}

    def read(self, mapping: MappingNode, owner: str, context: Context, report: Report) -> Block:
        """What a mapping gives. `owner` names it in messages."""
        block = Block()
        seen: dict[str, Entry] = {}
        for entry in sorted(mapping.entries, key=lambda each: each.merged):
            each = self._field(entry, owner, report)
            if each is None or self._is_repeated(each, entry, seen, report):
                continue
            seen[each.key] = entry
            if isinstance(entry.value, Scalar) and entry.value.is_null:
                continue
            try:
                value = each.convert(entry.value, context)
                block.given[each.key] = Given(value, entry.key, entry.value, owner)
            except AllRejected as rejected:
                block.refused.add(each.key)
                for every in rejected.rejections:
                    refuse(every, entry.key.text, owner, report)
        return block

    def _field(self, entry: Entry, owner: str, report: Report) -> Field | None:
        key = entry.key.text
        if key.startswith(FREE_PREFIX):
            return None
        if key not in self.by_spelling:
            message = f"unknown key {quoted(key)} in {owner}"
            hint = report.did_you_mean(key, self.by_spelling)
            report.refuse("unknown-key", entry.key, message, self.what, hint)
        return self.by_spelling.get(key)

    def _is_repeated(self, each: Field, entry: Entry, seen: Mapping[str, Entry], report: Report) -> bool:
        first = seen.get(each.key)
        if first is None:
            return False
        if not entry.merged:
            message = f"{quoted(entry.key.text)} and {quoted(first.key.text)} are two spellings of one key"
            hint = f"the first is on line {first.key.place.line}; keep one"
            report.refuse("duplicate-key", entry.key, message, "", hint)
        return True


def refuse(rejected: Rejected, key: str, owner: str, report: Report) -> None:
    """Note a value that does not fit its key."""
    message = f"{quoted(key)} of {owner}: {rejected.why}"
    report.refuse(rejected.id, rejected.node, message, rejected.expected, rejected.suggestion)
