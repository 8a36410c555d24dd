"""daemontools, from PATH or Debian's packages: svscan, and a supervise for each; no logger, so nothing is captured."""

from __future__ import annotations

from bench.peers import directories
from bench.peers.install import Found, from_apt
from bench.peers.peer import Course, Peer


class Daemontools(Peer):
    """svscan only looks after those who supervise; they are told to stop when it is gone."""

    name = "daemontools"

    def obtain(self) -> Found:
        return from_apt("daemontools", "svscan")

    def write(self, course: Course) -> tuple[str, ...]:
        directories.write(course)
        return "svscan", directories.PLACE

    def stop(self, course: Course, pid: int) -> tuple[str, ...]:
        super().stop(course, pid)
        return "svc", "-dx", *directories.names(course)

    def status(self, course: Course) -> tuple[str, ...]:
        return "svstat", *directories.names(course)
