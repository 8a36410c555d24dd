"""Streams whose log takes nothing: they wait, and go on when there is room again; and what is told of such a log.

Guarantees: one alarm a log, however many wait for it: a target that is full, such as a FIFO, a terminal or a receiver
of syslog, is watched, anything else is tried again once a second, while it refuses and only then; they are tried in the
order in which the log wants them. A stream that would rather lose than wait waits a second for a target that is full,
and from then on not at all until something is taken. A log that refuses is told once a minute, however much is lost.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from tm.core.flow import Log
from tm.core.timers import Instant, Timer
from tm.edge.loop import Callback, Loop, Rank
from tm.edge.streams import Stream

RETRY_S = 1.0
_TOLD_EVERY_S = 60.0

Origin: TypeAlias = tuple[tuple[str, int], str]
"""Whose stream, and its name."""


@dataclass(slots=True)
class _Group:
    """Who waits for one log. `watched`: for its descriptor, else for the timer."""

    watched: bool = False
    streams: dict[Stream, Origin] = field(default_factory=dict)
    timer: Timer[Callback] | None = None


class Refusals:
    """The streams that wait, by log. `retry` is called for each when its log may take something again, `give_up` for
    one that waits no longer.
    """

    def __init__(
        self, loop: Loop, retry: Callable[[Origin, Stream], None], give_up: Callable[[Origin, Stream], None]
    ) -> None:
        self._loop = loop
        self._retry = retry
        self._give_up = give_up
        self._groups: dict[Log, _Group] = {}
        self._stuck: set[Log] = set()

    def __len__(self) -> int:
        return sum(len(group.streams) for group in self._groups.values())

    def __contains__(self, stream: Stream) -> bool:
        return any(stream in group.streams for group in self._groups.values())

    def add(self, origin: Origin, stream: Stream) -> None:
        """Its log has refused it."""
        log = stream.log
        assert log is not None
        group = self._groups.get(log)
        if group is None:
            group = self._groups[log] = _Group(is_full(stream))
            if group.watched:
                self._loop.watch(log.fd, partial(self.wake, log), Rank.OUTPUT, write=True)
            else:
                group.timer = self._loop.call_in(RETRY_S, partial(self.wake, log))
        group.streams[stream] = origin
        if stream.discards and group.timer is None:
            group.timer = self._loop.call_in(RETRY_S, partial(self._overdue, log))

    def waits(self, stream: Stream) -> bool:
        """Whether a stream that was refused is to wait, now that it is."""
        return not stream.discards or (is_full(stream) and stream.log not in self._stuck)

    def owes(self, stream: Stream) -> bool:
        """Whether it was refused, and what it has is still to be written."""
        return stream.trouble is not None and self.waits(stream)

    def discard(self, stream: Stream) -> None:
        """It waits no longer."""
        log = stream.log
        group = None if log is None else self._groups.get(log)
        if group is not None and log is not None:
            group.streams.pop(stream, None)
            if not group.streams:
                self._disarm(log)

    def wake(self, log: Log) -> None:
        """Try all that wait for it."""
        group = self._disarm(log)
        for stream in sorted(group.streams, key=log.turns.place):
            if not stream.closed:
                self._retry(group.streams[stream], stream)

    def taken(self, log: Log) -> None:
        """It has taken something."""
        self._stuck.discard(log)

    def wake_all(self) -> None:
        """Try all."""
        for log in list(self._groups):
            self.wake(log)

    def reopening(self, log: Log) -> Callback:
        """Its descriptor is about to be replaced; call what is returned afterwards."""
        if log not in self._groups:
            return lambda: None
        group = self._disarm(log)

        def again() -> None:
            self._groups[log] = group
            group.watched = False
            group.timer = self._loop.call_in(0.0, partial(self.wake, log))

        return again

    def _disarm(self, log: Log) -> _Group:
        group = self._groups.pop(log, _Group())
        if group.timer is not None:
            self._loop.cancel(group.timer)
        if group.watched:
            self._loop.unwatch(log.fd)
        return group

    def _overdue(self, log: Log) -> None:
        """It is full, and has taken nothing for a second."""
        group = self._groups[log]
        group.timer = None
        self._stuck.add(log)
        for stream in [each for each in group.streams if each.discards]:
            self._give_up(group.streams.pop(stream), stream)
        if not group.streams:
            self._disarm(log)


class Reports:
    """What is told of logs that take nothing: each with its reason once in _TOLD_EVERY_S, and once when that is over.
    A log that is only slow, such as a pipe that is full, is not told unless something was lost.

    `on_change` hears of the same: the path, the sentence, and whether it takes nothing.
    """

    def __init__(self, loop: Loop, on_trouble: Callable[[str], None]) -> None:
        self._loop = loop
        self.say = on_trouble
        self._due: dict[tuple[object, ...], Instant] = {}
        self._refusing: set[str] = set()
        self.on_change: Callable[[str, str, bool], None] = lambda path, sentence, refuses: None

    def refused(self, stream: Stream) -> None:
        """Its log took nothing."""
        if stream.log is None or stream.trouble is None or not worth_telling(stream):
            return
        path = stream.log.path
        if self._is_due(path, stream.trouble.errno, stream.discards):
            self._refusing.add(path)
            self.say(sentence(stream))
            self.on_change(path, sentence(stream), True)

    def loss_is_due(self, path: str) -> bool:
        """Whether it may be told how much a log has lost."""
        return self._is_due(path)

    def _is_due(self, *what: object) -> bool:
        """Whether that may be told: it was not within the last minute."""
        if self._loop.now < self._due.get(what, self._loop.now):
            return False
        self._due[what] = Instant(self._loop.now + _TOLD_EVERY_S)
        return True

    def taken(self, stream: Stream, streams: Callable[[], Iterator[Stream]]) -> None:
        """Its log took something. That is news where it had refused, and refuses none of `streams` any more."""
        log = stream.log
        if log is None or log.path not in self._refusing:
            return
        if not any(each.trouble is not None and each.log is log for each in streams()):
            self._refusing.remove(log.path)
            self.on_change(log.path, f"log {log.path} takes output again", False)


def is_full(stream: Stream) -> bool:
    """Whether its log is only slow: somebody has to read what is in it."""
    return stream.trouble is not None and stream.trouble.errno == errno.EAGAIN


def sentences(streams: Iterator[Stream]) -> list[str]:
    """What an operator should know about logs that take nothing, each once."""
    return sorted({sentence(each) for each in streams if each.trouble is not None and worth_telling(each)})


def worth_telling(stream: Stream) -> bool:
    """Whether its refusal is more than slowness, or has cost something."""
    return not is_full(stream) or (stream.discards and stream.log is not None and stream.log.lost > 0)


def sentence(stream: Stream) -> str:
    """That its log takes nothing, and why."""
    log = stream.log
    target = "memory" if log is None else log.path
    number = (stream.trouble.errno if stream.trouble else 0) or 0
    what = f"{log.lost} bytes are lost" if log is not None and stream.discards else "its writers wait"
    return f"log {target} takes nothing ({os.strerror(number)}): {what}"
