"""A schedule: the five fields of cron, and the instants at which it is due in a time zone.

Guarantees: `parse` refuses what cron would silently understand otherwise, and what is never due; `after` is pure, and
right at both changes of daylight saving time, of any size:

* a time that the clock skips is due once, at the end of the gap, however many of the schedule's times lie in it. A
  schedule of every hour (`30 * * * *`) misses none for it, and so has nothing to make good;
* a time that the clock shows twice is due the first time. A schedule whose minute or hour begins with `*` is about the
  clock's course and not about a time of the day: it is due both times.

As in cron, a day has to fit both its fields, but where neither begins with `*` one of them is enough.
Leaves to others: which time it is and which zones there are (`edge.zones`), what is done when it is due
(`daemon.ticks`). Instants are whole seconds since 1970; a zone is a `tzinfo` that knows `fold`.

Why not a library: croniter and its like bring dateutil and pytz or a language of their own, and answer the changes of
daylight saving time each in its way; the grammar is forty lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

FOLD_S: Final = 3 * 3600
"""No clock is set back by more at the end of daylight saving time."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SHORTHANDS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAYS_MOST: Final = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))


class BadCron(ValueError):
    """Why a text is no schedule, and what to write instead, or ''."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why, self.hint = why, hint


class _Field(NamedTuple):
    """One of the five. `names` of its numbers, from `base` on."""

    what: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    base: int = 0


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("day of the week", 0, 7, _DAYS),
)


class Cron(NamedTuple):
    """A schedule. `either`: a day fits by one of its two fields; `repeats`: it is due both times that a clock shows."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    repeats: bool

    @property
    def hourly(self) -> bool:
        """Whether no hour is left out."""
        return len(self.hours) == 24

    def has(self, day: date) -> bool:
        """Whether it is due on this day."""
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (of_month or of_week if self.either else of_month and of_week)


# ---- reading


def parse(text: str) -> Cron:
    """The schedule that a text means. Raises BadCron."""
    words = _SHORTHANDS.get(text.strip().lower(), text).split()
    if words and words[0].startswith("@"):
        hint = "at the start of taskmaster: 'autoLaunch: true'" if words[0].lower() == "@reboot" else ""
        raise BadCron(f"'{words[0][:20]}' is none of {', '.join(_SHORTHANDS)}", hint)
    if len(words) != len(_FIELDS):
        hint = "there are no seconds and no years" if len(words) > len(_FIELDS) else "as in '30 3 * * mon-fri'"
        raise BadCron(f"it has {len(words)} field(s), not five: minute, hour, day, month, day of the week", hint)
    minutes, hours, days, months, weekdays = map(_numbers, _FIELDS, words)
    stars = [word.startswith("*") for word in words]
    cron = Cron(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(each % 7 for each in weekdays),
        not (stars[2] or stars[4]),
        stars[0] or stars[1],
    )
    if not cron.either and all(min(cron.days) > _DAYS_MOST[month] for month in cron.months):
        raise BadCron(f"it is never due: no month of it has a day {min(cron.days)}")
    return cron


def _numbers(field: _Field, word: str) -> set[int]:
    """What one field holds: a list of `*`, numbers, ranges and steps of them."""
    return {number for part in word.split(",") for number in _part(field, part)}


def _part(field: _Field, part: str) -> range:
    span, slash, step = part.partition("/")
    low, dash, high = span.partition("-")
    if span == "*":
        least, most = field.least, field.most - (field.names == _DAYS)
    else:
        least = _number(field, low)
        most = _number(field, high, last=True) if dash else least
    if most < least:
        hint = f"write '{low}-{field.most},{field.least}-{high}'" if low.isdigit() and high.isdigit() else ""
        raise BadCron(f"'{part[:20]}' of the {field.what} goes backwards", hint)
    if not slash:
        return range(least, most + 1)
    if not (dash or span == "*"):
        raise BadCron(
            f"'{part[:20]}' of the {field.what}: a step follows a range", f"write '{low}-{field.most}/{step}'"
        )
    if not _whole(step) or not 1 <= int(step) <= field.most:
        raise BadCron(f"'{step[:20]}' is no step of the {field.what}", f"a number from 1 to {field.most}")
    return range(least, most + 1, int(step))


def _number(field: _Field, word: str, last: bool = False) -> int:
    """A number or a name. As the `last` of a range Sunday comes after Saturday."""
    name = word.lower()
    if name in field.names:
        number = field.names.index(name) + field.base
        return 7 if last and field.names == _DAYS and number == 0 else number
    if _whole(word) and field.least <= int(word) <= field.most:
        return int(word)
    names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
    raise BadCron(f"'{word[:20]}' is no {field.what}", f"a number from {field.least} to {field.most}{names}")


def _whole(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 2


# ---- when it is due


def after(cron: Cron, instant: int, zone: tzinfo) -> int | None:
    """The first instant after this one at which it is due; None where that is beyond all calendars."""
    try:
        return _after(cron, instant, zone)
    except (OverflowError, ValueError, OSError):
        return None


def _after(cron: Cron, instant: int, zone: tzinfo) -> int | None:
    """Wall times are gone through in their order, which is that of the instants but where the clock is set back: near
    that, begin earlier and go on for longer.
    """
    found: int | None = None
    begin, end = wall(instant, zone), datetime.max
    if _is_changing(instant, zone):
        begin -= timedelta(seconds=FOLD_S)
    times = _times(cron, begin)
    while (time := next(times)) <= end:
        for due in _instants(cron, time, zone):
            if instant < due and (found is None or due < found):
                found, end = due, time + timedelta(seconds=FOLD_S)
        if found is not None and not _is_changing(found, zone):
            break
    return found


def wall(instant: int, zone: tzinfo) -> datetime:
    """What a clock in the zone shows. Raises OverflowError, ValueError, OSError beyond all calendars."""
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)


def _times(cron: Cron, begin: datetime) -> Iterator[datetime]:
    """The wall times of the schedule from `begin` on, without end. Raises OverflowError after the year 9999."""
    first = day = begin.date()
    while True:
        for hour in cron.hours if cron.has(day) else ():
            for minute in cron.minutes:
                if day != first or (hour, minute) >= (begin.hour, begin.minute):
                    yield datetime(day.year, day.month, day.day, hour, minute)
        if day.month in cron.months:
            day += timedelta(days=1)
        else:
            day = (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _instants(cron: Cron, time: datetime, zone: tzinfo) -> tuple[int, ...]:
    """When a clock in the zone shows this time, as far as that counts."""
    first, second = (int(time.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    if first > second:  # it never does
        return () if cron.hourly else (_change(second, first, zone),)
    return (first, second) if cron.repeats else (first,)


def _change(low: int, high: int, zone: tzinfo) -> int:
    """The first instant after `low`, and not after `high`, at which the clock goes as at `high`."""
    then = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, zone) == then else (middle, high)
    return high


def _is_changing(instant: int, zone: tzinfo) -> bool:
    return _offset(instant - FOLD_S, zone) != _offset(instant + FOLD_S, zone)


def _offset(instant: int, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(instant, zone).utcoffset()
