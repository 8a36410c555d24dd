"""Who writes where: the streams of every instance, the log files they share, the tails in memory.

Guarantees: instances that name one file share one open file, however they spell its path; a pipe that a descendant
holds after its process ended stays watched, HELD_PIPES of them an instance at most; what a process has written before
it ended is never given up, and goes into its log before what the next one writes; a log that refuses is told once a
minute.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tm.core.launch import Launch, SpawnFailure
from tm.core.tail import Tail, Tails
from tm.core.timers import Instant
from tm.daemon.refusals import Origin, Refusals, is_full_pipe, sentence, sentences
from tm.edge.loop import Loop, Rank
from tm.edge.sinks import LogFile, MemorySink
from tm.edge.streams import Stream, pipe

Key = tuple[str, int]
"""(task, number of the instance)."""

HELD_PIPES = 2
_TOLD_EVERY_S = 60.0

Listener = Callable[[Key, str, bytes], None]
"""Hears of output: whose, `stdout` or `stderr`, and the bytes; b'' when a process or its output has ended."""


@dataclass(slots=True)
class Wiring:
    """The pipes of one start. `childs_ends` are given to the child and closed; a stream goes by its name."""

    streams: dict[str, Stream] = field(default_factory=dict)
    childs_ends: tuple[int, int] = (-1, -1)

    def close_childs_ends(self) -> None:
        """The child has its own copies."""
        for fd in set(self.childs_ends):
            os.close(fd)


class Outputs:
    """All streams. Owns their descriptors and the open log files."""

    def __init__(self, loop: Loop, tails: Tails, on_trouble: Callable[[str, str], None]) -> None:
        """`on_trouble` is told (path, sentence)."""
        self._loop = loop
        self._tails = tails
        self._on_trouble = on_trouble
        self._told: dict[str, Instant] = {}
        self._files: dict[str, LogFile] = {}
        self._memory: dict[tuple[Key, str], Tail] = {}
        self._current: dict[Key, Wiring] = {}
        self._held: dict[Key, list[Stream]] = {}
        self._refused = Refusals(loop, self._retry)
        self.listeners: list[Listener] = []

    def open(self, key: Key, launch: Launch) -> Wiring | SpawnFailure:
        """Open what one start writes to; a log that cannot be opened is a failed start with the reason."""
        wiring = Wiring()
        try:
            out = self._open_stream(key, "stdout", launch.stdout, wiring)
        except OSError as error:
            return _failure("stdout", launch.stdout, error)
        wiring.childs_ends = (out, out)
        if launch.merges_stderr:
            return wiring
        try:
            wiring.childs_ends = (out, self._open_stream(key, "stderr", launch.stderr, wiring))
        except OSError as error:
            wiring.close_childs_ends()
            self.discard(wiring)
            return _failure("stderr", launch.stderr, error)
        return wiring

    def discard(self, wiring: Wiring) -> None:
        """The start failed: give back the daemon's ends."""
        for stream in wiring.streams.values():
            self._close(None, stream)

    def attach(self, key: Key, wiring: Wiring) -> None:
        """The process has started: watch what it writes."""
        self._current[key] = wiring
        for name, stream in wiring.streams.items():
            self._watch(key, name, stream)

    def process_ended(self, key: Key) -> bool:
        """Take its last words; whether a descendant still holds one of its pipes."""
        wiring = self._current.pop(key, Wiring())
        for name, stream in wiring.streams.items():
            if stream.closed:  # it closed its output before it ended
                continue
            self._drain(key, name, stream)
            stream.process_ended()
            self._hear(key, name, b"")
            if not self._after_transfer(key, name, stream):
                self._held.setdefault(key, []).append(stream)
                if stream.trouble is not None and isinstance(stream.sink, LogFile):
                    stream.sink.let_finish(stream)
        self._let_go(key)
        return any(stream.trouble is None for stream in self._held.get(key, ()))

    def held(self, key: Key) -> int:
        """How many pipes of ended processes are kept: descendants hold them, or their log takes nothing."""
        return len(self._held.get(key, ()))

    def path(self, key: Key, stream: str) -> str | None:
        """The file that a stream of a live process goes to; None where it has none, or nothing lives."""
        wiring = self._current.get(key, Wiring())
        sink = wiring.streams[stream].sink if stream in wiring.streams else None
        return sink.path if isinstance(sink, LogFile) else None

    def tail(self, key: Key, stream: str) -> bytes | None:
        """What a stream without a file said last; None where there is no such tail."""
        tail = self._memory.get((key, stream))
        return None if tail is None else tail.read()

    def forget(self, key: Key) -> None:
        """The instance is gone for good: its pipes and tails go too."""
        for stream in list(self._held.get(key, [])):
            self._close(key, stream)
        for name in ("stdout", "stderr"):
            if tail := self._memory.pop((key, name), None):
                self._tails.drop(tail)

    def reopen(self) -> list[str]:
        """Open every log anew; the sentences of those that refused and go on with the old file."""
        failed = []
        for file in dict.fromkeys(self._files.values()):
            then = self._refused.reopening(file)
            try:
                file.reopen()
            except OSError as error:
                failed.append(f"log {file.path} cannot be opened anew: {os.strerror(error.errno or 0)}")
            then()
        return failed

    def troubles(self) -> list[str]:
        """The logs that take nothing at present, each with its reason."""
        waiting = [stream for wiring in self._current.values() for stream in wiring.streams.values()]
        waiting += [stream for held in self._held.values() for stream in held]
        return sentences(iter(waiting))

    def settle(self) -> None:
        """The last chance before the daemon leaves: everything that is still in a pipe."""
        for key in list(self._current):
            self.process_ended(key)
        self._refused.wake_all()
        for key, held in self._held.items():
            for stream in held:
                self._drain(key, "", stream)

    def _open_stream(self, key: Key, name: str, path: str | None, wiring: Wiring) -> int:
        """Add a stream to the wiring; the child's end of its pipe. Raises OSError."""
        file = None if path is None else self._file(path)
        try:
            ours, theirs = pipe()
        except OSError:
            if file is not None:
                self._close_unused(file)
            raise
        if file is None:
            tail = self._memory.get((key, name)) or self._memory.setdefault((key, name), self._tails.new())
            wiring.streams[name] = Stream(ours, MemorySink(tail))
        else:
            file.join()
            wiring.streams[name] = Stream(ours, file)
        return theirs

    def _file(self, path: str) -> LogFile:
        """The open file of that path, opened where it has to be. Raises OSError."""
        if (known := self._files.get(path)) is not None:
            return known
        file = LogFile(path)
        twin = next((each for each in self._files.values() if each.identity == file.identity), None)
        if twin is not None:
            file.close()
        self._files[path] = twin or file
        return self._files[path]

    def _close_unused(self, file: LogFile) -> None:
        if file.unused:
            self._files = {path: each for path, each in self._files.items() if each is not file}
            file.close()

    def _watch(self, key: Key, name: str, stream: Stream) -> None:
        self._loop.watch(stream.fd, partial(self._readable, key, name, stream), Rank.OUTPUT)

    def _readable(self, key: Key, name: str, stream: Stream) -> None:
        self._heard(key, name, stream.transfer())
        self._after_transfer(key, name, stream)

    def _drain(self, key: Key, name: str, stream: Stream) -> None:
        for data in stream.drain():
            self._heard(key, name, data)

    def _heard(self, key: Key, name: str, data: bytes) -> None:
        if data:
            self._hear(key, name, data)

    def _hear(self, key: Key, name: str, data: bytes) -> None:
        for listener in list(self.listeners):
            listener(key, name, data)

    def _after_transfer(self, key: Key, name: str, stream: Stream) -> bool:
        """Close a stream that is over, put aside one whose sink refuses; whether it is over."""
        if stream.trouble is not None:
            self._tell(stream)
            if stream not in self._refused:
                self._loop.unwatch(stream.fd)
                self._refused.add((key, name), stream)
        elif stream.ended:
            self._hear(key, name, b"")
            self._close(key, stream)
            return True
        return False

    def _retry(self, origin: Origin, stream: Stream) -> None:
        """Its log may take something again: the last words whole, then whatever comes."""
        key, name = origin
        if stream.settle():
            if stream in self._held.get(key, ()):
                self._drain(key, name, stream)
            if stream.trouble is None and isinstance(stream.sink, LogFile):
                stream.sink.has_finished(stream)
            self._watch(key, name, stream)
        self._after_transfer(key, name, stream)
        self._let_go(key)

    def _let_go(self, key: Key) -> None:
        """Close the oldest pipes that descendants hold; one that owes something to its log is kept."""
        held = [stream for stream in self._held.get(key, ()) if stream.trouble is None]
        for stream in held[:-HELD_PIPES]:
            self._close(key, stream)

    def _tell(self, stream: Stream) -> None:
        if is_full_pipe(stream):
            return
        told = sentence(stream)
        due = self._told.get(told)
        if due is None or self._loop.now >= due:
            self._told[told] = Instant(self._loop.now + _TOLD_EVERY_S)
            self._on_trouble("log", told)

    def _close(self, key: Key | None, stream: Stream) -> None:
        self._loop.unwatch(stream.fd)
        stream.close()
        self._refused.discard(stream)
        if key is not None and stream in (held := self._held.get(key, [])):
            held.remove(stream)
            if not held:
                del self._held[key]
        file = stream.sink
        if isinstance(file, LogFile):
            file.leave(stream)
            self._close_unused(file)


def _failure(stage: str, path: str | None, error: OSError) -> SpawnFailure:
    number = error.errno or 0
    if number in (errno.EMFILE, errno.ENFILE):
        return SpawnFailure(stage, f"no descriptors left: {os.strerror(number)}", "raise the limit (ulimit -n)")
    return SpawnFailure(
        stage, f"{stage} log '{path}' cannot be opened: {os.strerror(number)}", _hint(path or "", number)
    )


def _hint(path: str, number: int) -> str:
    directory = os.path.dirname(path)
    match number:
        case errno.ENOENT if not os.path.isdir(directory):
            return f"mkdir -p {directory}"
        case errno.EISDIR:
            return "it is a directory: name a file in it"
        case errno.ENXIO:
            return "nobody reads this FIFO" if os.path.exists(path) else ""
        case errno.ELOOP:
            return f"it is a link, and others can write to {directory}"
        case errno.EACCES:
            target = path if os.path.exists(path) else directory
            return f"uid {os.geteuid()} may not write to {target}"
        case _:
            return ""
