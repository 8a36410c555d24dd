"""The facts of a row, as `status` tells them to people and to programs.

Guarantees: what a row alone says is put into words once: a row never changes, but is followed by another one. What
depends on the moment, or on others than the row, is asked for each time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from tm.core.process import Process
from tm.core.report import cause, cells, command_text, hint, ready, uptime
from tm.core.timers import Instant
from tm.core.utterance import Said
from tm.core.written import Written
from tm.daemon import unkillable
from tm.daemon.log_sources import key_of
from tm.daemon.wiring import Key

if TYPE_CHECKING:
    from tm.daemon.jobs import Jobs

_UPTIME = '"uptime":'


class _Kept(NamedTuple):
    """What a row alone says: the cells of the table, its JSON before and behind the uptime, and since when it is up;
    `moves`: it says more than that at each moment.
    """

    row: Process
    cells: tuple[str, ...]
    before: str
    behind: str
    since: Instant | None
    moves: bool


class Facts:
    """Of all rows. `said`: what a process has said of itself; `jobs`: what is known of runs, where there are any."""

    def __init__(self) -> None:
        self.said: Callable[[Process], Said | None] = lambda row: None
        self.jobs: Jobs | None = None
        self._kept: dict[Key, _Kept] = {}

    def cells(self, row: Process, now: Instant) -> tuple[str, ...]:
        """One row of the table."""
        kept = self._of(row)
        name, state, pid, _, restarts, command = kept.cells
        return name, state, pid, "-" if kept.since is None else uptime(now - kept.since), restarts, command

    def data(self, row: Process, now: Instant) -> dict[str, object]:
        """The same for programs."""
        since = _up_since(row)
        return {
            "name": row.name,
            "task": row.task.name,
            "instance": row.n,
            "oneshot": row.task.oneshot,
            "status": row.state.value,
            "pid": row.pid,
            "uptime": None if since is None else round(now - since, 3),
            "restarts": row.restarts,
            "ready": ready(row),
            "retries": row.retries,
            "exit": row.exit_status.number if row.exit_status else None,
            "cause": "" if row.alive else cause(row),
            "hint": hint(row) or unkillable.obstacle(row),
            "blocked": row.blocked,
            "command": command_text(row.task),
            "says": said._asdict() if (said := self.said(row)) else None,
            **(self.jobs.members(row) if self.jobs else {}),
        }

    def written(self, rows: Iterable[Process], now: Instant) -> Written:
        """The data of these, as JSON."""
        return Written(f"[{','.join([self._written(row, now) for row in rows])}]")

    def forget(self, key: Key) -> None:
        """The row is gone for good."""
        self._kept.pop(key, None)

    def _written(self, row: Process, now: Instant) -> str:
        kept = self._of(row)
        if kept.moves or self.said(row) is not None:
            return _dumps(self.data(row, now))
        return f"{kept.before}{'null' if kept.since is None else f'{now - kept.since:.3f}'}{kept.behind}"

    def _of(self, row: Process) -> _Kept:
        key = key_of(row)
        kept = self._kept.get(key)
        if kept is None or kept.row is not row:
            before, _, behind = _dumps(self.data(row, row.since) | {"uptime": 0, "says": None}).partition(f"{_UPTIME}0")
            since, moves = _up_since(row), row.task.oneshot or row.stopping
            words = cells(row, row.since), f"{before}{_UPTIME}", sys.intern(behind)
            kept = self._kept[key] = _Kept(row, *words, since, moves)
        return kept


def _up_since(row: Process) -> Instant | None:
    return row.spawned_at if row.alive else None


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
