"""dinit, from PATH or the packages of a Debian that has it; nothing is captured, as is its default."""

from __future__ import annotations

from bench.peers.install import Found, from_apt
from bench.peers.peer import Course, Peer

SERVICE = """type = process
command = {command}
restart = yes
"""


class Dinit(Peer):
    """All are what its service `boot` waits for."""

    name = "dinit"

    def obtain(self) -> Found:
        return from_apt("dinit", "dinit")

    def write(self, course: Course) -> tuple[str, ...]:
        place = course.home / "services"
        (place / "boot.d").mkdir(parents=True)
        (place / "boot").write_text("type = internal\nwaits-for.d = boot.d\n")
        for n in range(1, course.count + 1):
            (place / f"quiet_{n}").write_text(SERVICE.format(command=course.command(n)))
            (place / "boot.d" / f"quiet_{n}").symlink_to(f"../quiet_{n}")
        return "dinit", "--user", "-d", str(place), "-p", str(course.home / "dinit.sock"), "boot"

    def status(self, course: Course) -> tuple[str, ...]:
        return "dinitctl", "-p", str(course.home / "dinit.sock"), "list"
