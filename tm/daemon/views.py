"""What the reading commands answer: status, show, pid, events.

Guarantees: facts of this moment, each once as lines and once as data; values of the environment only where `--env`
asks; one look at the processes of the machine serves all rows, and is taken only where somebody reads it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tm.core.hook import as_written
from tm.core.lines import plain
from tm.core.probe import Probe, given
from tm.core.process import Process
from tm.core.records import Record
from tm.core.report import ailment, place, ready, table, uptime
from tm.core.signal_names import signal_name
from tm.core.spellings import OF_A_TASK
from tm.core.task import MERGED, Need, Task
from tm.core.template import Template
from tm.core.timers import Instant
from tm.core.utterance import shown
from tm.core.when_read import WhenRead
from tm.daemon import unkillable
from tm.daemon.answers import Answer
from tm.daemon.facts import Facts
from tm.daemon.history import Change
from tm.daemon.log_sources import key_of, last_lines, last_words
from tm.daemon.output_views import Told
from tm.daemon.outputs import Outputs
from tm.daemon.reach import Way
from tm.daemon.selection import Selection
from tm.daemon.usage import Sessions, Usage
from tm.daemon.wiring import Key
from tm.edge import procfs
from tm.edge.eventlog import EventLog

if TYPE_CHECKING:
    pass

_NAMED = 10
_EVENTS_SHOWN = 20
_INSTANCES_SHOWN = 10


class Look(NamedTuple):
    """How somebody looks: columns of the terminal (None: no terminal) and whether in colour."""

    width: int | None = None
    colour: bool = False


PLAIN = Look()


class Views:
    """Answers from the rows and what surrounds them."""

    def __init__(
        self,
        outputs: Outputs,
        log: EventLog,
        changes: dict[Key, Change],
        look_around: Callable[[], Sessions] = procfs.sessions,
        way: Callable[[Process], Way | None] = lambda row: None,
    ) -> None:
        """`look_around` finds the processes of the machine, by session; `way` tells how a tree is reached; `daemon` is
        the pid that people signal; `last_answer` says what a probe heard.
        """
        self._way = way
        self._look_around = look_around
        self._outputs = outputs
        self._log = log
        self._changes = changes
        self.daemon = os.getpid()
        self.last_answer: Callable[[Process], str] = lambda row: ""
        self.facts = Facts()

    def status(self, rows: Sequence[Process], now: Instant, look: Look, long: bool) -> Answer:
        """The table, and what ails the failing below it."""
        if not long:
            return Answer(WhenRead(lambda: self._status(rows, now, look, None)), self.facts.written(rows, now))
        used = Usage(self._look_around())
        data = [{**self.facts.data(row, now), **used.facts(row, now)} for row in rows]
        return Answer(self._status(rows, now, look, used), data)

    def _status(self, rows: Sequence[Process], now: Instant, look: Look, used: Usage | None) -> list[str]:
        """For people; `used`: what each uses, where that is wanted."""
        lines = table(rows, [self.facts.cells(row, now) for row in rows], look.width, look.colour)
        if used is not None:
            lines = self._long(lines, rows, now, used)
        special = [row for row in rows if row.failing or row.stopping or row.blocked]
        below = [ailment(row, now, last_words(self._outputs, row)) for row in special if row.failing]
        below += [line for row in special for line in unkillable.lines(row, now)]
        below += [f"{row.name} {row.blocked}" for row in special if row.blocked]
        below += self.facts.jobs.lines(rows) if self.facts.jobs else []
        below += self._outputs.troubles()
        below += _adopted([row.name for row in rows if self._outputs.wiring(key_of(row)).adopted])
        return lines + (["", *below] if below else [])

    def pid(self, rows: Sequence[Process] | None) -> Answer:
        """The daemon's pid, or the pids of the processes that are alive."""
        if rows is None:
            return Answer((str(self.daemon),), self.daemon)
        alive = {row.name: row.pid for row in rows if row.pid is not None}
        return Answer([str(pid) for pid in alive.values()], alive)

    def events(self, names: set[str] | None) -> Answer:
        """The latest records, of everybody or of some."""
        records = [each for each in self._log.records if names is None or each.who in names][-_EVENTS_SHOWN:]
        return Answer([each.as_text() for each in records], [each.as_dict() for each in records])

    def follow(self, selection: Selection, as_json: bool, tell: Callable[[Told], None]) -> Callable[[], None]:
        """Tell the records that come about these, until what is returned is called."""

        def hear(record: Record) -> None:
            if selection.has(record.who):
                tell(Told(record.as_json() if as_json else record.as_text(), None, {}))

        return self._log.listen(hear)

    def show(self, rows: Sequence[Process], now: Instant, env: bool) -> Answer:
        """Everything about each."""
        runs = self.facts.jobs.history_data if self.facts.jobs else lambda row: {}
        data = [
            {**self.facts.data(row, now), **runs(row), "configuration": _configuration(row.task, env)} for row in rows
        ]
        return Answer(WhenRead(lambda: self._everything(rows, now, env)), data)

    def _everything(self, rows: Sequence[Process], now: Instant, env: bool) -> Iterator[str]:
        """By task: its configuration once, and its instances up to a number."""
        used = Usage(self._look_around(), self._way)
        for task, each in groupby(rows, lambda row: row.task):
            of_task = list(each)
            if len(of_task) == 1:
                title = self._title(of_task[0], now)
                yield from [title, *_settings(task, env), *self._shown(of_task[0], used, now)]
                continue
            yield from [f"{task.name}: {len(of_task)} processes", *_settings(task, env)]
            for row in of_task[:_INSTANCES_SHOWN]:
                yield from [self._title(row, now), *self._shown(row, used, now)]
            if rest := of_task[_INSTANCES_SHOWN:]:
                yield f"... and {len(rest)} more; type: show {rest[0].name}"

    def _long(self, lines: list[str], rows: Sequence[Process], now: Instant, used: Usage) -> list[str]:
        """Two lines a process: the table's, and what it uses and what changed last."""
        header, *body = lines
        result = [header]
        for line, row in zip(body, rows, strict=True):
            change = self._changes.get(key_of(row))
            by = f", by {change.by}" if change and change.by else ""
            last = f"{change.text}{by}, {uptime(now - row.since)} ago" if change else "never started"
            told = f"{used.text(row, now)}  Last change: {last}{self._says(row)}"
            result += [line, f"    {self._ready(row)}  {told}"]
        return result

    def _ready(self, row: Process) -> str:
        """Whether it is, and what it, or its liveness, lacked when it was asked last."""
        why = f" ({last})" if (last := self.last_answer(row)) else ""
        return {None: "Ready -", True: "Ready yes", False: "Ready no"}[ready(row)] + why

    def _says(self, row: Process) -> str:
        return shown(self.facts.said(row))

    def _title(self, row: Process, now: Instant) -> str:
        blocked = f", {row.blocked}" if row.blocked else ""
        return f"{row.name}: {row.state.value} for {uptime(now - row.since)}{blocked}{self._says(row)}"

    def _shown(self, row: Process, used: Usage, now: Instant) -> list[str]:
        held, lines = self._outputs.held(key_of(row)), used.lines(row, now)
        if held:
            lines.append(f"    {held} pipe(s) of ended processes are still held by descendants or wait for their log")
        if self.facts.jobs and (runs := self.facts.jobs.history(row)):
            lines += ["  runs", *(f"    {line}" for line in runs)]
        lines.append("  events")
        lines += [f"    {each.as_text()}" for each in self._log.records if each.who == row.name][-5:]
        for stream in ("stdout", "stderr"):
            lines.append(f"  {stream}")
            lines += [f"    {line}" for line in self._last(row, stream)]
        return lines

    def _last(self, row: Process, stream: str) -> list[str]:
        if stream == "stderr" and row.task.stderr == MERGED:
            return ["goes to stdout"]
        try:
            return last_lines(self._outputs, row, stream, 10)
        except OSError as error:
            return [f"cannot be read: {os.strerror(error.errno or 0)}"]


def _adopted(names: Sequence[str]) -> list[str]:
    """That an earlier daemon has started them."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return [f"Taken over from an earlier daemon: {', '.join(names[:_NAMED])}{more}"] if names else []


def _settings(task: Task, env: bool) -> list[str]:
    given = [f"    {key:<22} {value}  ({where})" for key, (value, where) in _given(task, env).items()]
    return ["  configuration", *given]


def _given(task: Task, env: bool) -> dict[str, tuple[str, str]]:
    """The keys that the file gives, each with its value as text and its place."""
    values = _configuration(task, env)
    return {key: (_text(key, values[key]), place(task, key)) for key in values if key in task.places}


def _text(key: str, value: object) -> str:
    """A value as one would write it."""
    match key, value:
        case "umask", int():
            return f"{value:03o}"
        case "stopSignal", int():
            return signal_name(value)
        case "expectedExitCodes", list():
            return ", ".join(signal_name(-each) if each < 0 else str(each) for each in value)
        case _, str():
            return plain(value)
        case _:
            return plain(json.dumps(value, ensure_ascii=False))


def _configuration(task: Task, env: bool) -> dict[str, object]:
    shown = {key.spelling: _shown_value(getattr(task, attribute)) for attribute, key in OF_A_TASK.items()}
    shown["sockets"] = {each.name: each.text for each in task.sockets}
    shown |= as_written(task)
    shown["environment"] = {name: value.text if env else "***" for name, value in task.environment}
    return shown


def _shown_value(value: object) -> object:
    match value:
        case Template():
            return value.text
        case Enum():
            return value.value
        case Probe():
            return {key: _shown_value(each) for key, each in given(value).items()}
        case Need():
            return {value.task: value.awaited.value} if value.awaited else value.task
        case frozenset():
            return sorted(value)
        case tuple():
            return [_shown_value(each) for each in value]
        case _:
            return value
