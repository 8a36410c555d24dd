"""What processes wrote, as the commands `logs` and `status` show it: from the file, or from the tail in memory.

Guarantees: a file is read from its end; a path that several instances share is shown once, as the task's or nobody's;
control sequences other than colours do not get through.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from zlib import crc32

from tm.core.launch import launch
from tm.core.lines import LINE_BYTES, cut, decoded, last, printable
from tm.core.process import Process
from tm.daemon.answers import Answer, Outcome, failed
from tm.daemon.outputs import Outputs
from tm.daemon.selection import Selection
from tm.daemon.wiring import Key
from tm.edge import logfile

_SHADES = (36, 34, 32, 35, 33, 96, 94, 92, 95, 93)


def key_of(row: Process) -> Key:
    """The key of a row."""
    return row.task.name, row.n


def log_path(row: Process, stream: str) -> str | None:
    """The file that a stream goes to; None for a tail in memory."""
    settled = launch(row.task, row.n, {})
    return settled.stdout if carrier(row, stream) == "stdout" else settled.stderr


def carrier(row: Process, stream: str) -> str:
    """The stream that carries it: stdout carries both where the task merges them."""
    return "stdout" if launch(row.task, row.n, {}).merges_stderr else stream


def last_lines(outputs: Outputs, row: Process, stream: str, count: int) -> list[str]:
    """The last lines of one stream, safe to show; empty when there are none. Raises OSError for an unreadable file."""
    path = _source(outputs, row, stream)
    if path is not None:
        found, _ = logfile.tail(path, count)
    else:
        found = last(outputs.memory.read(key_of(row), carrier(row, stream)), count)
    return [printable(decoded(line)) for line in found]


def clear(outputs: Outputs, rows: Sequence[Process]) -> list[str]:
    """Empty what these processes wrote; the sentences of what could not be emptied."""
    paths = {path for row in rows for stream in ("stdout", "stderr") if (path := _source(outputs, row, stream))}
    failed_ = []
    for row in rows:
        outputs.memory.clear(key_of(row))
    for path in sorted(paths):
        try:
            outputs.files.clear(path)
        except OSError as error:
            failed_.append(f"The log {path} cannot be cleared: {os.strerror(error.errno or 0)}")
    return failed_


def _source(outputs: Outputs, row: Process, stream: str) -> str | None:
    """The file that a stream goes to at present, or would."""
    return outputs.path(key_of(row), carrier(row, stream)) or log_path(row, stream)


def last_words(outputs: Outputs, row: Process) -> str:
    """The last line of stderr, or '' where there is none to be had."""
    try:
        lines = last_lines(outputs, row, "stderr", 1)
    except OSError:
        return ""
    return lines[-1] if lines else ""


def logs(outputs: Outputs, rows: Sequence[Process], streams: Sequence[str], count: int, colour: bool) -> Answer:
    """The last `count` lines of each stream of each process; `colour`: in the names before them."""
    sources: dict[object, list[tuple[Process, str]]] = {}
    for row in rows:
        for stream in streams:
            through = carrier(row, stream)
            path = _source(outputs, row, stream)
            sources.setdefault(path or (key_of(row), through), []).append((row, stream))
    several = len({_owner(users) for users in sources.values()}) > 1
    shown: list[str] = []
    data: list[dict[str, str]] = []
    for source, users in sources.items():
        row, stream = users[0]
        try:
            lines = last_lines(outputs, row, stream, count)
        except FileNotFoundError:
            continue
        except OSError as error:
            return failed(f"The log of '{row.name}' cannot be read: {source}: {os.strerror(error.errno or 0)}")
        name = _owner(users)
        before = prefix(name if several else "", stream, len(streams) > 1, colour)
        shown += [before + line for line in lines]
        data += [_as_data(name, carrier(row, stream), line) for line in lines]
    if not shown:
        return Answer(("No logs available for this task.",), [], Outcome.DONE)
    return Answer(shown, data)


def _as_data(name: str, stream: str, line: str) -> dict[str, str]:
    return {"name": name, "stream": stream, "line": line}


def _owner(users: Sequence[tuple[Process, str]]) -> str:
    """Whose a source is: a process's, or where it is shared a task's, or nobody's."""
    names = {row.name for row, _ in users}
    tasks = {row.task.name for row, _ in users}
    return min(names if len(names) == 1 else tasks) if len(tasks) == 1 else ""


def prefix(name: str, stream: str, both: bool, colour: bool) -> str:
    """What stands before a line: whose it is where that is to be said, `!` before stderr beside stdout. A name has one
    colour wherever it appears, none that means something elsewhere: no red, no grey.
    """
    mark = "! " if both and stream == "stderr" else ""
    if not name:
        return mark
    shade = _SHADES[crc32(name.encode()) % len(_SHADES)]
    return f"\x1b[{shade}m{name} |\x1b[0m {mark}" if colour else f"{name} | {mark}"


class Follower:
    """Turns output as it comes into lines. One for each `logs -f`."""

    def __init__(
        self, selection: Selection, streams: Iterable[str], tell: Callable[[str], None], as_json: bool, colour: bool
    ) -> None:
        self._selection = selection
        self._streams = tuple(streams)
        self._through: dict[Key, frozenset[str]] = {}
        self._tell = tell
        self._as_json = as_json
        self._colour = colour
        self._carried: dict[tuple[Key, str], bytes] = {}

    def hear(self, key: Key, stream: str, data: bytes) -> None:
        """A listener of `Outputs`. A line that is unfinished at the end is told as it is."""
        if not self._selection.has(key) or stream not in self._carriers(key):
            return
        whole, rest = cut(self._carried.pop((key, stream), b"") + data)
        if not data:
            whole, rest = whole + rest, b""
        if rest:
            self._carried[key, stream] = rest[-LINE_BYTES:]
        lines = [self._shown(key, stream, printable(decoded(line))) for line in whole.splitlines()]
        if lines:
            self._tell("\n".join(lines))

    def _carriers(self, key: Key) -> frozenset[str]:
        """Which of its streams carry what is followed."""
        if key not in self._through:
            row = self._selection.row(key)
            self._through[key] = frozenset(carrier(row, stream) for stream in self._streams)
        return self._through[key]

    def _shown(self, key: Key, stream: str, line: str) -> str:
        name = self._selection.row(key).name
        if self._as_json:
            return json.dumps(_as_data(name, stream, line))
        several = self._selection.several
        return prefix(name if several else "", stream, len(self._streams) > 1, self._colour) + line
