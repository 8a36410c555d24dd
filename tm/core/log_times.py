"""Times: those that lines of a log begin with, and those that an operator types.

Guarantees: a line has a time when it begins with a date and a time of ISO 8601 (`2026-01-31T12:00:00.123+01:00`, also
with a blank instead of the `T`, without fraction or zone, or in a bracket), or is an object of JSON whose first member
is such a `time`; a time without a zone is local. Instants are seconds of the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from heapq import merge
from operator import itemgetter
from typing import Final, TypeAlias

_STAMP: Final = re.compile(
    rb'[\[(]?(?:\{"time": ?")?'
    rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?)(?!\d)"
)
_AGO: Final = re.compile(r"((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)(?: ago)?", re.ASCII)
_SPAN: Final = re.compile(r"([\d.]+)(ms|s|m|h|d)", re.ASCII)
_EPOCH: Final = re.compile(r"@?(\d{9,11}(?:\.\d+)?)", re.ASCII)
_CLOCK: Final = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
TIME_FORMS: Final = (
    "10m or 1h30m (ago), 14:30, yesterday, 2026-01-31, '2026-01-31 14:30:05' or 2026-01-31T14:30:05+01:00"
)

Line: TypeAlias = tuple[int, bytes]
"""Which log, and a line of it without its end."""


def stamp_of(line: bytes) -> str | None:
    """The time that a line begins with, as it is written there."""
    found = _STAMP.match(line)
    return None if found is None else found[1].decode()


def time_of(line: bytes) -> float | None:
    """The instant of it; None where it begins with no time."""
    stamp = stamp_of(line)
    return None if stamp is None else _instant(stamp.replace(",", ".").replace(" +", "+").replace(" -", "-"))


def moment(word: str, now: float) -> float | None:
    """What an operator means by a time; None where it is none. `now` is an instant."""
    if found := _AGO.fullmatch(word):
        return now - sum(float(each) * _UNITS[unit] for each, unit in _SPAN.findall(found[1]))
    if found := _EPOCH.fullmatch(word):
        return float(found[1])
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": 0, "yesterday": 1}
    if word in days:
        return (midnight - timedelta(days=days[word])).timestamp()
    if found := _CLOCK.fullmatch(word):
        hour, minute, second = (int(each or 0) for each in found.groups())
        return midnight.replace(hour=hour, minute=minute, second=second).timestamp() if _is_clock(found) else None
    return now if word == "now" else _instant(word)


def merged(logs: Sequence[Sequence[bytes]]) -> Iterator[Line]:
    """The lines of several logs in one order: by time those of logs that have times, where a line without one belongs
    to the line before it; the others first, one log after the other.
    """
    timed: list[Iterator[tuple[float, int, bytes]]] = []
    for number, lines in enumerate(logs):
        first = next((time for line in lines if (time := time_of(line)) is not None), None)
        if first is None:
            yield from ((number, line) for line in lines)
        else:
            timed.append(_timed(number, lines, first))
    yield from ((number, line) for _, number, line in merge(*timed, key=itemgetter(0)))


def _timed(number: int, lines: Sequence[bytes], time: float) -> Iterator[tuple[float, int, bytes]]:
    """Each line with its time, its own or that of the one before, to begin with `time`."""
    for line in lines:
        own = time_of(line)
        time = time if own is None else own
        yield time, number, line


def _is_clock(found: re.Match[str]) -> bool:
    return int(found[1]) < 24 and int(found[2]) < 60 and int(found[3] or 0) < 60


def _instant(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
