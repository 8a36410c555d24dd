"""The directories that are watched, for all tasks together, as they come and go.

Guarantees: every directory that leads to what somebody's globs match is watched as soon as it is there, also one that
appears later or is replaced, and what was put into it before that is found; a directory is watched once, whoever looks
at it; looking around is done in slices of a turn. At most MOST directories are watched; where that, or the kernel, is
the limit, it is told once for each task, with what to do.
Leaves to others: globs (`core.globs`), and what follows from a change (`daemon.watching`).

A file is watched by its directory, because editors write a new one and rename it. Counted as a change is a file that
was written and closed, was renamed, or is gone; a name that is only created is nothing yet, but for links, which are
complete at once. One directory may have several names, by links: the kernel knows but one number for it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from tm.core.globs import Globs
from tm.core.once import Once
from tm.edge import inotify
from tm.edge.inotify import Happening, Inotify
from tm.edge.loop import SLICE_S, Loop, Rank

MOST: Final = 8192
_CHANGES: Final = inotify.WRITTEN | inotify.MOVED_AWAY | inotify.MOVED_HERE | inotify.DELETED
_HINTS: Final = {
    errno.ENOSPC: "raise the kernel's limit: sysctl fs.inotify.max_user_watches",
    errno.ENOMEM: "free memory",
    errno.EACCES: "uid {uid} may not read it",
}


class _Visit(NamedTuple):
    """A directory to look into for a task. `fresh`: it has appeared, so that what is in it counts as changed."""

    task: str
    path: str
    fresh: bool


class WatchedTree:
    """`changed` hears of a task and the path that has changed for it, '' where nobody knows which; `say` of a task
    what went wrong.
    """

    def __init__(self, loop: Loop, changed: Callable[[str, str], None], say: Callable[[str, str], None]) -> None:
        """Raises OSError where there is no inotify, or no instance of it is left."""
        self._loop = loop
        self._changed = changed
        self._say = say
        self._inotify = Inotify()
        self._globs: dict[str, Globs] = {}
        self._paths: dict[int, set[str]] = {}
        self._numbers: dict[str, int] = {}
        self._who: dict[str, set[str]] = {}
        self._visits: deque[_Visit] = deque()
        self._look = Once(loop.soon, self._look_around)
        self._limited: set[str] = set()
        loop.watch(self._inotify.fd, self._hear, Rank.COMMAND)

    def put(self, task: str, globs: Globs) -> None:
        """Watch these for the task, and no others."""
        self.drop(task)
        self._globs[task] = globs
        for root in globs.roots:
            self._visit(task, root, False)

    def drop(self, task: str) -> None:
        """Watch nothing for it."""
        self._globs.pop(task, None)
        self._limited.discard(task)
        for path in [path for path, who in self._who.items() if task in who]:
            self._who[path].discard(task)
            if not self._who[path]:
                self._forget(path)

    def close(self) -> None:
        """Give the descriptor back."""
        self._loop.unwatch(self._inotify.fd)
        self._inotify.close()

    # ---- looking around

    def _visit(self, task: str, path: str, fresh: bool) -> None:
        self._visits.append(_Visit(task, path, fresh))
        self._look.ask()

    def _look_around(self) -> None:
        """Visit as many as a slice allows, and the others in the next turn."""
        began = self._loop.sample()
        while self._visits and self._loop.sample() - began <= SLICE_S:
            visit = self._visits.popleft()
            if visit.task in self._globs and self._globs[visit.task].leads(visit.path):
                self._look_into(visit)
        if self._visits:
            self._look.ask()

    def _look_into(self, visit: _Visit) -> None:
        task, path, fresh = visit
        if not self._watch(task, path):
            return
        globs = self._globs[task]
        try:
            with os.scandir(path) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False):
                        if globs.leads(entry.path):
                            self._visit(task, entry.path, fresh)
                    elif fresh and globs.matches(entry.path):
                        self._changed(task, entry.path)
        except OSError:
            return  # gone again, which the watch tells, or not to be read, which was told

    def _watch(self, task: str, path: str) -> bool:
        """Watch a directory, for one more task perhaps; where it is not there, the one that it will appear in."""
        if path not in self._numbers:
            if len(self._numbers) >= MOST:
                self._limit(task, f"more than {MOST} directories would be watched", "name fewer with 'watch'")
                return False
            try:
                number = self._inotify.add(path)
            except OSError as error:
                self._cannot(task, path, error.errno or 0)
                return False
            self._numbers[path] = number
            self._paths.setdefault(number, set()).add(path)
        self._who.setdefault(path, set()).add(task)
        return True

    def _cannot(self, task: str, path: str, number: int) -> None:
        if number in (errno.ENOENT, errno.ENOTDIR) and path != "/":
            self._visit(task, os.path.dirname(path), False)
            return
        hint = _HINTS.get(number, "").format(uid=os.geteuid())
        self._limit(task, f"{path} cannot be watched ({os.strerror(number)})", hint)

    def _limit(self, task: str, why: str, hint: str) -> None:
        if task not in self._limited:
            self._limited.add(task)
            self._say(task, f"not everything is watched: {why}" + (f"; {hint}" if hint else ""))

    def _forget(self, path: str) -> None:
        """It is watched no more by this name. What the kernel has forgotten itself it may be told to."""
        number = self._numbers.pop(path)
        self._paths[number].discard(path)
        del self._who[path]
        if not self._paths[number]:
            del self._paths[number]
            self._inotify.remove(number)

    # ---- what happens

    def _hear(self) -> None:
        for happening in self._inotify.read():
            if happening.mask & inotify.OVERFLOW:
                self._begin_anew()
            for path in list(self._paths.get(happening.number, ())):
                self._happened(path, happening)

    def _begin_anew(self) -> None:
        """More has happened than the kernel has kept."""
        for task, globs in self._globs.items():
            self._changed(task, "")
            for root in globs.roots:
                self._visit(task, root, False)

    def _happened(self, directory: str, what: Happening) -> None:
        if what.mask & (inotify.IGNORED | inotify.MOVED_ITSELF):
            self._lost(directory)
            return
        path = os.path.join(directory, what.name)
        for task in list(self._who[directory]):
            globs = self._globs[task]
            if what.mask & inotify.DIRECTORY:
                self._directory_happened(task, path, what.mask)
            elif globs.matches(path) and (what.mask & _CHANGES or _complete(path)):
                self._changed(task, path)

    def _directory_happened(self, task: str, path: str, mask: int) -> None:
        if not self._globs[task].leads(path):
            return
        if mask & (inotify.MOVED_AWAY | inotify.DELETED) and path in self._numbers:
            self._changed(task, path)
        if mask & (inotify.CREATED | inotify.MOVED_HERE):
            self._visit(task, path, True)

    def _lost(self, directory: str) -> None:
        """It is gone, or has another name: what is watched below it is, too. What takes its place counts as new."""
        who = self._who[directory]
        for path in [path for path in self._numbers if path == directory or path.startswith(f"{directory}/")]:
            self._forget(path)
        for task in who:
            self._visit(task, directory, True)


def _complete(path: str) -> bool:
    """Whether what was only created is there as a whole: a link."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode) or status.st_nlink > 1
