"""Starting a program to see whether it can: its words and its exit code are all that is wanted.

Guarantees: it gets the descriptors that it is given, no input, and one pipe for all its words; it leads a process group
of its own, so that it can be ended with whatever it has started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence


def begin(argv: Sequence[str], environ: Mapping[str, str], fds: Sequence[int]) -> tuple[int, int]:
    """Start it; its pid, and the end of the pipe, which never blocks and is the caller's. Raises OSError."""
    import subprocess  # which nothing else in a daemon needs, and takes 8 ms

    ours, theirs = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(ours, False)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        child = subprocess.Popen(
            argv, stdin=null, stdout=theirs, stderr=theirs, env=dict(environ), pass_fds=fds, start_new_session=True
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
        os.close(null)
    child.returncode = 0
    return child.pid, ours
