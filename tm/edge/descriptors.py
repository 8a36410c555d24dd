"""The descriptors that the program was started with.

Guarantees: 0 to 2 are open, so that nothing opened later lands there and is taken for stdin or stdout; none of the
others reaches a child.
"""

from __future__ import annotations

import os
from contextlib import suppress


def tidy() -> None:
    """To be called before anything is opened."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    for name in _open_descriptors():
        if name > 2:
            try:
                os.set_inheritable(name, False)
            except OSError:
                continue


def close_but(kept: set[int]) -> None:
    """Close what exec would have closed: everything but these and 0 to 2."""
    for fd in _open_descriptors():
        if fd > 2 and fd not in kept:
            with suppress(OSError):
                os.close(fd)


def _open_descriptors() -> list[int]:
    for directory in ("/proc/self/fd", "/dev/fd"):
        try:
            return [int(name) for name in os.listdir(directory)]
        except OSError:
            continue
    return list(range(256))
