"""Whether a process is one of an instance's own: by session, group, parents, or the marks of its start.

Guarantees: who lives and is none of these is a stranger. Who is gone already, as a program that says something and
ends, cannot be looked at any more: he counts when he was of the user that the instance runs as, who could do anything
to it anyway, or root.
Leaves to others: who has sent what (`edge.ear`).
"""

from __future__ import annotations

from typing import Final

from tm.edge import procfs

_GENERATIONS: Final = 32


def is_own(pid: int, leader: int, marks: set[str]) -> bool | None:
    """Whether `pid` is one of the processes of the instance that `leader` leads and that was started with `marks`, each
    as `NAME=value`, or none where marks do not count; None when it is gone.
    """
    seen = procfs.stat(pid)
    if seen is None:
        return None
    if leader in (pid, seen.session, seen.group) or (marks and procfs.started_with(pid, marks)):
        return True
    above: int | None = seen.parent
    for _ in range(_GENERATIONS):
        if above == leader:
            return True
        if above is None or above <= 1:
            break
        above = procfs.parent(above)
    return False


def may_speak(pid: int, uid: int, leader: int, marks: set[str]) -> bool:
    """Whether a sender, by the kernel's word, may speak for the instance. Marks can be forged by who sets his own
    environment, and so count for the instance's own user alone.
    """
    if pid <= 0:
        return False
    trusted = uid in (0, procfs.owner(leader))
    own = is_own(pid, leader, marks if trusted else set())
    return trusted if own is None else own
