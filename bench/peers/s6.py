"""s6, from PATH or Debian's packages: s6-svscan, and an s6-supervise for each; no logger, so nothing is captured."""

from __future__ import annotations

from bench.peers import directories
from bench.peers.install import Found, from_apt
from bench.peers.peer import Course, Peer

ROOM = 16
WITHIN = 'mount -t overlay -o "lowerdir=$0:/usr/bin" overlay /usr/bin && exec "$@"'


class S6(Peer):
    """Told to have room for all: its default is 500.

    Debian's s6-svscan knows its companions by their absolute paths. Where they are only unpacked, it sees them there in
    a mount namespace of its own, which nobody else is in and which ends with it.
    """

    name = "s6"

    def obtain(self) -> Found:
        return from_apt("s6", "s6-svscan")

    def write(self, course: Course) -> tuple[str, ...]:
        directories.write(course)
        command = ("s6-svscan", "-c", str(course.count + ROOM), directories.PLACE)
        if not self.found.environment:
            return command
        unpacked = self.found.environment["PATH"].split(":")[0]
        return "unshare", "--mount", "sh", "-c", WITHIN, unpacked, *command

    def status(self, course: Course) -> tuple[str, ...]:
        """Its client takes one directory."""
        return "sh", "-c", f"for each in {directories.PLACE}/*; do s6-svstat $each; done"
