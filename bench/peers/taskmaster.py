"""taskmaster, of this checkout: in the foreground without a shell, which is with a guardian."""

from __future__ import annotations

from bench.peers.install import Found
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
    stdout: "log/{{n}}.log"
    stderr: "log/{{n}}.err"
"""


class Taskmaster(Peer):
    """As supervisor has it by default: a second until one counts as running, two files of output each."""

    name = "taskmaster"
    socket = OWN["--socket"]

    def obtain(self) -> Found:
        return Found({}, __version__)

    def write(self, course: Course) -> tuple[str, ...]:
        (course.home / "log").mkdir()
        (course.home / "web.yaml").write_text(CONFIG.format(command=course.command("{n}"), count=course.count))
        own = (word for pair in OWN.items() for word in pair)
        return (*PROGRAM, *own, "-n", "web.yaml")

    def status(self, course: Course) -> tuple[str, ...]:
        return (*CLIENT, "-s", self.socket, "status")
