"""What all peers have in common: the questions that the driver asks each of them.

Guarantees: a peer is asked nothing but what is here. Leaves to others: running it, and all measuring.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple

from bench.peers.install import Found


class Course(NamedTuple):
    """One run: where, how many, and the first words of the command that each of them runs."""

    home: Path
    count: int
    reporter: tuple[str, ...]

    def command(self, name: object) -> str:
        """The whole command of the one that reports under this name; `$WORD` is taken from its environment."""
        return " ".join((*self.reporter, str(name)))


class Peer:
    """One supervisor. The methods say what is asked of each; those that differ from one to another are overridden."""

    name = ""
    restarts = True
    """Whether it starts what has died."""
    tells_of_each = True
    """Whether its client prints a line for each process, or more."""
    only: frozenset[str] | None = None
    """The measures that it is there for; None: all."""
    socket: str | None = None
    """Below its home, where it is asked by requests as well."""

    def __init__(self) -> None:
        self.found = Found({})

    def obtain(self) -> Found:
        """Have its programs; Unavailable where they cannot be had."""
        return Found({})

    def write(self, course: Course) -> tuple[str, ...]:
        """Write its configuration below the home, where it runs; the command that starts it and them."""
        raise NotImplementedError

    def stop(self, course: Course, pid: int) -> tuple[str, ...]:
        """Ask it to stop everything in its own orderly way; a command, or none where a signal was enough."""
        os.kill(pid, signal.SIGTERM)
        return ()

    def status(self, course: Course) -> tuple[str, ...] | None:
        """The command that prints at least a line for each of them, where it has one."""
        return None
