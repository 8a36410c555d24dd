"""s6, from PATH or Debian's packages: s6-svscan, and an s6-supervise for each; no logger, so nothing is captured."""

from __future__ import annotations

from bench.peers import directories
from bench.peers.install import Found, from_apt
from bench.peers.peer import Course, Peer

ROOM = 16


class S6(Peer):
    """Told to have room for all: its default is 500."""

    name = "s6"

    def obtain(self) -> Found:
        return from_apt("s6", "s6-svscan")

    def write(self, course: Course) -> tuple[str, ...]:
        directories.write(course)
        return "s6-svscan", "-c", str(course.count + ROOM), directories.PLACE

    def status(self, course: Course) -> tuple[str, ...]:
        """Its client takes one directory."""
        return "sh", "-c", f"for each in {directories.PLACE}/*; do s6-svstat $each; done"
