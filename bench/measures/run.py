"""One run: a peer with so many processes, from its exec to the end of the last of them.

Guarantees: `end` leaves nobody, whatever has happened; what does not come within its time is Broken, and told how far
it came. Leaves to others: what is measured.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.measures import tree
from bench.measures.reporter import Report, Reports
from bench.peers.peer import Course, Peer
from tests.integration.driver import alive, environment

LOOK_S = 0.02


class Broken(Exception):
    """What a peer has not done, in a few words."""


class Run:
    """A peer at work, in a home of its own."""

    def __init__(self, peer: Peer, count: int, reporter: tuple[str, ...], home: Path) -> None:
        self.peer = peer
        self.reports = Reports(home)
        self.course = Course(home, count, (*reporter, str(self.reports.path)))
        self.reported: list[Report] = []
        self._last_s = time.monotonic()
        self._own: list[subprocess.Popen[bytes]] = []

    @property
    def main(self) -> int:
        """The pid of what was started first."""
        return self._own[0].pid

    @property
    def environment(self) -> dict[str, str]:
        """What the peer and its client see."""
        return environment(self.course.home) | self.peer.found.environment

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start something of the peer's, whose words go to a file."""
        with (self.course.home / "said").open("ab") as said:
            process = subprocess.Popen(
                command,
                cwd=self.course.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self._own.append(process)
        return process

    def client(self) -> list[str] | None:
        """Ask for the status, as the peer's own client has it; its lines."""
        command = self.peer.status(self.course)
        if command is None:
            return None
        done = subprocess.run(
            command,
            cwd=self.course.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        lines = done.stdout.decode(errors="replace").splitlines()
        if done.returncode:
            raise Broken(f"its client says {' '.join(lines[-1:])!r}, exit code {done.returncode}")
        if self.peer.tells_of_each and len(lines) < self.course.count:
            raise Broken(f"its client tells of {len(lines)} of {self.course.count}")
        return lines

    def hear(self, enough: Callable[[list[Report]], bool], limit_s: float, what: str) -> float:
        """Wait until what is reported from now on is enough; when the last of it was."""
        heard: list[Report] = []
        deadline = time.monotonic() + limit_s
        while not enough(heard):
            heard += self.listen(LOOK_S)
            if time.monotonic() > deadline:
                raise Broken(f"{len(heard)} {what} in {limit_s:.0f} s")
            if any(each.poll() for each in self._own):
                raise Broken(f"it ended after {len(heard)} {what}: {self.last_words()}")
        return heard[-1].when_s

    def listen(self, wait_s: float) -> list[Report]:
        """What is reported now, or first within the time. Also reaps orphans that have become ours."""
        heard = self.reports.more(wait_s)
        self.reported += heard
        if heard:
            self._last_s = heard[-1].when_s
        self.reap()
        return heard

    def settle(self, quiet_s: float) -> None:
        """Wait until nobody has reported for so long: all have been up for that time."""
        while (due_s := self._last_s + quiet_s - time.monotonic()) > 0:
            self.listen(due_s)

    def alive(self) -> list[int]:
        """Pids of the reporters that are."""
        return [pid for pid in dict.fromkeys(each.pid for each in self.reported) if alive(pid)]

    def belonging(self) -> set[int]:
        """Pids of the supervisor: all of the tree that do not report."""
        if pids := tree.descendants() - {each.pid for each in self.reported}:
            return pids
        raise Broken(f"it has ended: {self.last_words()}")

    def last_words(self) -> str:
        """What the peer has said last."""
        lines = (self.course.home / "said").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing said")

    def end(self) -> None:
        """SIGKILL to whoever is left."""
        tree.end_all()
        for each in self._own:
            each.wait()
        self.reports.close()

    def reap(self) -> None:
        """Orphans that died, lest somebody takes them for alive; those that we started through their objects."""
        own = {each.pid: each for each in self._own}
        with contextlib.suppress(ChildProcessError):
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if found.si_pid in own:
                    own[found.si_pid].poll()
                else:
                    os.waitpid(found.si_pid, 0)
