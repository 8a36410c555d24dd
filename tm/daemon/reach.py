"""Who is of a tree, and reached by a signal to it: by a cgroup of its own where that can be, else by /proc.

Guarantees: an instance with `killMode: tree` begins in a cgroup that has its name and the daemon's, so that the next
daemon on the same state directory finds it again; one that could not be put into a cgroup, or was started before its
task said `tree`, is reached by parents, sessions and marks, and `way` says why; a cgroup is removed when it is empty.
One with a limit of memory has a cgroup too where the kernel counts what is in it (`weigh`); what is left there by a
process that has ended is nobody's to end.

A tree outlives the process that it was named after, whose pid may then be given to another. What is left of it has a
negative number instead (`hold`), under which all that is asked of a pid can be asked of it.
Leaves to others: the cgroup (`edge.cgroup`), the search (`edge.descendants`), the order of a stop (`daemon.remains`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from tm.core.launch import Launch
from tm.core.task import KillMode, Task
from tm.daemon.wiring import Key
from tm.edge import cgroup, pidfd

if TYPE_CHECKING:
    from tm.edge.descendants import Kin

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]{1,150}")
_WEIGHED: Final = "+"
"""At the end of the name of a cgroup that is there for its memory alone."""
_EARLIER: Final = "it was not put into a cgroup when it was started"


class Way(NamedTuple):
    """How a tree is reached, in words, and the pids of all that live in it; None where they cannot be told."""

    text: str
    pids: frozenset[int] | None


@dataclass(slots=True)
class Tree:
    """One start of an instance. `cgroup`: its directory, or '' and `why`; `kin`: the search, once it has begun."""

    key: Key
    cgroup: str
    why: str
    kin: Kin | None = None


class Reach:
    """The trees of one daemon. `journal` is the path of a file in its state directory; None where it has none. `mark`:
    the variable that all processes of this daemon have.
    """

    def __init__(self, journal: str | None) -> None:
        self._identity = _identity(journal)
        self.mark = {"TASKMASTER_DAEMON": self._identity}
        self._trees: dict[int, Tree] = {}
        self._home: tuple[str, str] | None = None
        self._not_empty: set[str] = set()
        self._held = 0
        self._has_proc = os.path.exists("/proc/self/stat")
        self._why = ""
        self._weighs = False

    def weigh(self, ours: Collection[int]) -> None:
        """Have the memory of trees counted from now on, where that can be had. `ours`: the daemon and its guardian."""
        home = self._place()[0]
        self._weighs = self._weighs or (bool(home) and cgroup.weigh(home, ours))

    def prepare(self, key: Key, launch: Launch) -> Launch:
        """The launch, with a cgroup that is there where it is to begin in one."""
        path = self._make(key, launch.tree) if launch.tree or (launch.weighed and self._weighs) else ""
        return replace(launch, cgroup=path) if path else launch

    def spawned(self, key: Key, launch: Launch, pid: int | None) -> None:
        """What came of it: where the child really is; None when it was not started."""
        path, why = launch.cgroup, self._why if launch.tree else _EARLIER
        if pid is not None and path and _last(cgroup.of(pid)) != _last(path):
            path, why = "", f"it could not enter {path}"
        if launch.cgroup and (pid is None or not path):
            self._remove(launch.cgroup)
        if pid is not None:
            self._trees[pid] = Tree(key, path, why)

    def covers(self, task: Task, pid: int) -> bool:
        """Whether signals go to the tree, and there is a way to it. A task that nobody knows any more has the cgroup
        that it was put into.
        """
        tree = self._trees.get(pid)
        if tree is None or (task.kill_mode is not KillMode.TREE and pid > 0 and task.argv):
            return False
        return bool(tree.cgroup) or (self._has_proc and (task.kill_mode is KillMode.TREE or pid < 0))

    def send(self, pid: int, signum: int) -> bool:
        """Send to all of it; False when it reached nobody, or nobody can be found (no descriptor is free)."""
        tree = self._trees[pid]
        with suppress(OSError):
            if tree.cgroup:
                return cgroup.send(tree.cgroup, signum, pidfd.deliver)
            return self._kin(tree, pid).send(signum, pidfd.deliver)
        return False

    def left(self, pid: int) -> bool:
        """Whether any of it lives, now that the process `pid` has ended; also when that cannot be found out."""
        tree = self._trees[pid]
        if tree.cgroup:
            return cgroup.populated(tree.cgroup)
        if tree.kin is None:
            tree.kin = _kin(None, self._marks(tree.key))
            tree.kin.led_by(pid)
        with suppress(OSError):
            return tree.kin.left()
        return True

    def hold(self, task: Task, pid: int) -> int:
        """The number of what is left of the tree of `pid`; `pid` itself where signals do not go to the tree."""
        if pid < 0 or not self.covers(task, pid):
            return pid
        self._held -= 1
        self._trees[self._held] = self._trees.pop(pid)
        return self._held

    def lost(self, pid: int) -> None:
        """The process ended while no daemon was there: its number says nothing of its tree."""
        if (tree := self._trees.get(pid)) is not None:
            tree.kin = _kin(None, self._marks(tree.key))

    def forget(self, pid: int) -> None:
        """Nothing is left of it that concerns us."""
        tree = self._trees.pop(pid, None)
        if self._not_empty or (tree is not None and tree.cgroup):
            self._remove(*([tree.cgroup] if tree is not None and tree.cgroup else []))

    def way(self, task: Task, pid: int) -> Way | None:
        """How it is reached; None where signals do not go to the tree."""
        if not self.covers(task, pid):
            return None if task.kill_mode is not KillMode.TREE else Way("by process group (there is no /proc)", None)
        tree = self._trees[pid]
        if tree.cgroup:
            return Way(f"by cgroup {tree.cgroup}", frozenset(cgroup.members(tree.cgroup)))
        text = f"by parent, session and marker (no cgroup: {tree.why})"
        with suppress(OSError):
            return Way(text, frozenset(each.pid for each in self._kin(tree, pid).members()))
        return Way(text, None)

    def cgroup_of(self, pid: int) -> str:
        """The directory of the cgroup of its tree, '' where it has none."""
        tree = self._trees.get(pid)
        return tree.cgroup if tree is not None else ""

    def resume(self, pids: Mapping[Key, int | None]) -> dict[Key, int]:
        """Know again the trees of an earlier daemon, by the pids on record. Those that live without one are held: their
        numbers.
        """
        left: dict[Key, int] = {}
        home = self._place()[0]
        named = {self._name(key): key for key in pids}
        for key, pid in pids.items():
            if pid is not None:
                self._trees[pid] = self._known(key, pid)
        for name in cgroup.below(home, self._prefix) if home else ():
            instance = name.removesuffix(_WEIGHED)
            key = named.get(instance) or _key(instance.removeprefix(self._prefix))
            if not cgroup.populated(f"{home}/{name}") or (name.endswith(_WEIGHED) and pids.get(key) is None):
                self._remove(f"{home}/{name}")
            elif pids.get(key) is None:
                self._held -= 1
                self._trees[self._held] = Tree(key, f"{home}/{name}", "")
                left[key] = self._held
        return left

    def _known(self, key: Key, pid: int) -> Tree:
        """The tree of an earlier daemon's process, which may have been in another cgroup than we are."""
        name = self._name(key)
        usual = f"{self._place()[0]}/{name}"
        for path in (cgroup.where(pid), usual, f"{usual}{_WEIGHED}"):
            if _last(path).removesuffix(_WEIGHED) == name and cgroup.populated(path):
                return Tree(key, path, "")
        return Tree(key, "", _EARLIER, _kin(pid, self._marks(key)))

    def _place(self) -> tuple[str, str]:
        """Our own cgroup, or '' and why it is of no use."""
        if self._home is None:
            self._home = cgroup.own()
        return self._home

    def _make(self, key: Key, tree: bool) -> str:
        """The directory of a cgroup that is there; '' and `_why` where that cannot be."""
        home, self._why = self._place()
        if not home:
            return ""
        path = f"{home}/{self._name(key)}{'' if tree else _WEIGHED}"
        try:
            cgroup.make(path)
        except OSError as error:
            self._why = f"{path} cannot be made: {os.strerror(error.errno or 0)}"
            return ""
        self._not_empty.discard(path)
        return path

    def _remove(self, *paths: str) -> None:
        """Remove them, now or when they are empty."""
        self._not_empty.update(paths)
        self._not_empty -= {each for each in self._not_empty if cgroup.remove(each)}

    def _kin(self, tree: Tree, pid: int) -> Kin:
        """The search for a tree whose first process lives as far as we know."""
        if tree.kin is None:
            tree.kin = _kin(pid, self._marks(tree.key))
        return tree.kin

    def _marks(self, key: Key) -> frozenset[bytes]:
        marks = {"DAEMON": self._identity, "TASK": key[0], "N": str(key[1])}
        return frozenset(os.fsencode(f"TASKMASTER_{name}={value}") for name, value in marks.items())

    @property
    def _prefix(self) -> str:
        return f"taskmaster-{self._identity}-"

    def _name(self, key: Key) -> str:
        """The name of the cgroup of a tree: `taskmaster-DAEMON-TASK.N`."""
        task = key[0] if _PLAIN.fullmatch(key[0]) else f"~{crc32(key[0].encode('utf-8', 'replace')):08x}"
        return f"{self._prefix}{task}.{key[1]}"


def _identity(journal: str | None) -> str:
    """What tells this daemon and its successors from others: their state directory, which only one can hold."""
    with suppress(OSError):
        if journal is not None:
            place = os.stat(os.path.dirname(journal))
            return f"{place.st_dev:x}.{place.st_ino:x}"
    return f"pid{os.getpid()}"


def _kin(root: int | None, marks: frozenset[bytes]) -> Kin:
    """A search, which is imported only where one is needed."""
    from tm.edge.descendants import Kin

    return Kin(root, marks)


def _key(text: str) -> Key:
    """The instance whose cgroup has this at the end of its name."""
    task, _, n = text.rpartition(".")
    return task, int(n) if n.isdecimal() else 0


def _last(path: str) -> str:
    return path.rpartition("/")[2]
