"""YAML text into our own tree, by the events of PyYAML's parser.

Guarantees: every value keeps its text, line and column; merges (`<<`) and aliases work; whatever the text holds, the
outcome is a tree or problems with their places, and never an exception. Nothing here recurses, and depth and number of
nodes are counted as they come, aliases as often as they are used: a file that would unfold to millions is refused
before it does. The parser's events are read instead of its composer's nodes because the composer recurses, and because
it guesses types that nobody here wants.
Leaves to others: what keys and values mean.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import yaml

from tm.core.errors import Place, Problem, quoted
from tm.core.nodes import Entry, Mapping, Node, Scalar, Sequence
from tm.core.source import LINE_BREAK, PROBLEMS_MOST, Report, Source, may_hold_secrets
from tm.core.yaml_errors import TOO_DEEP, explain

DEPTH_MOST: Final = 64
NODES_MOST: Final = 500_000
TEXT_MOST: Final = 4 * 1024 * 1024
LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: five times as fast."""

_MERGE = "<<"
_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ["bool", "float", "int", "map", "null", "seq", "str"])
_TEXT_TAGS: Final = frozenset({"!", "tag:yaml.org,2002:str"})
# Said by what is no text: the same set, said by what is, takes ten times as long to compile.
_UNPRINTABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_UNUSABLE = re.compile("[\0\ud800-\udfff]")


class _Stop(Exception):
    """Nothing more can be read of this file; the reason is in the report."""


def read(path: str, text: str, report: Report, loader: type[Any] = LOADER) -> Mapping | None:
    """The root of a configuration file, or None with at least one problem in `report`."""
    text = text.removeprefix("\ufeff")
    if len(text) > TEXT_MOST:
        whole = Problem("too-big", Place(path, 1, 1), 1, "", "the file is larger than 4 MiB", "a smaller file")
        report.add(whole)
        return None
    source = report.read(Source(path, text))
    if not _refuse_unprintable(path, text, source, report):
        return None
    try:
        root = _Builder(path, source, report).build(text, loader)
    except _Stop:
        return None
    return _as_root(path, root, report)


def _refuse_unprintable(path: str, text: str, source: Source, report: Report) -> bool:
    found = list(islice(_UNPRINTABLE.finditer(text), PROBLEMS_MOST))
    if not found:
        return True
    source.hide_by_looks()
    starts = [0, *(each.end() for each in LINE_BREAK.finditer(text))]
    for each in found:
        line = bisect_right(starts, each.start())
        place = Place(path, line, each.start() - starts[line - 1] + 1)
        message = f"the character U+{ord(each[0]):04X} cannot stand in a YAML file"
        report.add(Problem("control-character", place, 1, "", message, "text", 'write it as an escape: "\\x1b"'))
    return False


def _as_root(path: str, root: Node | None, report: Report) -> Mapping | None:
    if isinstance(root, Mapping):
        return root
    place = root.place if root else Place(path, 1, 1)
    if root is None or (isinstance(root, Scalar) and root.is_null):
        message = "the file is empty"
    else:
        message = f"the file holds {'a list' if isinstance(root, Sequence) else 'only text'}, not a mapping"
    report.add(Problem("no-mapping", place, 1, "", message, "'tasks:' with the tasks below it"))
    return None


@dataclass(slots=True, eq=False)
class _Frame:
    """A list or mapping whose end has not come yet. `key`: the key that waits for its value."""

    place: Place
    is_mapping: bool
    last_line: int
    anchor: str | None
    size_before: int
    secret: bool
    items: list[Node] = field(default_factory=list)
    keys: dict[str, Scalar] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    merges: list[Node] = field(default_factory=list)
    key: Node | None = None


class _Builder:
    """Builds one document. `_size` counts nodes as if every alias were written out."""

    def __init__(self, path: str, source: Source, report: Report) -> None:
        self._path = path
        self._source = source
        self._report = report
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._root: Node | None = None
        self._documents = 0
        self._size = 0

    def build(self, text: str, loader: type[Any]) -> Node | None:
        """The root node; None for a text without one. Raises _Stop."""
        last: Any = None
        try:
            for event in yaml.parse(text, Loader=loader):
                last = event.end_mark
                self._take(event)
        except yaml.MarkedYAMLError as error:
            self._fail(*explain(error, self._source.written))
        except (yaml.YAMLError, ValueError, OverflowError):
            # What the parsers do not mark: an escape such as "\UFFFFFFFF", and the end of what libyaml can count.
            self._fail(last, "yaml-syntax", "what follows is not valid YAML", "")
        return self._root

    def _fail(self, mark: Any, identity: str, message: str, suggestion: str) -> None:
        self._source.hide_by_looks()
        place = Place(self._path, mark.line + 1, mark.column + 1) if mark else Place(self._path, 1, 1)
        self._report.add(Problem(identity, place, 1, "", message, "", suggestion))
        raise _Stop

    def _take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                self._grow(event, 1)
                self._put(self._scalar(event), event.anchor, 1)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close(event)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    message = "a second document begins here"
                    self._fail(
                        event.start_mark, "second-document", message, "one file holds one document: remove '---'"
                    )
            case _:
                pass

    def _grow(self, event: Any, size: int) -> None:
        self._size += size
        if self._size > NODES_MOST:
            message = f"the file unfolds to more than {NODES_MOST} values"
            self._fail(event.start_mark, "too-many-values", message, "use fewer aliases, or several files")

    def _place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self._path, mark.line + 1, mark.column + 1)

    def _scalar(self, event: Any) -> Scalar:
        start, end = event.start_mark, event.end_mark
        width = max(1, end.column - start.column if start.line == end.line else len(event.value.split("\n")[0]))
        plain = not event.style and event.tag not in _TEXT_TAGS
        node = Scalar(self._place(event), width, _last_line(event), event.value, plain)
        self._check_tag(event, node)
        if event.style and _UNUSABLE.search(event.value):
            message = "this text holds a NUL or half a character, which no program can be given"
            self._report.refuse("control-character", node, message)
        return node

    def _check_tag(self, event: Any, node: Node) -> None:
        if event.tag and event.tag not in _TAGS and event.tag != "!":
            name = "this tag" if self._is_secret() else f"the tag {quoted(event.tag)}"
            self._report.refuse(
                "unknown-tag", node, f"{name} has no meaning here", "", "values have no types; leave it out"
            )

    def _is_secret(self) -> bool:
        if not self._stack:
            return False
        frame = self._stack[-1]
        return frame.secret or (isinstance(frame.key, Scalar) and may_hold_secrets(frame.key.text))

    def _open(self, event: Any) -> None:
        self._grow(event, 1)
        if len(self._stack) >= DEPTH_MOST:
            self._fail(event.start_mark, *TOO_DEEP)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        frame = _Frame(
            self._place(event), is_mapping, _last_line(event), event.anchor, self._size - 1, self._is_secret()
        )
        self._check_tag(event, Sequence(frame.place, 1, frame.place.line, ()))
        self._anchors.pop(event.anchor, None)
        self._stack.append(frame)

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        node: Node
        if frame.is_mapping:
            node = Mapping(frame.place, 1, frame.last_line, (*self._merged(frame), *frame.entries))
        else:
            node = Sequence(frame.place, 1, frame.last_line, tuple(frame.items))
        self._put(node, frame.anchor, self._size - frame.size_before)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if name in self._anchors:
            node, size = self._anchors[name]
            self._grow(event, size)
            self._put(node, None, size)
            return
        within = any(frame.anchor == name for frame in self._stack)
        stand_in = Scalar(self._place(event), len(name) + 1, _last_line(event), "", plain=True)
        shown = "this alias" if self._is_secret() else f"the alias {quoted('*' + name)}"
        if within:
            self._report.refuse("alias-cycle", stand_in, f"{shown} stands inside of what it names")
        else:
            hint = "" if self._is_secret() else self._report.did_you_mean(name, self._anchors)
            hint = hint or "a text that begins with '*' needs quotes"
            self._report.refuse("unknown-alias", stand_in, f"{shown} names no anchor before it", "", hint)
        self._put(stand_in, None, 1)

    def _put(self, node: Node, anchor: str | None, size: int) -> None:
        """A finished node goes to the list or mapping that waits for it."""
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        if node.place.line >= frame.last_line:
            frame.last_line = node.last_line
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            self._pair(frame, frame.key, node)
            frame.key = None

    def _pair(self, frame: _Frame, key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self._report.refuse("key-not-text", key, "a key must be text", "'key: value'")
            return
        if may_hold_secrets(key.text):
            self._source.hide(value)
        if key.text in frame.keys:
            first = frame.keys[key.text].place
            message = f"the key {quoted(key.text)} stands here a second time"
            self._report.refuse("duplicate-key", key, message, "", f"the first is on line {first.line}; keep one")
            return
        frame.keys[key.text] = key
        if key.text == _MERGE and key.plain:
            frame.merges.append(value)
        else:
            frame.entries.append(Entry(key, value, merged=False))

    def _merged(self, frame: _Frame) -> list[Entry]:
        """What `<<` brings: of several mappings the first with a key gives it, and keys written here win."""
        brought: dict[str, Entry] = {}
        for merge in frame.merges:
            for mapping in merge.items if isinstance(merge, Sequence) else (merge,):
                if not isinstance(mapping, Mapping):
                    self._report.refuse(
                        "bad-merge", mapping, "'<<' takes mappings", "an alias of a mapping, or a list of them"
                    )
                    continue
                for entry in mapping.entries:
                    if entry.key.text not in frame.keys:
                        brought.setdefault(entry.key.text, Entry(entry.key, entry.value, merged=True))
        return list(brought.values())


def _last_line(event: Any) -> int:
    """The last line of an event; a block of text ends at the beginning of the line after it."""
    start, end = event.start_mark, event.end_mark
    return int(max(start.line + 1, end.line + 1 if end.column else end.line))
