"""Streams whose log takes nothing: they wait, and go on when there is room again; and what is told of such a log.

Guarantees: one alarm a log, however many wait for it: a pipe, FIFO or terminal that is full is watched, anything else
is tried again once a second, while it refuses and only then; they are tried in the order in which the log wants them;
a log that refuses is told once a minute, however much is lost.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from tm.core.timers import Instant, Timer
from tm.daemon.wiring import file_of
from tm.edge.loop import Callback, Loop, Rank
from tm.edge.sinks import LogFile
from tm.edge.streams import Stream

RETRY_S = 1.0
_TOLD_EVERY_S = 60.0

Origin: TypeAlias = tuple[tuple[str, int], str]
"""Whose stream, and its name."""


@dataclass(slots=True)
class _Group:
    """Who waits for one log. No timer: its descriptor is watched."""

    streams: dict[Stream, Origin] = field(default_factory=dict)
    timer: Timer[Callback] | None = None


class Refusals:
    """The streams that wait, by log. `retry` is called for each when its log may take something again."""

    def __init__(self, loop: Loop, retry: Callable[[Origin, Stream], None]) -> None:
        self._loop = loop
        self._retry = retry
        self._groups: dict[LogFile, _Group] = {}

    def __len__(self) -> int:
        return sum(len(group.streams) for group in self._groups.values())

    def __contains__(self, stream: Stream) -> bool:
        return any(stream in group.streams for group in self._groups.values())

    def add(self, origin: Origin, stream: Stream) -> None:
        """Its log has refused it."""
        file = file_of(stream)
        assert file is not None
        group = self._groups.get(file)
        if group is None:
            group = self._groups[file] = _Group()
            if is_full_pipe(stream):
                self._loop.watch(file.fd, partial(self.wake, file), Rank.OUTPUT, write=True)
            else:
                group.timer = self._loop.call_at(Instant(self._loop.now + RETRY_S), partial(self.wake, file))
        group.streams[stream] = origin

    def discard(self, stream: Stream) -> None:
        """It waits no longer."""
        file = file_of(stream)
        group = None if file is None else self._groups.get(file)
        if group is not None and file is not None:
            group.streams.pop(stream, None)
            if not group.streams:
                self._disarm(file)

    def wake(self, file: LogFile) -> None:
        """Try all that wait for it."""
        group = self._disarm(file)
        for stream in sorted(group.streams, key=file.turns.place):
            if not stream.closed:
                self._retry(group.streams[stream], stream)

    def wake_all(self) -> None:
        """Try all."""
        for file in list(self._groups):
            self.wake(file)

    def reopening(self, file: LogFile) -> Callback:
        """Its descriptor is about to be replaced; call what is returned afterwards."""
        if file not in self._groups:
            return lambda: None
        group = self._disarm(file)

        def again() -> None:
            self._groups[file] = group
            group.timer = self._loop.call_at(self._loop.now, partial(self.wake, file))

        return again

    def _disarm(self, file: LogFile) -> _Group:
        group = self._groups.pop(file, _Group())
        if group.timer is not None:
            self._loop.cancel(group.timer)
        else:
            self._loop.unwatch(file.fd)
        return group


class Reports:
    """What is told of logs that take nothing: each with its reason once in _TOLD_EVERY_S, and once when that is over.
    A pipe, FIFO or terminal that is full is only slow, and not told.

    `on_change` hears of the same: the path, the sentence, and whether it takes nothing.
    """

    def __init__(self, loop: Loop, on_trouble: Callable[[str], None]) -> None:
        self._loop = loop
        self._on_trouble = on_trouble
        self._due: dict[tuple[str, int], Instant] = {}
        self._refusing: set[str] = set()
        self.on_change: Callable[[str, str, bool], None] = lambda path, sentence, refuses: None

    def refused(self, stream: Stream) -> None:
        """Its log took nothing."""
        file = file_of(stream)
        if file is None or stream.trouble is None or is_full_pipe(stream):
            return
        if self.is_due(file.path, stream.trouble.errno or 0):
            self._refusing.add(file.path)
            self._on_trouble(sentence(stream))
            self.on_change(file.path, sentence(stream), True)

    def is_due(self, path: str, reason: int) -> bool:
        """Whether that may be told of a log (an errno, 0: what was lost): it was not within the last minute."""
        if self._loop.now < self._due.get((path, reason), self._loop.now):
            return False
        self._due[path, reason] = Instant(self._loop.now + _TOLD_EVERY_S)
        return True

    def taken(self, stream: Stream, streams: Callable[[], Iterator[Stream]]) -> None:
        """Its log took something. That is news where it had refused, and refuses none of `streams` any more."""
        if not self._refusing or (file := file_of(stream)) is None or file.path not in self._refusing:
            return
        if not any(each.trouble is not None and file_of(each) is file for each in streams()):
            self._refusing.remove(file.path)
            self.on_change(file.path, f"log {file.path} takes output again", False)


def waits(stream: Stream) -> bool:
    """Whether it owes something to its log, which has refused it."""
    file = file_of(stream)
    return stream.trouble is not None and not (file is not None and file.policy.discards)


def is_full_pipe(stream: Stream) -> bool:
    """Whether its log is only slow: somebody has to read what is in it."""
    return stream.trouble is not None and stream.trouble.errno == errno.EAGAIN


def sentences(streams: Iterator[Stream]) -> list[str]:
    """What an operator should know about logs that take nothing, each once."""
    return sorted({sentence(each) for each in streams if each.trouble is not None and not is_full_pipe(each)})


def sentence(stream: Stream) -> str:
    """That its log takes nothing, and why."""
    file = file_of(stream)
    target = "memory" if file is None else file.path
    number = (stream.trouble.errno if stream.trouble else 0) or 0
    lost = file is not None and file.policy.discards
    what = f"{file.lost} bytes are lost" if file is not None and lost else "its writers wait"
    return f"log {target} takes nothing ({os.strerror(number)}): {what}"
