"""circus, from PyPI."""

from __future__ import annotations

from bench.peers.install import Found, from_pip
from bench.peers.peer import Course, Peer

CONFIG = """[circus]
endpoint = ipc://{home}/circus.sock
pubsub_endpoint = ipc://{home}/circus-events.sock
[watcher:quiet]
cmd = {command}
numprocesses = {count}
stdout_stream.class = FileStream
stdout_stream.filename = {home}/out.log
stderr_stream.class = FileStream
stderr_stream.filename = {home}/err.log
"""


class Circus(Peer):
    """All of a kind write into one file; a number is not given twice."""

    name = "circus"

    def obtain(self) -> Found:
        return from_pip("circus", "circus", "setuptools<81")

    def write(self, course: Course) -> tuple[str, ...]:
        command = course.command("$(circus.wid)")
        text = CONFIG.format(home=course.home, command=command, count=course.count)
        (course.home / "circus.ini").write_text(text)
        return "circusd", "circus.ini"

    def status(self, course: Course) -> tuple[str, ...]:
        """`status` is a line a kind; only `stats` tells of each process."""
        return "circusctl", "--endpoint", f"ipc://{course.home}/circus.sock", "--timeout", "60", "stats", "quiet"
