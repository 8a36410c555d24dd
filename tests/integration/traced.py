"""A daemon under strace: which system calls it makes, itself and not its children, and when it sleeps."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.client import Daemon
from tests.waiting import until

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")

MEMORY = frozenset({"brk", "mmap", "munmap", "mremap", "madvise"})
"""What the allocator asks for, now and then and not at each operation."""
_CALL = re.compile(r"^([a-z]\w+)\(", re.MULTILINE)
_LOOK = re.compile(r"^epoll_p?wait\d?\(.*?, (-?\d+)(?:, NULL, \d+)?\) += ", re.MULTILINE)
FOR_EVER = 0xFFFFFFFF
"""A limit of time of -1, as /proc/PID/syscall shows it: in the lower half of a word."""


class Traced(Daemon):
    """Its trace is read while it sleeps, so that it always ends in the same place: in the call in which it waits."""

    under = ("strace", "-D", "-ff", "-qq", "-o", "trace")

    def __init__(self, home: Path, config: str) -> None:
        super().__init__(home, config, "-l", "taskmaster.log")
        self._pid = self.daemon
        self._trace = home / f"trace.{self._pid}"
        self._read = 0

    def sleeps(self) -> bool:
        """Whether it waits without a deadline, which it does not before everything that is due has been done."""
        words = Path(f"/proc/{self._pid}/syscall").read_text().split()
        last = self._trace.read_bytes().rpartition(b"\n")[2]
        return last.startswith(b"epoll_") and len(words) > 4 and int(words[4], 16) & FOR_EVER == FOR_EVER

    def doing(self, act: Callable[[], object], record: str = "") -> str:
        """The trace of what it does from `act` on until its event log has one more such record (''; `act` waits for
        something itself) and it sleeps again.
        """
        until(self.sleeps, "a daemon that sleeps")
        self.since()
        before = self.log.count(record)
        act()
        until(lambda: not record or self.log.count(record) > before, f"one more {record!r}")
        until(self.sleeps, "a daemon that sleeps again")
        return self.since()

    def since(self) -> str:
        """What has come to the trace since the last time, in whole lines: not what it is at."""
        with self._trace.open("rb") as file:
            file.seek(self._read)
            lines, end, _ = file.read().rpartition(b"\n")
        self._read += len(lines + end)
        return (lines + end).decode(errors="replace")


def calls(trace: str) -> Counter[str]:
    """How often it made each system call."""
    return Counter(name for name in _CALL.findall(trace) if name not in MEMORY)


def wake_ups(trace: str) -> int:
    """How often it had gone to sleep and was woken; a look at what is ready, which does not wait, is none."""
    return sum(int(timeout) != 0 for timeout in _LOOK.findall(trace))
