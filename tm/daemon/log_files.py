"""The open logs of one daemon: files, and the way to syslog.

Guarantees: whoever names one file shares one open file, however they spell its path, and whoever sends to syslog one
socket; it is closed when nobody writes to it and that is asked for; only so many files have a descriptor at a time.
Leaves to others: who writes to which (`daemon.wiring`), what is written (`edge.sinks`), the file (`edge.files`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar
from zlib import crc32

from tm.core.demand import OPEN_LOGS
from tm.core.flow import Log
from tm.core.turns import Turns
from tm.edge import files, logfile
from tm.edge.formatted import Formatted
from tm.edge.sinks import LogFile
from tm.edge.slots import Slots
from tm.edge.streams import Stream
from tm.edge.syslog import Syslog

T = TypeVar("T")


class LogFiles:
    """The open logs: files, and the way to syslog. Owns their descriptors. `say` hears what an operator should know."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._by_path: dict[str, LogFile] = {}
        self._paths: dict[LogFile, list[str]] = {}
        self._by_identity: dict[tuple[int, int], LogFile] = {}
        self._identities: dict[LogFile, tuple[int, int]] = {}
        self._on_turn, self._on_open, self._have = self._note, self._opened, self.with_room  # one for all files
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
        file = LogFile(files.OpenLog(path, self._say, self._have))
        if (twin := self._twin(file.file.identity)) is not None:
            file.close()
            file = twin
        else:
            self._add(file)
        self._by_path[path] = file
        self._paths[file].append(path)
        return file

    def _twin(self, identity: tuple[int, int]) -> LogFile | None:
        """The log that is this file already. One that rests may only have been it, before it was removed: the kernel
        gives inodes out again.
        """
        known = self._by_identity.get(identity)
        if known is not None and known.file.resting:
            with suppress(OSError):
                known.file.look()
        twin = self._by_identity.get(identity)
        return None if twin is None or twin.file.resting else twin

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

    def with_room(self, have: Callable[[], T]) -> T:
        """What `have` gives, once more where no descriptor was left for it and logs have given some back. Raises
        OSError.
        """
        try:
            return have()
        except OSError as error:
            if error.errno != errno.EMFILE or not self.make_room():
                raise
        return have()

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

    def resume(self, streams: Iterable[Stream]) -> None:
        """Lines that the last daemon has left half in files: finished by whom they are of, else ended."""
        for stream in streams:
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
        """Close it, if nobody writes to it and that has not been done."""
        if log.users or (log is not self._syslog and log not in self._paths):
            return
        self.tell_lost(log)
        if isinstance(log, LogFile):
            for path in self._paths.pop(log):
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
