"""What processes wrote, as the commands `logs` and `status` show it: from the file, or from the tail in memory.

Guarantees: a file is read from its end; a path that several instances share is shown once; control sequences other than
colours do not get through.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from tm.core.launch import launch
from tm.core.lines import LINE_BYTES, cut, decoded, last, printable
from tm.core.process import Process
from tm.daemon.answers import Answer, Outcome, failed
from tm.daemon.outputs import Key, Outputs
from tm.edge import logfile


def key_of(row: Process) -> Key:
    """The key of a row."""
    return row.task.name, row.n


def log_path(row: Process, stream: str) -> str | None:
    """The file that a stream goes to; None for a tail in memory."""
    settled = launch(row.task, row.n, {})
    return settled.stdout if stream == "stdout" or settled.merges_stderr else settled.stderr


def last_lines(outputs: Outputs, row: Process, stream: str, count: int) -> list[str]:
    """The last lines of one stream, safe to show; empty when there are none. Raises OSError for an unreadable file."""
    path = outputs.path(key_of(row), stream) or log_path(row, stream)
    if path is not None:
        found, _ = logfile.tail(path, count)
    else:
        merged = launch(row.task, row.n, {}).merges_stderr
        found = last(outputs.tail(key_of(row), "stdout" if merged else stream) or b"", count)
    return [printable(decoded(line)) for line in found]


def last_words(outputs: Outputs, row: Process) -> str:
    """The last line of stderr, or '' where there is none to be had."""
    try:
        lines = last_lines(outputs, row, "stderr", 1)
    except OSError:
        return ""
    return lines[-1] if lines else ""


def logs(outputs: Outputs, rows: Sequence[Process], streams: Sequence[str], count: int) -> Answer:
    """The last `count` lines of each stream of each process."""
    shown: list[str] = []
    seen: set[object] = set()
    sources = [(row, stream) for row in rows for stream in streams]
    for row, stream in sources:
        source = outputs.path(key_of(row), stream) or log_path(row, stream) or (key_of(row), stream)
        if source in seen:
            continue
        seen.add(source)
        try:
            lines = last_lines(outputs, row, stream, count)
        except FileNotFoundError:
            continue
        except OSError as error:
            return failed(f"The log of '{row.name}' cannot be read: {source}: {os.strerror(error.errno or 0)}")
        shown += [prefix(row, stream, len(rows) > 1, len(streams) > 1) + line for line in lines]
    if not shown:
        return Answer(("No logs available for this task.",), [], Outcome.DONE)
    return Answer(shown, shown)


def prefix(row: Process, stream: str, several: bool, both: bool) -> str:
    """What stands before a line: whose it is where several are shown, `!` before stderr beside stdout."""
    name = f"{row.name} | " if several else ""
    return name + ("! " if both and stream == "stderr" else "")


class Follower:
    """Turns output as it comes into lines. One for each `logs -f`."""

    def __init__(self, rows: Sequence[Process], streams: Iterable[str], tell: Callable[[str], None]) -> None:
        self._names = {key_of(row): row for row in rows}
        self._streams = tuple(streams)
        self._tell = tell
        self._carried: dict[tuple[Key, str], bytes] = {}

    def hear(self, key: Key, stream: str, data: bytes) -> None:
        """A listener of `Outputs`."""
        row = self._names.get(key)
        if row is None or stream not in self._streams:
            return
        whole, rest = cut(self._carried.pop((key, stream), b"") + data)
        if rest:
            self._carried[key, stream] = rest[-LINE_BYTES:]
        before = prefix(row, stream, len(self._names) > 1, len(self._streams) > 1)
        lines = [before + printable(decoded(line)) for line in whole.splitlines()]
        if lines:
            self._tell("\n".join(lines))
