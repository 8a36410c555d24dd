"""Where a cgroup is seen: what /proc/PID/mountinfo and /proc/PID/cgroup tell, read together.

Guarantees: version 2, and the hierarchy of a controller of version 1; the latest mount comes first.
Leaves to others: reading the two, and whether what they name is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator


def places(mounts: str, membership: str, controller: str = "") -> list[str]:
    """The directories in which a process with this membership is seen; of version 2, or of this controller's hierarchy
    of version 1.
    """
    path = _path(membership, controller)
    return [] if path is None else list(_seen(mounts, path, controller))[::-1]


def _path(membership: str, controller: str) -> str | None:
    """Its path from the root that it sees."""
    for line in membership.splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if (controller in names.split(",")) if controller else number == "0" and not names:
            return path.removesuffix(" (deleted)")
    return None


def _seen(mounts: str, path: str, controller: str) -> Iterator[str]:
    for mount in mounts.splitlines():
        before, _, after = mount.partition(" - ")
        words, (kind, _, rest) = before.split(" "), after.partition(" ")
        if kind != ("cgroup" if controller else "cgroup2") or len(words) < 5:
            continue
        if controller and controller not in rest.rpartition(" ")[2].split(","):
            continue
        root, point = (_unescaped(word).rstrip("/") for word in words[3:5])
        if f"{path}/".startswith(f"{root}/"):
            yield (point + path[len(root) :]).rstrip("/")


def _unescaped(word: str) -> str:
    r"""A path as mountinfo has it, where a space is `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), word)
