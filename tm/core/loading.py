"""The reading of a configuration: the file with its includes, read whole and checked whole.

A reading goes through the files depth first. In each, `defaults:` is read before anything else, wherever it stands; it
lies on top of the defaults of the file that included it. Then the other keys in the order written, so that an include
puts its tasks where it stands. Every value is converted once, where it was written: a bad one in `defaults:` is one
problem, however many tasks would use it. When the last file is read, what has to hold between tasks is looked at.

Guarantees: `load` returns a configuration without any problem, or raises ConfigError with all of them, in the order of
the files; whatever the files hold, it raises nothing else. A reading changes nothing.
Leaves to others: the machine (a `World`), YAML (`core.document`), keys (`core.field`), tasks (`core.settle`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tm.core.blocks import items
from tm.core.checks import check
from tm.core.config import Config
from tm.core.context import Context, World, absolute
from tm.core.document import read
from tm.core.errors import Missing, Place, Problem, Unreadable, quoted
from tm.core.field import FREE_PREFIX, Block
from tm.core.needs import check as check_needs
from tm.core.nodes import AllRejected, Entry, Node, Rejected, Scalar, gather, kind_of, scalar
from tm.core.nodes import Mapping as MappingNode
from tm.core.setting_keys import KEYS as SETTING_KEYS
from tm.core.settings import Settings
from tm.core.settle import Settler, directory_of, over
from tm.core.source import Flood, Report
from tm.core.task import Task
from tm.core.task_keys import KEYS as TASK_KEYS
from tm.core.template import Unexpandable, expand

INCLUDES_DEEP: Final = 16
NAME_LONGEST: Final = 128
TOP_KEYS: Final = {
    "tasks": "tasks",
    "programs": "tasks",
    "defaults": "defaults",
    "include": "include",
    "taskmaster": "taskmaster",
}
"""What may stand at the top of a file: the spelling, and the key it is for."""

RESERVED_NAME: Final = "all"
NAME: Final = "[A-Za-z0-9][A-Za-z0-9_.-]*"
_NAME = re.compile(NAME)
_WILD = re.compile(r"[*?[]")


def load(path: str, world: World, user: str = "") -> Config:
    """Read a configuration. `user`: where the command line gives the daemon one, as `-u`, or ''.

    Raises ConfigError with all its problems."""
    report = Report()
    reading = _Reading(world, report)
    try:
        reading.root(path)
        check(reading.sound, reading.names, user or reading.user, report)
        check_needs(reading.sound, reading.names, report)
    except Flood:
        raise report.error() from None
    if len(report):
        raise report.error()
    return Config(path, reading.tasks, reading.settings)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is being read. `chain`: itself and the files that led to it, absolute; `defaults`: those of these."""

    path: str
    chain: tuple[str, ...]
    defaults: Block
    context: Context


class _Reading:
    """What was read so far. `sound`: tasks of which nothing was wrong; `user`: where the daemon's own is given."""

    def __init__(self, world: World, report: Report) -> None:
        self._world = world
        self._report = report
        self._settler = Settler(world, report)
        self.tasks: dict[str, Task] = {}
        self.sound: dict[str, Task] = {}
        self.names: dict[str, Scalar] = {}
        self.settings = Settings()
        self.user = ""

    def root(self, path: str) -> None:
        """Read the file that was named, and whatever it includes."""
        try:
            text = self._world.read(path)
        except Unreadable as error:
            self._refuse_file(path, error)
            return
        root = read(path, text, self._report)
        if root is None:
            return
        keys = {TOP_KEYS.get(entry.key.text) for entry in root.entries}
        if keys.isdisjoint({"tasks", "include"}):
            place = Place(path, 1, 1)
            message = "the file has no tasks"
            self._report.add(
                Problem("no-tasks", place, 1, "", message, "'tasks:'", "write 'tasks: {}' if none is meant")
            )
        self._file(path, root, (), Block())

    def _refuse_file(self, path: str, error: Unreadable) -> None:
        place = Place(path, error.line, error.column)
        self._report.add(Problem("unreadable", place, 1, "", f"{quoted(path)} {error.reason}", "", error.hint))

    def _file(self, path: str, root: MappingNode, above: tuple[str, ...], defaults: Block) -> None:
        context = Context(self._world, directory_of(path, self._world))
        sections = list(self._sections(root))
        for key, entry in sections:
            if key == "defaults" and (mapping := self._mapping(entry)):
                defaults = over(defaults, TASK_KEYS.read(mapping, "defaults", context, self._report))
        file = _File(path, (*above, absolute(path, self._world.cwd)), defaults, context)
        for key, entry in sections:
            if key == "tasks":
                self._tasks(entry, file)
            elif key == "include":
                self._include(entry, file)
            elif key == "taskmaster":
                self._settings(entry, file)

    def _sections(self, root: MappingNode) -> Iterator[tuple[str, Entry]]:
        """The keys at the top that mean something, each under its first spelling."""
        seen: dict[str, Entry] = {}
        for entry in root.entries:
            written = entry.key.text
            key = TOP_KEYS.get(written)
            if key in seen:
                message = f"{quoted(written)} and {quoted(seen[key].key.text)} are two spellings of one key"
                self._report.refuse("duplicate-key", entry.key, message, "", "put everything below one of them")
            elif key:
                seen[key] = entry
                yield key, entry
            elif not written.startswith(FREE_PREFIX):
                message = f"unknown key {quoted(written)} at the top of the file"
                hint = self._report.did_you_mean(written, TOP_KEYS) or "a task stands below 'tasks:'"
                self._report.refuse("unknown-key", entry.key, message, "one of " + ", ".join(TOP_KEYS), hint)

    def _mapping(self, entry: Entry) -> MappingNode | None:
        """The value as a mapping; None when there is none, told when it is something else."""
        value = entry.value
        if isinstance(value, MappingNode):
            return value
        if not (isinstance(value, Scalar) and value.is_null):
            message = f"{quoted(entry.key.text)} is {kind_of(value)}, not a mapping"
            self._report.refuse("wrong-shape", value, message, "keys with their values, one a line")
        return None

    def _settings(self, entry: Entry, file: _File) -> None:
        if len(file.chain) > 1:
            message = "'taskmaster' stands in an included file"
            self._report.refuse("misplaced", entry.key, message, "", "put it into the file that is named to taskmaster")
        mapping = self._mapping(entry)
        if mapping:
            given = SETTING_KEYS.read(mapping, "taskmaster", file.context, self._report).given
            self.user = str(given["user"].place) if "user" in given else ""
            self.settings = Settings(
                **{SETTING_KEYS.by_spelling[key].attribute: each.value for key, each in given.items()}
            )

    # ---- tasks

    def _tasks(self, entry: Entry, file: _File) -> None:
        mapping = self._mapping(entry)
        for each in mapping.entries if mapping else ():
            before = len(self._report)
            task = self._task(each, file)
            if task:
                self.tasks[task.name] = task
                if len(self._report) == before:
                    self.sound[task.name] = task

    def _task(self, entry: Entry, file: _File) -> Task | None:
        name = entry.key
        if name.text.startswith(FREE_PREFIX):
            return None
        self._check_name(name)
        value = entry.value
        if isinstance(value, Scalar) and value.is_null:
            value = MappingNode(name.place, name.width, name.last_line, ())
        if not isinstance(value, MappingNode):
            message = f"task {quoted(name.text)} is {kind_of(value)}, not a mapping"
            self._report.refuse("wrong-shape", value, message, "'command:' and other keys below the name")
            return None
        own = TASK_KEYS.read(value, f"task {quoted(name.text)}", file.context, self._report)
        return self._settler.task(name, over(file.defaults, own))

    def _check_name(self, name: Scalar) -> None:
        if name.text in self.names:
            first = self.names[name.text].place
            message = f"there are two tasks {quoted(name.text)}"
            self._report.refuse("duplicate-task", name, message, "", f"the first is at {first}; rename or remove one")
        elif name.text == RESERVED_NAME:
            message = f"{quoted(name.text)} means every task, so none can be named so"
            self._report.refuse("bad-name", name, message, "another name")
        elif not _NAME.fullmatch(name.text) or len(name.text) > NAME_LONGEST:
            message = f"{quoted(name.text)} is no name of a task"
            expected = f"at most {NAME_LONGEST} letters, digits and '_.-', a letter or digit first"
            self._report.refuse("bad-name", name, message, expected)
        self.names.setdefault(name.text, name)

    # ---- includes

    def _include(self, entry: Entry, file: _File) -> None:
        if isinstance(entry.value, Scalar) and entry.value.is_null:
            return
        try:
            wanted = gather(lambda item: (item, self._pattern(item, file)), items(entry.value))
        except Rejected as one:
            rejections: tuple[Rejected, ...] = (one,)
        except AllRejected as several:
            rejections = several.rejections
        else:
            for item, pattern in wanted:
                self._include_pattern(item, pattern, file)
            return
        for each in rejections:
            message = f"'include': {each.why}"
            self._report.refuse(each.id, each.node, message, "paths of files, or globs", each.suggestion)

    def _pattern(self, item: Node, file: _File) -> str:
        try:
            return expand(scalar(item, "a path").text, self._world.environ, file.context.here).text
        except Unexpandable as error:
            raise Rejected(item, "unset-variable", error.reason, "", error.hint) from None

    def _include_pattern(self, item: Node, pattern: str, file: _File) -> None:
        folder = posixpath.dirname(file.path)
        if not _WILD.search(pattern):
            self._include_file(item, posixpath.normpath(posixpath.join(folder, pattern)), file)
            return
        escaped = _WILD.sub(r"[\g<0>]", folder)
        for path in self._world.glob(posixpath.join(escaped, pattern)):
            self._include_file(item, path, file)

    def _include_file(self, item: Node, path: str, file: _File) -> None:
        if absolute(path, self._world.cwd) in file.chain:
            message = f"'include': {quoted(path)} includes itself"
            self._report.refuse("include-cycle", item, message, "", " -> ".join([*file.chain, path]))
            return
        if len(file.chain) > INCLUDES_DEEP:
            message = f"'include': files include one another more than {INCLUDES_DEEP} deep"
            self._report.refuse("include-cycle", item, message)
            return
        try:
            text = self._world.read(path)
        except Missing as error:
            self._report.refuse("unreadable", item, f"'include': {quoted(path)} {error.reason}", "", error.hint)
        except Unreadable as error:
            self._refuse_file(path, error)
        else:
            root = read(path, text, self._report)
            if root is not None:
                self._file(path, root, file.chain, file.defaults)
