"""What is known of the runs of jobs: those that were, those that go on, and up to when each schedule was seen to.

Guarantees: at most RUNS_MOST ended runs of an instance are kept; a run that is told to have ended twice, since a daemon
was killed in between, is one; `Runs.take` takes any text and raises nothing but ValueError; what `lines` gives makes
the same again.
Leaves to others: the file (`edge.runs_file`), who tells it what (`daemon.jobs`, `daemon.ticks`).

Times here are wall times, in seconds since 1970: they are for people, and for schedules.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple

from tm.core.exitstatus import ExitStatus
from tm.core.report import lifetime
from tm.core.saved import Key, end_members, read_end

RUNS_MOST: Final = 20
SAME_S: Final = 2.0
"""When a run began is only known as well as this where the one that saw it begin is dead."""
_WEEK_S: Final = 6 * 86400
_MOST_S: Final = 1e12


class Begun(NamedTuple):
    """A run that goes on: since when, and who wanted it ('' where nobody knows)."""

    at: float
    by: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended. `lived_s`: None where it never was; `status` too; `why`: a fact that explains it, or ''."""

    begun: Begun
    lived_s: float | None
    status: ExitStatus | None
    why: str = ""

    @property
    def result(self) -> str:
        """`exit code 0 after 12.0s`, or why it could not be started."""
        ended = "" if self.status is None else str(self.status)
        lived = "" if self.lived_s is None else f" after {lifetime(self.lived_s)}"
        return f"{ended}{lived}; {self.why}" if ended and self.why else f"{ended}{lived}{self.why}"

    @property
    def end(self) -> float:
        """When it ended."""
        return self.begun.at + (self.lived_s or 0.0)


class Mark(NamedTuple):
    """A schedule, up to when it was `seen` to, and the instances for which a tick waits."""

    schedule: str
    seen: float
    queued: tuple[int, ...] = ()


@dataclass
class Runs:
    """All of a state directory. `ended` by instance, the latest last; `marks` by task."""

    begun: dict[Key, Begun] = field(default_factory=dict)
    ended: dict[Key, deque[Run]] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    def begin(self, key: Key, begun: Begun) -> str:
        """A run begins; the line that says so."""
        self.begun[key] = begun
        return _line("begun", [*key, *begun])

    def end(self, key: Key, run: Run) -> str:
        """A run has ended; the line that says so, '' where it is known."""
        del_begun = self.begun.pop(key, None)
        last = self.last(key)
        if del_begun is None and last is not None and abs(last.begun.at - run.begun.at) < SAME_S and run.lived_s:
            return ""
        self.ended.setdefault(key, deque(maxlen=RUNS_MOST)).append(run)
        return _ended_line(key, run)

    def mark(self, task: str, mark: Mark) -> str:
        """A schedule was seen to; the line that says so."""
        self.marks[task] = mark
        return _mark_line(task, mark)

    def last(self, key: Key) -> Run | None:
        """The run that has ended last."""
        return self.ended[key][-1] if key in self.ended else None

    def latest(self, key: Key) -> float:
        """When the latest run began; 0 where there was none."""
        last = self.last(key)
        known = [begun.at for begun in (self.begun.get(key), last and last.begun) if begun]
        return max(known, default=0.0)

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Forget tasks that are not wanted any more."""
        self.begun = {key: each for key, each in self.begun.items() if wanted(key[0])}
        self.ended = {key: each for key, each in self.ended.items() if wanted(key[0])}
        self.marks = {task: each for task, each in self.marks.items() if wanted(task)}

    def lines(self) -> Iterator[str]:
        """All of it, as lines that are taken again."""
        for task, mark in self.marks.items():
            yield _mark_line(task, mark)
        for key, runs in self.ended.items():
            for run in runs:
                yield _ended_line(key, run)
        for key, begun in self.begun.items():
            yield _line("begun", [*key, *begun])

    def take(self, line: str) -> None:
        """Read a line. Raises ValueError."""
        try:
            match json.loads(line):
                case {"begun": [str(task), int(n), at, str(by)]}:
                    self.begin((task, n), Begun(_time(at), by))
                case {"ended": [str(task), int(n), at, str(by), lived_s, status, str(why)]}:
                    known_s = None if lived_s is None else _time(lived_s)
                    run = Run(Begun(_time(at), by), known_s, None if status is None else read_end(status), why)
                    self.end((task, n), run)
                case {"mark": [str(task), str(schedule), seen, list(queued)]}:
                    self.mark(task, Mark(schedule, _time(seen), tuple(int(each) for each in queued)))
                case _:
                    raise ValueError("no line of this file")
        except (TypeError, RecursionError, OverflowError) as error:
            raise ValueError("no line of this file") from error


def _ended_line(key: Key, run: Run) -> str:
    status = None if run.status is None else end_members(run.status)
    return _line("ended", [*key, *run.begun, run.lived_s, status, run.why])


def _mark_line(task: str, mark: Mark) -> str:
    return _line("mark", [task, mark.schedule, mark.seen, list(mark.queued)])


def _line(kind: str, members: list[object]) -> str:
    return json.dumps({kind: members}, separators=(",", ":"))


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_S:
        raise ValueError("no time")
    return round(float(value), 3)


# ---- in words


def about(seconds: float) -> str:
    """A span of time in its largest unit: `12s`, `5m`, `19h`, `3d`."""
    if seconds < 60:
        return f"{max(0, int(seconds))}s"
    for size_s, unit, most_s in ((60, "m", 3600), (3600, "h", 2 * 86400)):
        if seconds < most_s:
            return f"{int(seconds // size_s)}{unit}"
    return f"{int(seconds // 86400)}d"


def next_text(due: int, now: float, zone: tzinfo, zone_name: str | None) -> str:
    """`next Fri 03:00 (in 5h)`; the date where that is not within a week, the zone where it is not the machine's."""
    soon = 0 <= due - now < _WEEK_S
    shown = datetime.fromtimestamp(due, zone).strftime("%a %H:%M" if soon else "%Y-%m-%d %H:%M")
    where = f" {zone_name}" if zone_name else ""
    return f"next {shown}{where} (in {about(due - now)})"


def last_text(run: Run | None, now: float) -> str:
    """`last: exit code 0 after 12.0s, 19h ago`."""
    if run is None:
        return "last: never"
    return f"last: {run.result}, {about(now - run.end)} ago"


def stamp(instant: float, zone: tzinfo) -> str:
    """`2026-11-27T03:00:00+01:00`."""
    return datetime.fromtimestamp(int(instant), zone).isoformat()


def run_line(run: Run, zone: tzinfo) -> str:
    """One run of the history: when it began, how it ended, who wanted it."""
    by = f", by {run.begun.by}" if run.begun.by else ""
    return f"{datetime.fromtimestamp(int(run.begun.at), zone).strftime('%Y-%m-%d %H:%M:%S')}  {run.result}{by}"


def as_data(run: Run, zone: tzinfo) -> dict[str, object]:
    """A run for programs."""
    return {
        "began": stamp(run.begun.at, zone),
        "lived": run.lived_s,
        "exit": None if run.status is None else run.status.number,
        "result": run.result,
        "by": run.begun.by,
    }
