"""runit, from PATH or Debian's packages: runsvdir, and a runsv for each; no logger, so nothing is captured."""

from __future__ import annotations

import os
import signal

from bench.peers import directories
from bench.peers.install import Found, from_apt
from bench.peers.peer import Course, Peer


class Runit(Peer):
    """A hang-up stops all; at a TERM runsvdir alone would leave."""

    name = "runit"

    def obtain(self) -> Found:
        return from_apt("runit", "runsvdir")

    def write(self, course: Course) -> tuple[str, ...]:
        directories.write(course)
        return "runsvdir", directories.PLACE

    def stop(self, course: Course, pid: int) -> tuple[str, ...]:
        os.kill(pid, signal.SIGHUP)
        return ()

    def status(self, course: Course) -> tuple[str, ...]:
        return "sv", "status", *directories.names(course)
