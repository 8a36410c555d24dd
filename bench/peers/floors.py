"""Two that supervise nothing, to see what the kernel and the interpreter take: a loop in C and the same in Python."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.peers.install import Found, compiled, found_in
from bench.peers.peer import Course, Peer

HERE = Path(__file__).parent
PYTHON = (sys.executable, "-I", "-S")


class FloorInC(Peer):
    """vfork, exec and two pipes each; at a SIGCHLD another one; at a SIGTERM one kill each."""

    name = "floor in C"

    def obtain(self) -> Found:
        return Found(found_in(compiled(HERE / "floor.c").parent))

    def write(self, course: Course) -> tuple[str, ...]:
        return "floor", str(course.count), *course.reporter


class LoopInPython(Peer):
    """The same by `subprocess`. In the place of a client: an interpreter that does nothing at all."""

    name = "loop in Python"
    tells_of_each = False

    def write(self, course: Course) -> tuple[str, ...]:
        return *PYTHON, str(HERE / "floor_loop.py"), str(course.count), *course.reporter

    def status(self, course: Course) -> tuple[str, ...]:
        return *PYTHON, "-c", "pass"
