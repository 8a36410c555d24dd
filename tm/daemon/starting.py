"""Starting a program: two ways, the same outcome.

Guarantees: what the kernel has no way to hand over is told before anything is begun; a child gets what its `Launch`
says and nothing else, whichever way it takes.
Leaves to others: the quick way (`edge.vfork`) and the full one (`edge.spawn`), and the words for a step that failed
(`daemon.failures`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from tm.core.launch import OPEN_FILES, Failed, Launch, Words
from tm.edge import spawn as full
from tm.edge import vfork
from tm.edge.vfork import Stdio


def spawn(launch: Launch, stdio: Stdio, sockets: Sequence[int] = ()) -> int | Failed:
    """Start the program with `stdio` as its descriptors 0 to 2, and those of `launch.sockets` from 3 on (they all stay
    the caller's); its pid, or why not.
    """
    words = _as_bytes(launch)
    if isinstance(words, Failed):
        return words
    try:
        if launch.needs_fork or (OPEN_FILES in os.environ and not vfork.KNOWN):
            return full.spawn(launch, (*stdio, *sockets))
        return vfork.spawn(launch, words, stdio)
    except OSError as error:
        return Failed("fork", error.errno or 0)


def _as_bytes(launch: Launch) -> Words | Failed:
    """What is handed over, or what of it the kernel has no way for. All of it is made bytes at once, with NUL between
    two words: where there are more of them after that, one was in a word.
    """
    environment = [f"{name}={value}" for name, value in launch.environment.items()]
    try:
        words = os.fsencode("\0".join([*launch.argv, *environment, launch.directory])).split(b"\0")
    except UnicodeEncodeError:
        return Failed("exec", errno.EINVAL, "a character that has no bytes (a lone surrogate)")
    count = len(launch.argv)
    if len(words) != count + len(environment) + 1:
        return Failed("exec", errno.EINVAL, "a NUL byte")
    if "=" in "".join(launch.environment):
        return Failed("exec", errno.EINVAL, "a '=' in a variable's name")
    return Words(words[:count], words[count:-1])
