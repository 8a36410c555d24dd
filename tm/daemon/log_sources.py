"""Where what a process wrote is found: in a file, which others may share, or in the tail in memory.

Guarantees: a path that several instances share is one source, named by the task where it is of one, else by nobody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

from tm.core.launch import launch
from tm.core.lines import decoded, printable
from tm.core.log_search import Held, Search
from tm.core.process import Process
from tm.core.task import MERGED
from tm.daemon.outputs import Outputs
from tm.daemon.wiring import Key
from tm.edge import files
from tm.edge.logfile import Log


class Source(NamedTuple):
    """What `logs` reads: the file `path`, or what is `held` in memory. `name`: whose it is, '' for nobody; `task`: of
    its first writer; `through`: the stream that carries it.
    """

    name: str
    task: str
    stream: str
    through: str
    path: str | None
    held: Callable[[], Held]

    def open(self) -> Log | Held:
        """To be read, and to be closed. Raises OSError."""
        return self.held() if self.path is None else Log(files.place(self.path))


def key_of(row: Process) -> Key:
    """The key of a row."""
    return row.task.name, row.n


def log_path(row: Process, stream: str) -> str | None:
    """The file that a stream goes to; None for a tail in memory."""
    settled = launch(row.task, row.n, {})
    return settled.stdout if carrier(row, stream) == "stdout" else settled.stderr


def carrier(row: Process, stream: str) -> str:
    """The stream that carries it: stdout carries both where the task merges them."""
    return "stdout" if row.task.stderr == MERGED else stream


def sources(outputs: Outputs, rows: Sequence[Process], streams: Sequence[str]) -> list[Source]:
    """Where these streams of these processes are found, each source once."""
    users: dict[object, list[tuple[Process, str]]] = {}
    for row in rows:
        for stream in streams:
            path = _path(outputs, row, stream)
            users.setdefault(path or (key_of(row), carrier(row, stream)), []).append((row, stream))
    return [_source(outputs, each, place if isinstance(place, str) else None) for place, each in users.items()]


def last_lines(outputs: Outputs, row: Process, stream: str, count: int) -> list[str]:
    """The last lines of one stream, safe to show; empty when there are none. Raises OSError for an unreadable file."""
    with closing(_source(outputs, [(row, stream)], _path(outputs, row, stream)).open()) as log:
        search = Search(log, count)
        while search.step():
            pass
    return [printable(decoded(line)) for line in search.found]


def last_words(outputs: Outputs, row: Process) -> str:
    """The last line of stderr, or '' where there is none to be had."""
    try:
        lines = last_lines(outputs, row, "stderr", 1)
    except OSError:
        return ""
    return lines[-1] if lines else ""


def clear(outputs: Outputs, rows: Sequence[Process]) -> list[str]:
    """Empty what these processes wrote; the sentences of what could not be emptied."""
    paths = {path for row in rows for stream in ("stdout", "stderr") if (path := _path(outputs, row, stream))}
    failed = []
    for row in rows:
        outputs.memory.clear(key_of(row))
    for path in sorted(paths):
        try:
            outputs.files.clear(path)
        except OSError as error:
            failed.append(f"The log {path} cannot be cleared: {os.strerror(error.errno or 0)}")
    return failed


def _path(outputs: Outputs, row: Process, stream: str) -> str | None:
    """The file that a stream goes to at present, or would."""
    file = outputs.wiring(key_of(row)).files.get(carrier(row, stream))
    return log_path(row, stream) if file is None else file.path


def _source(outputs: Outputs, users: Sequence[tuple[Process, str]], path: str | None) -> Source:
    row, stream = users[0]
    through = carrier(row, stream)
    held = partial(outputs.memory.read, key_of(row), through)
    return Source(_owner(users), row.task.name, stream, through, path, held)


def _owner(users: Sequence[tuple[Process, str]]) -> str:
    """Whose a source is: a process's, or where it is shared a task's, or nobody's."""
    names = {row.name for row, _ in users}
    tasks = {row.task.name for row, _ in users}
    return min(names if len(names) == 1 else tasks) if len(tasks) == 1 else ""
