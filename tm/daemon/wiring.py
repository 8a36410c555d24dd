"""What one start of a process writes to: its pipes, the open logs that they share, and the form of their lines.

Guarantees: whoever names one file shares one open file, however they spell its path, and whoever sends to syslog one
socket; it is closed with its last writer; a change of policy holds from the next line on.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

from tm.core import flow
from tm.core.demand import OPEN_LOGS
from tm.core.flow import Log, Sink
from tm.core.log_policy import PLAIN, Form, LogPolicy, Source, formed
from tm.core.syslog import SYSLOG, messenger
from tm.core.tail import Tail
from tm.core.turns import Turns
from tm.edge import files, logfile
from tm.edge.eventlog import stamp
from tm.edge.formatted import Formatted
from tm.edge.memory import MemorySink
from tm.edge.pipes import Pipe, pipe
from tm.edge.sinks import LogFile
from tm.edge.slots import Slots
from tm.edge.streams import Stream
from tm.edge.syslog import Sender, Syslog

if TYPE_CHECKING:
    from tm.edge.terminal import Terminal

Key: TypeAlias = tuple[str, int]
"""(task, number of the instance)."""

Ends: TypeAlias = "Callable[[Wiring, int], tuple[flow.Pipe, int]]"
"""Gives what a stream is emptied from, and the child's end of it, -1 where there is none any more; the number is that
of a pipe that there is already, or -1. It raises OSError.
"""


def piped(_wiring: Wiring, held: int) -> tuple[flow.Pipe, int]:
    """A pipe; `Ends` of all that have no terminal."""
    ours, theirs = pipe() if held < 0 else (held, -1)
    return Pipe(ours), theirs


@dataclass(slots=True)
class Wiring:
    """The pipes of one start. `childs_ends` are given to the child; a stream goes by its name; `instance` and `pid` say
    who writes; `adopted`: another daemon has started it; `common`: the streams into whose file others write, now or
    soon; `tty`: its only stream is to be a `terminal`.
    """

    streams: dict[str, Stream] = field(default_factory=dict)
    childs_ends: list[int] = field(default_factory=list)
    policy: LogPolicy = PLAIN
    instance: str = ""
    pid: int = 0
    adopted: bool = False
    common: frozenset[str] = frozenset()
    ends: Ends = piped
    tty: bool = False
    terminal: Terminal | None = None

    @property
    def stdio(self) -> tuple[int, int]:
        """What the child has as stdout and as stderr."""
        return self.childs_ends[0], self.childs_ends[-1]

    @property
    def files(self) -> dict[str, LogFile]:
        """The streams that go to a file, each with its own."""
        return {name: each.log for name, each in self.streams.items() if isinstance(each.log, LogFile)}

    def pipes(self) -> dict[str, int]:
        """The inode of each pipe, by stream."""
        return {name: each.inode for name, each in self.streams.items() if not each.closed}

    def close_childs_ends(self) -> None:
        """The child has its own copies, or there is none."""
        for fd in self.childs_ends:
            os.close(fd)

    def add(self, name: str, target: str | None, logs: LogFiles, tail: Callable[[], Tail], held: int = -1) -> None:
        """One more stream: its pipe, and where it goes: a path, SYSLOG or None; `held`: the end of a pipe that there is
        already. Raises OSError; nothing more is open then.
        """
        log: Log | None = None
        sink: Sink
        if target is None:
            sink = MemorySink(tail())
        elif target == SYSLOG:
            log = syslog = logs.syslog()
            sink = Sender(syslog, tail())
        else:
            log = sink = logs.file(target)
        try:
            source, theirs = self._ends(held, logs)
        except OSError:
            if log is not None:
                logs.close_unused(log)
            raise
        if log is not None:
            log.join()
        self.streams[name] = Stream(source, sink, log)
        if theirs >= 0:
            self.childs_ends.append(theirs)

    def _ends(self, held: int, logs: LogFiles) -> tuple[flow.Pipe, int]:
        try:
            return self.ends(self, held)
        except OSError as error:
            if error.errno != errno.EMFILE or not logs.make_room():
                raise
        return self.ends(self, held)

    def adopt(self, key: Key, policy: LogPolicy) -> None:
        """Let its logs be kept in this way."""
        self.policy = policy
        for name, stream in self.streams.items():
            stream.discards = policy.discards
            if isinstance(file := stream.log, LogFile):
                file.policy = policy
                if policy.discards or name in self.common:
                    file.share()
            self._form(stream, Source(key[0], self.instance, self.pid, name))

    def _form(self, stream: Stream, source: Source) -> None:
        """Let its lines have their form. What was formed once goes through `Formatted` for good, since it may owe
        something to the file.
        """
        how = self.policy.form
        if isinstance(stream.sink, Sender):
            stream.sink.form = lambda: messenger(how, stamp(), source)
        elif isinstance(stream.sink, Formatted):
            stream.sink.form = partial(_formed_now, how, source)
        elif isinstance(stream.log, LogFile) and how is not Form.RAW:
            stream.sink = Formatted(stream.log, partial(_formed_now, how, source))


class LogFiles:
    """The open logs: files, and the way to syslog. Owns their descriptors. `say` hears what an operator should know."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._by_path: dict[str, LogFile] = {}
        self._paths: dict[LogFile, list[str]] = {}
        self._by_identity: dict[tuple[int, int], LogFile] = {}
        self._identities: dict[LogFile, tuple[int, int]] = {}
        self._on_turn, self._on_open = self._note, self._opened  # one for all files
        self._open: dict[LogFile, None] = {}
        self._syslog: Syslog | None = None
        self.syslog_path = ""
        self.slots: Slots | None = None

    def __iter__(self) -> Iterator[Log]:
        """Each once."""
        yield from list(self._paths)
        if self._syslog is not None:
            yield self._syslog

    def file(self, path: str) -> LogFile:
        """The file of that path, opened where it has to be. Raises OSError."""
        if (known := self._by_path.get(path)) is not None:
            return known
        file = LogFile(files.OpenLog(path, self._say, self.make_room))
        if (twin := self._by_identity.get(file.file.identity)) is not None:
            file.close()
            file = twin
        else:
            self._add(file)
        self._by_path[path] = file
        self._paths[file].append(path)
        return file

    def _add(self, file: LogFile) -> None:
        if self.slots is not None and (slot := self.slots.take(_number(file.path))) is not None:
            file.turns.slot, file.turns.on_turn = slot, self._on_turn
        self._paths[file] = []
        self._opened(file)
        file.on_open = self._on_open

    def _opened(self, file: LogFile) -> None:
        """It has a descriptor, perhaps of another file than before. Where that are too many, who got his first gives it
        back, and has one again when he writes.
        """
        self._known_as(file, file.file.identity)
        self._open.pop(file, None)
        self._open[file] = None
        for each in list(self._open)[:-OPEN_LOGS]:
            self._rest(each)

    def _rest(self, file: LogFile) -> None:
        """Let it give its descriptor back, unless somebody waits for it."""
        del self._open[file]
        if not file.turns.claimed:
            file.file.rest()

    def make_room(self) -> bool:
        """Give back what can be had again; whether there was something."""
        resting = list(self._open)
        for each in resting:
            self._rest(each)
        return bool(resting)

    def _known_as(self, file: LogFile, identity: tuple[int, int] | None) -> None:
        """It is this one; None: none any more."""
        before = self._identities.pop(file, None)
        if before is not None and self._by_identity.get(before) is file:
            del self._by_identity[before]
        if identity is not None:
            self._identities[file] = identity
            self._by_identity[identity] = file

    def _note(self, turns: Turns, writer: object) -> None:
        """Leave behind whose line it is that stands half in a file, if this is the end."""
        if self.slots is not None and turns.slot is not None and isinstance(writer, Stream):
            self.slots.note(turns.slot, writer.inode)

    def resume(self, wiring: Wiring) -> None:
        """Lines that the last daemon has left half in files: finished by whom they are of, else ended."""
        for stream in wiring.streams.values():
            file, formed = stream.log, isinstance(stream.sink, Formatted)
            if not isinstance(file, LogFile) or file.at_line_end() or not (file.shared or formed):
                continue
            owner = self.slots.left.get(_number(file.path)) if self.slots is not None else None
            if owner == stream.inode and not formed:
                file.turns.cut_short = file.turns.in_line_of = stream
            elif file.turns.cut_short is None:
                file.turns.in_line_of = file

    def syslog(self) -> Syslog:
        """The way to syslog, which somebody takes just now at the other end. Raises OSError."""
        if self._syslog is None:
            self._syslog = Syslog(self.syslog_path)
        else:
            self._syslog.reopen()
        return self._syslog

    def move_syslog(self, path: str) -> None:
        """The receiver is there from now on. Where none is, the present one is kept, and that is said."""
        self.syslog_path = path
        if self._syslog is None or self._syslog.path == path:
            return
        self._syslog.path = path
        try:
            self._syslog.reopen()
        except OSError as error:
            self._say(
                f"syslog {path} cannot be reached ({os.strerror(error.errno or 0)}): output goes on to where it went"
            )

    def tell_lost(self, log: Log) -> None:
        """It takes output again, or there is no more: what was given up meanwhile is told."""
        if log.lost:
            self._say(f"{log.lost} bytes of log {log.path} were lost")
            log.lost = 0

    def clear(self, path: str) -> None:
        """Make it empty, where it is there, and remove what was rotated. Raises OSError."""
        if path in self._by_path or os.path.lexists(path):
            file = self.file(path)
            if file.file.is_file:
                file.file.cut(0)
                file.turns.in_line_of = None
            self.close_unused(file)
        for each in logfile.rotated(files.place(path)):
            os.unlink(each)

    def close_unused(self, log: Log) -> None:
        """Close it, if nobody writes to it."""
        if not log.users:
            self.tell_lost(log)
            if isinstance(log, LogFile):
                for path in self._paths.pop(log, ()):
                    del self._by_path[path]
                self._known_as(log, None)
                self._open.pop(log, None)
            if self.slots is not None and log.turns.slot is not None:
                self.slots.give_back(log.turns.slot)
            self._syslog = None if log is self._syslog else self._syslog
            log.close()


def _number(path: str) -> int:
    """A number for a path, which another one hardly has."""
    data = path.encode("utf-8", "surrogateescape")
    return crc32(data) << 32 | crc32(data[::-1])


def _formed_now(form: Form, source: Source, data: bytes) -> bytes:
    """Lines in their form, with the present time as that of their arrival."""
    return formed(form, data, stamp(), source)
