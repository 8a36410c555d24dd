"""Who writes where: the streams of every instance, the logs they share, the tails in memory.

Guarantees: instances that name one file share one open file, however they spell its path; a pipe that a descendant
holds after its process ended stays watched, HELD_PIPES of them an instance at most; what a process has written before
it ended is never given up, and goes into its log before what the next one writes; a log that refuses is told once a
minute.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator
from functools import partial
from typing import NamedTuple

from tm.core.flow import Log
from tm.core.launch import Launch, SpawnFailure
from tm.core.log_policy import LogPolicy
from tm.core.once import Once
from tm.core.syslog import SYSLOG
from tm.core.tail import Tails
from tm.daemon.failures import NoTerminal, log_failure, syslog_failure, terminal_failure
from tm.daemon.log_files import LogFiles
from tm.daemon.memory_tails import MemoryTails
from tm.daemon.refusals import Origin, Refusals, Reports, sentences
from tm.daemon.wiring import Ends, Key, Wiring, piped
from tm.edge.changes import Changes
from tm.edge.loop import SOON_S, Loop, Rank
from tm.edge.streams import Stream

HELD_PIPES = 2

Hear = Callable[[Key, str, bytes], None]
"""Hears of output: whose, `stdout` or `stderr`, and the bytes; b'' when a process or its output has ended."""


class Listener(NamedTuple):
    """Who hears of output, and of which streams: what nobody `wants` goes from its pipe into its log unseen."""

    hear: Hear
    wants: Callable[[Key, str], bool] = lambda key, stream: True


Watcher = Callable[[str, bytes], None]
"""Hears of what one process itself writes, as it was written: the stream, and the bytes."""


class Outputs:
    """All streams. Owns their descriptors; `files` and `memory` are where they go, `reports` what is told of logs that
    take nothing. `on_close` hears of each descriptor that is about to be closed.
    """

    def __init__(self, loop: Loop, tails: Tails, on_trouble: Callable[[str, str], None]) -> None:
        """`on_trouble` is told (path, sentence)."""
        self._loop = loop
        self.reports = Reports(loop, partial(on_trouble, "log"))
        self.memory = MemoryTails(tails)
        self.files = LogFiles(partial(on_trouble, "log"))
        self._current: dict[Key, Wiring] = {}
        self._held: dict[Key, list[Stream]] = {}
        self._refused = Refusals(loop, self._retry, self._give_up)
        self._changes = Changes(loop)
        self._unused: dict[Log, None] = {}
        self._lingering = Once(partial(loop.call_in, SOON_S), self._close_unused)
        self.listeners: list[Listener] = []
        self.watchers: dict[Key, Watcher] = {}
        self.ends: Ends = piped
        self.on_close: Callable[[int], None] = lambda fd: None

    def open(self, key: Key, launch: Launch) -> Wiring | SpawnFailure:
        """Open what one start writes to; a log that cannot be opened is a failed start with the reason."""
        instance = launch.environment.get("TASKMASTER_INSTANCE", key[0])
        wiring = Wiring(policy=launch.logs, instance=instance, common=launch.common, ends=self.ends, tty=launch.tty)
        for name, target in launch.targets.items():
            try:
                wiring.add(name, target, self.files, partial(self.memory.tail, key, name))
            except OSError as error:
                wiring.close_childs_ends()
                self.discard(wiring)
                if isinstance(error, NoTerminal):
                    return terminal_failure(error)
                if target == SYSLOG:
                    return syslog_failure(name, self.files.syslog_path, error)
                return log_failure(name, target, error)
        return wiring

    def discard(self, wiring: Wiring) -> None:
        """The start failed: give back the daemon's ends."""
        for stream in wiring.streams.values():
            self._close(None, stream)
        self._close_unused()

    def attach(self, key: Key, wiring: Wiring, pid: int | None = 0) -> None:
        """The process has started: watch what it writes. None: it has ended, and its descendants hold the pipes."""
        if pid is None:
            self._held.setdefault(key, []).extend(wiring.streams.values())
        else:
            self._current[key] = wiring
        wiring.pid = pid or 0
        wiring.adopt(key, wiring.policy)
        for name, stream in wiring.streams.items():
            self._watch(key, name, stream)

    def process_ended(self, key: Key) -> bool:
        """Take its last words; whether a descendant still holds one of its pipes."""
        try:
            for name, stream in self.wiring(key).streams.items():
                if not stream.closed:  # else it closed its output before it ended
                    self._end(key, name, stream)
        finally:
            self._current.pop(key, None)  # who hears the last words looks up where they are
        self._let_go(key)
        return any(not self._refused.owes(stream) for stream in self._held.get(key, ()))

    def held(self, key: Key) -> int:
        """How many pipes of ended processes are kept: descendants hold them, or their log takes nothing."""
        return len(self._held.get(key, ()))

    def wiring(self, key: Key) -> Wiring:
        """What a live process writes to; an empty one where nothing lives."""
        return self._current.get(key) or Wiring()

    def forget(self, key: Key) -> None:
        """The instance is gone for good: its pipes and tails go too."""
        for stream in list(self._held.get(key, [])):
            self._close(key, stream)
        self.memory.forget(key)

    def reopen(self) -> list[str]:
        """Open every log anew; the sentences of those that refused and go on with what they had."""
        failed = []
        for log in self.files:
            then = self._refused.reopening(log)
            try:
                log.reopen()
            except OSError as error:
                failed.append(f"log {log.path} cannot be opened anew: {os.strerror(error.errno or 0)}")
            then()
        return failed

    def adopt(self, policy: Callable[[str], LogPolicy | None]) -> None:
        """From now on the logs of each task are kept in this way; None: as they were."""
        for key, wiring in self._current.items():
            if (wanted := policy(key[0])) is not None:
                wiring.adopt(key, wanted)

    def troubles(self) -> list[str]:
        """The logs that take nothing at present, each with its reason."""
        return sentences(self._streams())

    def settle(self, kept: Container[Key] = ()) -> None:
        """The last chance before the daemon leaves: everything that is still in a pipe, but for the pipes of those that
        are `kept` for the next one.
        """
        for key in list(self._current):
            if key not in kept:
                self.process_ended(key)
        self._refused.wake_all()
        for key, held in self._held.items():
            for stream in held:
                self._drain(key, "", stream)

    def close(self) -> None:
        """Nothing is watched any more, and no log lingers."""
        self._close_unused()
        self._changes.close()

    def _end(self, key: Key, name: str, stream: Stream) -> None:
        stream.process_ended()
        self._drain(key, name, stream)
        self._hear(key, name, b"")
        if not self._after_transfer(key, name, stream):
            self._held.setdefault(key, []).append(stream)
            if stream.log is not None and self._refused.owes(stream):
                stream.log.turns.let_finish(stream)

    def _streams(self) -> Iterator[Stream]:
        for wiring in self._current.values():
            yield from wiring.streams.values()
        for held in self._held.values():
            yield from held

    def _watch(self, key: Key, name: str, stream: Stream) -> None:
        self._loop.watch(stream.fd, partial(self._readable, key, name, stream), Rank.OUTPUT)

    def _readable(self, key: Key, name: str, stream: Stream) -> None:
        self._transfer(key, name, stream)
        self._after_transfer(key, name, stream)

    def _transfer(self, key: Key, name: str, stream: Stream) -> None:
        watcher = self.watchers.get(key) if self.watchers and self.wiring(key).streams.get(name) is stream else None
        if stream.transfer(watcher is not None or self._wanted(key, name)):
            self.reports.taken(stream, self._streams)
        if stream.said:
            self._hear(key, name, stream.said)
        if watcher is not None and stream.raw:
            watcher(name, stream.raw)

    def _drain(self, key: Key, name: str, stream: Stream) -> None:
        for data in stream.drain(self._wanted(key, name)):
            self.reports.taken(stream, self._streams)
            if data:
                self._hear(key, name, data)

    def _hear(self, key: Key, name: str, data: bytes) -> None:
        for listener in list(self.listeners):
            if listener.wants(key, name):
                listener.hear(key, name, data)

    def _wanted(self, key: Key, name: str) -> bool:
        return any(listener.wants(key, name) for listener in self.listeners)

    def _after_transfer(self, key: Key, name: str, stream: Stream) -> bool:
        """Close a stream that is over, put aside one whose sink refuses; whether it is over."""
        log = stream.log
        if stream.trouble is not None and not self._refused.waits(stream):
            self._lose(stream)
        elif stream.trouble is not None:
            self.reports.refused(stream)
            if stream not in self._refused:
                self._unwatch(stream)
                self._refused.add((key, name), stream)
        elif stream.ended:
            self._hear(key, name, b"")
            self._close(key, stream)
            return True
        elif stream.stalled:
            self._loop.unwatch(stream.fd)
            self._changes.watch(stream.fd, partial(self._changed, key, name, stream))
        elif log is not None:
            self._refused.taken(log)
            if log.lost and self.reports.loss_is_due(log.path):
                self.files.tell_lost(log)
        return False

    def _lose(self, stream: Stream) -> None:
        """Let it go on without its log."""
        if stream.log is not None:
            stream.log.lost += stream.discard()
            self.reports.refused(stream)

    def _give_up(self, origin: Origin, stream: Stream) -> None:
        """It has waited long enough."""
        key, name = origin
        self._lose(stream)
        self._watch(key, name, stream)

    def _changed(self, key: Key, name: str, stream: Stream) -> None:
        """More has come to an unfinished line."""
        self._readable(key, name, stream)
        if not (stream.stalled or stream.closed or stream in self._refused):
            self._changes.unwatch(stream.fd)
            self._watch(key, name, stream)

    def _unwatch(self, stream: Stream) -> None:
        self._loop.unwatch(stream.fd)
        self._changes.unwatch(stream.fd)

    def _retry(self, origin: Origin, stream: Stream) -> None:
        """Its log may take something again: the last words whole, then whatever comes."""
        key, name = origin
        if stream in self._held.get(key, ()):
            self._drain(key, name, stream)
        else:
            self._transfer(key, name, stream)
        if not self._refused.owes(stream):
            if stream.log is not None:
                stream.log.turns.has_finished(stream)
            self._watch(key, name, stream)
        self._after_transfer(key, name, stream)
        self._let_go(key)

    def _let_go(self, key: Key) -> None:
        """Close the oldest pipes that descendants hold; one that owes something to its log is kept."""
        held = [stream for stream in self._held.get(key, ()) if not self._refused.owes(stream)]
        for stream in held[:-HELD_PIPES]:
            self._close(key, stream)

    def _close(self, key: Key | None, stream: Stream) -> None:
        self._unwatch(stream)
        self.on_close(stream.fd)
        stream.close()
        self._refused.discard(stream)
        if key is not None and stream in (held := self._held.get(key, [])):
            held.remove(stream)
            if not held:
                del self._held[key]
        if stream.log is not None:
            stream.log.leave(stream)
            self._unused[stream.log] = None
            self._lingering.ask()  # who is started again finds it open

    def _close_unused(self) -> None:
        while self._unused:
            self.files.close_unused(self._unused.popitem()[0])
