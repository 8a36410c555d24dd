"""The machine as a configuration sees it: files, globs, users and groups, and what of it has changed since.

Guarantees: reading never blocks (a FIFO or device is refused) and is bounded in size; as root, a file that others can
write is refused, since whoever writes it commands root; whatever was read, or looked for in vain, is remembered by its
stamp, taken from the open descriptor, so that a change during the reading counts as one.
Leaves to others: what the files mean (`core.loading`).
"""

from __future__ import annotations

import errno
import glob
import grp
import os
import pwd
import stat
from collections.abc import Mapping
from typing import Final, TypeAlias

from tm.core.errors import Missing, Unreadable
from tm.core.trust import described, others_can_write, remedy

BYTES_MOST: Final = 4 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"

Stamp: TypeAlias = tuple[int, int, int] | None
"""Modification time in ns, size, inode; None: there is no such file."""


class Machine:
    """The real `core.context.World`, from the variables `environ` and the directory `cwd`."""

    def __init__(self, environ: Mapping[str, str], cwd: str) -> None:
        self._environ = dict(environ)
        self._cwd = cwd
        self._stamps: dict[str, Stamp] = {}
        self._globs: dict[str, tuple[str, ...]] = {}

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables as they were when this was made."""
        return self._environ

    @property
    def cwd(self) -> str:
        """The directory that relative paths are seen from."""
        return self._cwd

    def read(self, path: str) -> str:
        """The text of a file. Raises Unreadable."""
        full = os.path.join(self._cwd, path)
        try:
            content = self._content(full)
        except (FileNotFoundError, NotADirectoryError):
            self._stamps.setdefault(full, None)
            raise Missing from None
        except OSError as error:
            reason = os.strerror(error.errno or errno.EIO)
            raise Unreadable(f"cannot be read: {reason}") from None
        except ValueError:
            raise Unreadable("is no path: it holds a NUL") from None
        return _decoded(content)

    def glob(self, pattern: str) -> list[str]:
        """The files that match, sorted; `**` stands for any depth."""
        found = self._matches(pattern)
        self._globs[pattern] = found
        return list(found)

    def has_user(self, name: str) -> bool:
        """Whether there is a user of this name."""
        try:
            pwd.getpwnam(name)
        except (KeyError, ValueError):
            return False
        return True

    def has_group(self, name: str) -> bool:
        """Whether there is a group of this name."""
        try:
            grp.getgrnam(name)
        except (KeyError, ValueError):
            return False
        return True

    def has_zone(self, name: str) -> bool:
        """Whether there is a time zone of this name."""
        from zoneinfo import ZoneInfo  # few configurations name one

        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            return False
        return True

    def changed(self) -> list[str]:
        """What is not on the disk as it was read: files, and globs that match other files. Sorted."""
        files = [path for path, stamp in self._stamps.items() if _stamp_of(path) != stamp]
        return sorted(files + [each for each, found in self._globs.items() if self._matches(each) != found])

    def _content(self, full: str) -> bytes:
        # O_NONBLOCK: opening a FIFO would wait for a writer. It means nothing to the regular files that pass.
        descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            status = os.fstat(descriptor)
            self._stamps.setdefault(full, _stamp(status))
            _refuse_unfit(full, status)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(BYTES_MOST + 1)
        finally:
            os.close(descriptor)
        if len(content) > BYTES_MOST:
            raise Unreadable("is larger than 4 MiB")
        return content

    def _matches(self, pattern: str) -> tuple[str, ...]:
        base = self._cwd
        found = glob.glob(pattern, root_dir=base, recursive=True, include_hidden=False)
        return tuple(sorted(path for path in found if not os.path.isdir(os.path.join(base, path))))


def _refuse_unfit(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("is a directory", "name a file in it, or a glob")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is not a regular file")
    if os.geteuid() == 0 and others_can_write(status, 0, os.getegid()):
        reason = f"can be written by others, and root obeys it ({described(status)})"
        raise Unreadable(reason, remedy(path, status, 0, os.getegid()))


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _stamp_of(path: str) -> Stamp:
    try:
        return _stamp(os.stat(path))
    except OSError:
        return None


def _decoded(content: bytes) -> str:
    content = content.removeprefix(_BOM)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        reason = f"is not UTF-8: the byte 0x{content[error.start]:02x} begins no character"
        raise Unreadable(reason, "save it as UTF-8", line, column) from None
