"""The dead and how to reach the living: waitpid, kill, and whose orphans come to us.

Guarantees: every dead child is seen, and can be put on record before it is let go; nothing waits; a signal goes to a
process that has not been reaped, or to a group that has a member, so that a number used again by a stranger is not hit.

Traps: a process group outlives its leader, and its number is not given out while it has a member; that is why the
question "is something left of the group" must be asked at once when the leader has been reaped. Nobody tells when the
last member of a group dies, unless it is our child: as child subreaper we inherit the orphans, and their deaths ring
SIGCHLD.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> bool:
    """Become the parent of descendants whose parent died; False where the kernel does not know that."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def send(pid: int, signum: int, group: bool) -> bool:
    """Send to the process `pid`, or to the group it leads; False when it reached nobody.

    Nobody is there, or nobody whom we may signal: a program that changed its user, where we are not root."""
    deliver = os.killpg if group else os.kill
    try:
        deliver(pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def may_send(pid: int, group: bool) -> bool:
    """Whether a signal to the process, or the group it leads, would not be refused. Nobody there: it would not."""
    try:
        (os.killpg if group else os.kill)(pid, 0)
    except PermissionError:
        return False
    except ProcessLookupError:
        return True
    return True


def group_exists(pgid: int) -> bool:
    """Whether the process group has a member."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
