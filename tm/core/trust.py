"""Who can write, or has made, a file or a directory besides root and ourselves, from what `stat` says of it.

Guarantees: a foreign owner counts, and so do the bits for the world and for a group that is neither root's nor ours;
the sticky bit excuses nothing, since whoever comes first with a name has it.
Leaves to others: asking `stat`, and what follows from the answer.
"""

from __future__ import annotations

import errno
import shlex
import stat
from typing import Protocol


class Status(Protocol):
    """What is needed of an `os.stat_result`."""

    @property
    def st_mode(self) -> int:
        """Type and permissions."""

    @property
    def st_uid(self) -> int:
        """The owner."""

    @property
    def st_gid(self) -> int:
        """The group."""


def others_can_write(status: Status, euid: int, egid: int) -> bool:
    """Whether somebody can who is neither root nor `euid`; members of the group `egid` count as ourselves."""
    return _is_foreign(status, euid) or _writers(status, egid) != ""


def unfit(status: Status, links: int, trusted: set[int]) -> tuple[int, str] | None:
    """Why a file cannot be one that we have made, as an errno and words: `links`: how many names it has, `trusted`: who
    may own it. None: it can.
    """
    if not stat.S_ISREG(status.st_mode):
        return errno.EINVAL, "it is no regular file"
    if links > 1:
        return errno.EMLINK, "it has a second name, a hard link"
    return None if status.st_uid in trusted else (errno.EPERM, f"it belongs to uid {status.st_uid}")


def described(status: Status) -> str:
    """Owner, group and mode, for a sentence."""
    return f"owner {status.st_uid}, group {status.st_gid}, mode {stat.S_IMODE(status.st_mode):04o}"


def remedy(path: str, status: Status, euid: int, egid: int) -> str:
    """The command after which nobody else can write."""
    writers, name = _writers(status, egid), shlex.quote(path)
    commands = [f"chown {euid} {name}"] if _is_foreign(status, euid) else []
    commands += [f"chmod {writers}-w {name}"] if writers else []
    return " && ".join(commands)


def _is_foreign(status: Status, euid: int) -> bool:
    return status.st_uid not in (0, euid)


def _writers(status: Status, egid: int) -> str:
    """The classes to take the permission from, as chmod names them."""
    group = bool(status.st_mode & stat.S_IWGRP) and status.st_gid not in (0, egid)
    return "g" * group + "o" * bool(status.st_mode & stat.S_IWOTH)
