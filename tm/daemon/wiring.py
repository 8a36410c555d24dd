"""What one start of a process writes to: its pipes, the open log files that they share, and the form of their lines.

Guarantees: whoever names one file shares one open file, however they spell its path, and it is closed with its last
writer; a change of policy holds from the next line on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from tm.core.log_policy import PLAIN, Form, LogPolicy, Source, formed
from tm.core.tail import Tail, Tails
from tm.edge import files, logfile
from tm.edge.eventlog import stamp
from tm.edge.formatted import Formatted
from tm.edge.sinks import LogFile
from tm.edge.streams import Stream

Key: TypeAlias = tuple[str, int]
"""(task, number of the instance)."""


@dataclass(slots=True)
class Wiring:
    """The pipes of one start. `childs_ends` are given to the child; a stream goes by its name; `instance` and `pid`
    say who writes.
    """

    streams: dict[str, Stream] = field(default_factory=dict)
    childs_ends: list[int] = field(default_factory=list)
    policy: LogPolicy = PLAIN
    instance: str = ""
    pid: int = 0

    @property
    def stdio(self) -> tuple[int, int]:
        """What the child has as stdout and as stderr."""
        return self.childs_ends[0], self.childs_ends[-1]

    def close_childs_ends(self) -> None:
        """The child has its own copies, or there is none."""
        for fd in self.childs_ends:
            os.close(fd)

    def adopt(self, key: Key, policy: LogPolicy) -> None:
        """Let its logs be kept in this way."""
        self.policy = policy
        for name, stream in self.streams.items():
            file = file_of(stream)
            if file is not None:
                file.policy = policy
                if policy.discards:
                    file.share()
                form(stream, file, policy.form, Source(key[0], self.instance, self.pid, name))


class LogFiles:
    """The open log files. Owns their descriptors. `say` hears what an operator should know."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._by_path: dict[str, LogFile] = {}

    def __iter__(self) -> Iterator[LogFile]:
        """Each once."""
        return iter(dict.fromkeys(self._by_path.values()))

    def open(self, path: str) -> LogFile:
        """The file of that path, opened where it has to be. Raises OSError."""
        if (known := self._by_path.get(path)) is not None:
            return known
        file = LogFile(path, files, self._say)
        twin = next((each for each in self if os.path.sameopenfile(each.fd, file.fd)), None)
        if twin is not None:
            file.close()
        self._by_path[path] = twin or file
        return self._by_path[path]

    def tell_lost(self, file: LogFile) -> None:
        """It takes output again, or there is no more: what was given up meanwhile is told."""
        if file.lost:
            self._say(f"{file.lost} bytes of log {file.path} were lost")
            file.lost = 0

    def clear(self, path: str) -> None:
        """Make it empty, where it is there, and remove what was rotated. Raises OSError."""
        if path in self._by_path or os.path.lexists(path):
            file = self.open(path)
            file.clear()
            self.close_unused(file)
        for each in logfile.rotated(path):
            os.unlink(each)

    def close_unused(self, file: LogFile) -> None:
        """Close it, if nobody writes to it."""
        if file.unused:
            self.tell_lost(file)
            self._by_path = {path: each for path, each in self._by_path.items() if each is not file}
            file.close()


class MemoryTails:
    """What streams without a file said last, by process and stream; kept over restarts of the process."""

    def __init__(self, tails: Tails) -> None:
        self._tails = tails
        self._by_stream: dict[tuple[Key, str], Tail] = {}

    def tail(self, key: Key, stream: str) -> Tail:
        """The tail of a stream, empty at first."""
        return self._by_stream.get((key, stream)) or self._by_stream.setdefault((key, stream), self._tails.new())

    def read(self, key: Key, stream: str) -> bytes:
        """What it holds."""
        tail = self._by_stream.get((key, stream))
        return b"" if tail is None else tail.read()

    def clear(self, key: Key) -> None:
        """Forget what a process said."""
        for (whose, _), tail in self._by_stream.items():
            if whose == key:
                tail.clear()

    def forget(self, key: Key) -> None:
        """The instance is gone for good."""
        for stream in ("stdout", "stderr"):
            if (tail := self._by_stream.pop((key, stream), None)) is not None:
                self._tails.drop(tail)


def file_of(stream: Stream) -> LogFile | None:
    """The file that it goes to in the end; None for a tail in memory."""
    sink = stream.sink.log if isinstance(stream.sink, Formatted) else stream.sink
    return sink if isinstance(sink, LogFile) else None


def form(stream: Stream, file: LogFile, how: Form, source: Source) -> None:
    """Let its lines stand in the file in this form. What was formed once goes through `Formatted` for good, since it
    may owe something to the file.
    """

    def formed_now(data: bytes) -> bytes:
        return formed(how, data, stamp(), source)

    if isinstance(stream.sink, Formatted):
        stream.sink.form = formed_now
    elif how is not Form.RAW:
        stream.sink = Formatted(file, formed_now)
