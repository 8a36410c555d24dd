"""honcho, from PyPI: it starts and shows, and ends with the first that dies."""

from __future__ import annotations

from bench.peers.install import Found, from_pip
from bench.peers.peer import Course, Peer


class Honcho(Peer):
    """Has no client."""

    name = "honcho"
    restarts = False

    def obtain(self) -> Found:
        return from_pip("honcho", "honcho")

    def write(self, course: Course) -> tuple[str, ...]:
        (course.home / "Procfile").write_text(f"quiet: exec {course.command('$HONCHO_PROCESS_NAME')}\n")
        return "honcho", "start", "-c", f"quiet={course.count}"
