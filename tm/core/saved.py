"""What lasts of a process beyond its daemon: the row as a value, from and to JSON.

Guarantees: `from_members` takes any value that JSON can hold and either raises ValueError, TypeError or KeyError or
gives a row that keeps what the table of states promises: no process in a state of rest, none without a pid but one that
is being spawned, and numbers in bounds that hurt nobody. Members that it does not know are ignored. Nothing of the
configuration is imported, so that a client can read a journal without the YAML that only daemons need.
Leaves to others: the row of a `Process` and back (`core.lasting`), where rows are kept (`core.journal`), and whether a
pid is still the same process (`edge.pidfd`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

from tm.core.exitstatus import ExitStatus
from tm.core.transitions import TABLE, Event, Never, State

_MOST_PID: Final = 2**31 - 1
_MOST: Final = 2**64 - 1
_MOST_S: Final = 1e10
"""No clock that counts from boot has come to 317 years."""
NUMBER_MOST: Final = 10_000
"""Of instances, as many as a configuration allows: all of them are gone through, so that more would never end."""

Key: TypeAlias = tuple[str, int]
"""(task, number of the instance)."""


class Identity(NamedTuple):
    """What tells one process from all others, as `Saved` has it."""

    start: int | None = None
    number: int = 0


class Saved(NamedTuple):
    """A row's lasting facts. `state` is the word of `transitions.State`; `generation` counts the starts.

    `start` is when the process began, in clock ticks since boot, `identity` the inode of its pidfd or 0, `pipes` the
    inode of each stream's pipe, `imprint` (`core.imprint`) that of the task as it was when the process was spawned or
    came to rest, '' where nobody knows. Instants are monotonic: they stay valid within one boot.
    """

    task: str
    n: int
    generation: int
    state: str
    pid: int | None
    start: int | None
    identity: int
    pipes: Mapping[str, int]
    wanted_up: bool
    retries: int
    shortages: int
    restarts: int
    since: float
    spawned_at: float | None
    auto_started_at: float | None
    exit_status: ExitStatus | None
    hint: str
    imprint: str = ""
    fault: str = ""
    proven: bool = False
    blocked: str = ""
    held: bool = False

    @property
    def key(self) -> Key:
        """Which instance it is."""
        return self.task, self.n


# ---- from and to JSON


def members(row: Saved) -> dict[str, object]:
    """The row as an object of JSON."""
    ended = None if row.exit_status is None else end_members(row.exit_status)
    return dict(zip(_MEMBERS, _read(row), strict=True)) | {"exit_status": ended}


def end_members(status: ExitStatus) -> list[object]:
    """How a process ended, as an array of JSON."""
    return [status.number, status.dumped_core]


def from_members(given: Mapping[str, object]) -> Saved:
    """Read such an object."""
    complete = {**_LATER, **given}
    row = Saved(**{name: read(complete[name]) for name, read in _MEMBERS.items()})
    state = TABLE[State(row.state)]
    begun = row.pid is not None
    awaited = not isinstance(state.cells[Event.SPAWNED], Never)
    if begun != state.alive and not awaited:
        raise ValueError("a pid where there is no process, or none where there is one")
    if begun and row.spawned_at is None:
        raise ValueError("a process that nobody spawned")
    return row


def text(value: object) -> str:
    """A text, which may be empty."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def name(value: object) -> str:
    """A text that is not empty."""
    if not text(value):
        raise ValueError("no name")
    return text(value)


def whole(least: int, most: int) -> Callable[[object], int]:
    """A reader of whole numbers within bounds; a truth value is none."""

    def read(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError("no whole number, or out of bounds")
        return value

    return read


count: Final = whole(0, _MOST)
number: Final = whole(0, NUMBER_MOST)
"""That of an instance."""


def _state(value: object) -> str:
    return State(value).value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither yes nor no")
    return value


def _instant(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_S:
        raise ValueError("no instant")
    return float(value)


def _pipes(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise TypeError("no pipes")
    return {name(stream): count(inode) for stream, inode in value.items()}


def read_end(value: object) -> ExitStatus:
    """Read such an array. Raises TypeError, ValueError."""
    match value:
        case [None, False]:
            return ExitStatus(None)
        case [number, bool() as dumped_core]:
            return ExitStatus(whole(-127, 255)(number), dumped_core)
        case _:
            raise TypeError("no exit status")


def _or_none(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


_MEMBERS: Final[Mapping[str, Callable[[object], Any]]] = {
    "task": name,
    "n": number,
    "generation": count,
    "state": _state,
    "pid": _or_none(whole(1, _MOST_PID)),
    "start": _or_none(count),
    "identity": count,
    "pipes": _pipes,
    "wanted_up": _flag,
    "retries": count,
    "shortages": count,
    "restarts": count,
    "since": _instant,
    "spawned_at": _or_none(_instant),
    "auto_started_at": _or_none(_instant),
    "exit_status": _or_none(read_end),
    "hint": text,
    "imprint": text,
    "fault": text,
    "proven": _flag,
    "blocked": text,
    "held": _flag,
}
"""How each member is read; its name is that of `Saved`."""
_read: Final = attrgetter(*_MEMBERS)
"""All of them of a row, at once: it is done with each change of each row."""
_LATER: Final[Mapping[str, object]] = {"imprint": "", "fault": "", "proven": False, "blocked": "", "held": False}
"""Those that a journal of an earlier taskmaster does not have."""
