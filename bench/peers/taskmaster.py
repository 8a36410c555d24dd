"""taskmaster, of this checkout: in the foreground without a shell, which is with a guardian."""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import sys
from contextlib import suppress

from bench.peers.install import Found, Unavailable
from bench.peers.peer import Course, Peer
from tests.integration.client import CLIENT
from tests.integration.driver import OWN, PROGRAM
from tm import __version__

CONFIG = """tasks:
  quiet:
    command: {command}
    instances: {count}
    autoLaunch: true
    restart: always
    successfulStartTimeout: 1
    {more}
"""
FILES = """stdout: "log/{n}.log"
    stderr: "log/{n}.err"
"""
TOGETHER = "stderr: stdout"
"""Of which each process needs half of the descriptors: one pipe instead of two."""
PIPES = 2
SPARE = 500


class Taskmaster(Peer):
    """As supervisor has it by default: a second until one counts as running, two files of output each."""

    name = "taskmaster"
    socket = OWN["--socket"]

    def obtain(self) -> Found:
        return Found({}, __version__)

    def write(self, course: Course) -> tuple[str, ...]:
        (course.home / "log").mkdir()
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        fits = most == resource.RLIM_INFINITY or PIPES * course.count + SPARE <= most
        if not fits:
            self.found = Found(
                {}, f"{__version__} ({course.count:,} with their output in memory: {most:,} descriptors)"
            )
        self.configure(course, FILES if fits else TOGETHER)
        own = (word for pair in OWN.items() for word in pair)
        return (*PROGRAM, *own, "-n", "web.yaml")

    def status(self, course: Course) -> tuple[str, ...]:
        return (*CLIENT, "-s", self.socket, "status")

    def configure(self, course: Course, more: str) -> None:
        """Write the file, with these further keys."""
        text = CONFIG.format(command=course.command("{n}"), count=course.count, more=more)
        (course.home / "web.yaml").write_text(text)


class TaskmasterWithUser(Taskmaster):
    """Each process is somebody else, as servers are, which only root can have. What that makes dearer is the boot."""

    name = "taskmaster, user:"
    only = frozenset({"boot"})
    user = "nobody"

    def obtain(self) -> Found:
        with suppress(KeyError):
            if os.geteuid() == 0 and pwd.getpwnam(self.user):
                return super().obtain()
        raise Unavailable(f"only root can become '{self.user}'")

    def configure(self, course: Course, more: str) -> None:
        """He has to find the way to the program and to the FIFO."""
        program = course.home / "reporter"
        shutil.copy(course.reporter[0], program)
        course.home.chmod(0o711)
        reporter = (str(program), *course.reporter[1:]) if course.reporter[0] != sys.executable else course.reporter
        super().configure(course._replace(reporter=reporter), f"{more}\n    user: {self.user}")
