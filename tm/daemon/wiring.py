"""What one start of a process writes to: its pipes, and the form of their lines.

Guarantees: a change of policy holds from the next line on.
Leaves to others: the logs, which several starts may share (`daemon.log_files`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tm.core import flow
from tm.core.flow import Log, Sink
from tm.core.log_policy import PLAIN, Form, LogPolicy, Source, formed
from tm.core.syslog import SYSLOG, messenger
from tm.core.tail import Tail
from tm.daemon.log_files import LogFiles
from tm.edge.eventlog import stamp
from tm.edge.formatted import Formatted
from tm.edge.memory import MemorySink
from tm.edge.pipes import Pipe, pipe
from tm.edge.sinks import LogFile
from tm.edge.streams import Stream
from tm.edge.syslog import Sender

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
            source, theirs = logs.with_room(partial(self.ends, self, held))
        except OSError:
            if log is not None:
                logs.close_unused(log)
            raise
        if log is not None:
            log.join()
        self.streams[name] = Stream(source, sink, log)
        if theirs >= 0:
            self.childs_ends.append(theirs)

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


def _formed_now(form: Form, source: Source, data: bytes) -> bytes:
    """Lines in their form, with the present time as that of their arrival."""
    return formed(form, data, stamp(), source)
