"""A directory for each process with a `run` in it, as the family of daemontools has it."""

from __future__ import annotations

from bench.peers.peer import Course

PLACE = "service"


def write(course: Course) -> None:
    """One for each. `run` is a script that becomes the program, as it is with everybody who uses these."""
    for n in range(1, course.count + 1):
        place = course.home / PLACE / str(n)
        place.mkdir(parents=True)
        (place / "run").write_text(f"#!/bin/sh\nexec {course.command(n)}\n")
        (place / "run").chmod(0o755)


def names(course: Course) -> list[str]:
    """The directories, seen from the home."""
    return [f"./{PLACE}/{n}" for n in range(1, course.count + 1)]
