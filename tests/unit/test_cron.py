"""Schedules: what is one, and when it is due, held against a clock that is watched minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.cron import BadCron, Cron, after, parse, wall

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")


def at(text: str, zone: tzinfo = BERLIN) -> int:
    """The first instant at which a clock shows this."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def due(text: str, begin: str, zone: tzinfo = BERLIN) -> Iterator[str]:
    """When it is due after `begin`, without the year, with the offset."""
    instant: int | None = at(begin, zone)
    while instant is not None and (instant := after(parse(text), instant, zone)) is not None:
        yield datetime.fromtimestamp(instant, zone).strftime("%m-%d %H:%M%z")


def first(text: str, begin: str, count: int, zone: tzinfo = BERLIN) -> list[str]:
    return list(islice(due(text, begin, zone), count))


# ---- what is a schedule


@st.composite
def fields(draw: st.DrawFn, least: int, most: int) -> tuple[str, set[int]]:
    """A field as text, with the numbers it means."""
    texts, numbers = [], set()
    for _ in range(draw(st.integers(1, 3))):
        low = draw(st.integers(least, most))
        high = draw(st.integers(low, most))
        step = draw(st.integers(1, most))
        text, meant = draw(
            st.sampled_from(
                [
                    ("*", range(least, most + 1)),
                    (f"*/{step}", range(least, most + 1, step)),
                    (f"{low}", range(low, low + 1)),
                    (f"{low}-{high}", range(low, high + 1)),
                    (f"{low}-{high}/{step}", range(low, high + 1, step)),
                ]
            )
        )
        texts.append(text)
        numbers |= set(meant)
    return ",".join(texts), numbers


@given(st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)))
def test_five_fields_mean_what_they_say(five: tuple[tuple[str, set[int]], ...]) -> None:
    text = " ".join(each for each, _ in five)
    try:
        cron = parse(text)
    except BadCron as error:
        assert "never due" in error.why
        return
    read = cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays
    assert [set(each) for each in read] == [numbers for _, numbers in five]
    assert cron.either == (not any(five[at][0].startswith("*") for at in (2, 4)))
    assert cron.repeats == any(five[at][0].startswith("*") for at in (0, 1))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 JAN *"),
        ("@annually", "0 0 1 1 *"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * fri-sun", "0 0 * * 5,6,0"),
        ("0 0 * * Mon-Fri", "0 0 * * 1-5"),
        ("0 0 * mar-may/2 *", "0 0 * 3,5 *"),
    ],
)
def test_names(text: str, same: str) -> None:
    assert parse(text) == parse(same)


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("", "0 field", "as in"),
        ("0 3 * *", "4 field", "as in"),
        ("0 0 3 * * *", "6 field", "no seconds"),
        ("60 * * * *", "'60' is no minute", "from 0 to 59"),
        ("* 24 * * *", "'24' is no hour", ""),
        ("* * 0 * *", "'0' is no day of the month", ""),
        ("* * * 13 *", "'13' is no month", "jan to dec"),
        ("* * * * 8", "'8' is no day of the week", "sun to sat"),
        ("* * * * fry", "'fry' is no day", ""),
        ("* * L * *", "'L' is no day", ""),
        ("-1 * * * *", "'' is no minute", ""),
        ("1, * * * *", "'' is no minute", ""),
        ("² * * * *", "is no minute", ""),
        ("000 * * * *", "is no minute", ""),
        ("0 22-2 * * *", "backwards", "write '22-23,0-2'"),
        ("0 0 * * sat-fri", "backwards", ""),
        ("5/10 * * * *", "follows a range", "write '5-59/10'"),
        ("*/0 * * * *", "no step", ""),
        ("*/60 * * * *", "no step", ""),
        ("*/x * * * *", "no step", ""),
        ("0 0 30 2 *", "never due", ""),
        ("0 0 31 2,4,6,9,11 *", "never due", ""),
        ("@reboot", "@reboot", "autoLaunch"),
        ("@often", "@often", ""),
    ],
)
def test_what_is_no_schedule_is_told(text: str, why: str, hint: str) -> None:
    with pytest.raises(BadCron) as caught:
        parse(text)
    assert why in caught.value.why
    assert hint in caught.value.hint


@given(st.text(alphabet="0123456789*/-, @monfri", max_size=30))
def test_any_text_is_a_schedule_or_none(text: str) -> None:
    try:
        cron = parse(text)
    except BadCron:
        return
    assert after(cron, 0, UTC) is not None, "none that is never due"


# ---- when it is due


def test_a_day_fits_both_its_fields_or_one_where_neither_is_a_star() -> None:
    assert first("0 0 13 * fri", "2026-02-01", 3, UTC) == ["02-06 00:00+0000", "02-13 00:00+0000", "02-20 00:00+0000"]
    assert first("0 0 13 * *", "2026-02-01", 2, UTC) == ["02-13 00:00+0000", "03-13 00:00+0000"]
    assert first("0 0 */2 * fri", "2026-02-01", 2, UTC) == ["02-13 00:00+0000", "02-27 00:00+0000"]


def test_a_leap_day_comes_every_four_years_and_the_century_is_none() -> None:
    cron = parse("0 0 29 2 *")
    assert wall(after(cron, at("2096-03-01", UTC), UTC) or 0, UTC) == datetime(2104, 2, 29)


def test_the_clock_is_set_forward() -> None:
    """2026-03-29 in Berlin: after 01:59 comes 03:00."""
    assert first("30 2 * * *", "2026-03-28T12:00", 2) == ["03-29 03:00+0200", "03-30 02:30+0200"], "right after the gap"
    assert first("*/15 2 * * *", "2026-03-28T12:00", 2) == ["03-29 03:00+0200", "03-30 02:00+0200"], "and once"
    assert first("0 2,3 * * *", "2026-03-28T12:00", 2) == ["03-29 03:00+0200", "03-30 02:00+0200"]
    assert first("0 */2 * * *", "2026-03-29T00:00", 2) == ["03-29 03:00+0200", "03-29 04:00+0200"]
    assert first("30 * * * *", "2026-03-29T01:00", 2) == ["03-29 01:30+0100", "03-29 03:30+0200"], "an hour later"
    assert first("*/30 * * * *", "2026-03-29T01:00", 2) == ["03-29 01:30+0100", "03-29 03:00+0200"]


def test_the_clock_is_set_back() -> None:
    """2026-10-25 in Berlin: after 02:59 comes 02:00 again."""
    assert first("30 2 * * *", "2026-10-24T12:00", 2) == ["10-25 02:30+0200", "10-26 02:30+0100"], "once"
    assert first("0,30 2 * * *", "2026-10-24T12:00", 3) == ["10-25 02:00+0200", "10-25 02:30+0200", "10-26 02:00+0100"]
    twice = ["10-25 02:00+0200", "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100"]
    assert first("*/30 * * * *", "2026-10-25T01:30", 4) == twice, "every one"
    assert first("*/30 2 * * *", "2026-10-25T01:30", 4) == twice
    assert first("0 * * * *", "2026-10-25T01:30", 3) == ["10-25 02:00+0200", "10-25 02:00+0100", "10-25 03:00+0100"]


def test_other_zones_change_by_half_an_hour_or_by_a_day() -> None:
    assert first("15 2 * * *", "2026-10-03T12:00", 2, LORD_HOWE) == ["10-04 02:30+1100", "10-05 02:15+1100"]
    assert first("45 1 * * *", "2026-04-04T12:00", 2, LORD_HOWE) == ["04-05 01:45+1100", "04-06 01:45+1030"]
    assert first("0 12 * * *", "2011-12-29T10:00", 3, APIA) == [
        "12-29 12:00-1000",
        "12-31 00:00+1400",
        "12-31 12:00+1400",
    ]


def brute(cron: Cron, begin: int, end: int, zone: tzinfo) -> Iterator[int]:
    """What somebody does who looks at the clock every minute."""
    minute = timedelta(minutes=1)
    latest = wall(begin - 6 * 3600, zone)
    for now in range(begin - 6 * 3600 + 60, end, 60):
        shown = wall(now, zone)
        skipped = shown - latest > minute and not cron.hourly
        times = [latest + minute * n for n in range(1, (shown - latest) // minute)] if skipped else []
        is_due = any(fits(cron, each) for each in times)
        is_due |= fits(cron, shown) and (shown > latest or cron.repeats)
        latest = max(latest, shown)
        if is_due and now > begin:
            yield now


def fits(cron: Cron, time: datetime) -> bool:
    return time.minute in cron.minutes and time.hour in cron.hours and cron.has(time.date())


CHANGES = [
    (BERLIN, "2026-03-29T00:00"),
    (BERLIN, "2026-10-25T00:00"),
    (LORD_HOWE, "2026-10-04T00:00"),
    (LORD_HOWE, "2026-04-05T00:00"),
    (ZoneInfo("America/Sao_Paulo"), "2018-11-03T22:00"),
    (ZoneInfo("America/Sao_Paulo"), "2018-02-17T22:00"),
    (ZoneInfo("Antarctica/Troll"), "2026-03-29T00:00"),
    (ZoneInfo("Antarctica/Troll"), "2026-10-25T00:00"),
    (timezone(timedelta(hours=5, minutes=45)), "2026-03-29T00:00"),
]
MINUTES = st.sampled_from(["*", "0", "30", "*/7", "*/30", "0,15,59", "10-20"])
HOURS = st.sampled_from(["*", "*/2", "*/5", "0", "1", "2", "3", "1-3", "2,23", "0-23"])
DAYS = st.sampled_from(["*", "*/2", "1-28"])


@given(MINUTES, HOURS, DAYS, st.sampled_from(CHANGES), st.integers(-90, 400))
def test_it_is_due_when_a_watched_clock_says_so(minute: str, hour: str, day: str, change: object, shift: int) -> None:
    zone, begin = change  # type: ignore[misc]
    cron = parse(f"{minute} {hour} {day} * *")
    instant = at(begin, zone) + shift * 60
    end = instant + 9 * 3600
    found: list[int] = []
    now: int | None = instant
    while now is not None and (now := after(cron, now, zone)) is not None and now < end:
        found.append(now)
    assert found == list(brute(cron, instant, end, zone))


@given(st.integers(-(10**13), 10**13))
def test_any_instant_has_one_after_it_or_is_beyond_all_calendars(instant: int) -> None:
    following = after(parse("30 2 29 2 *"), instant, BERLIN)
    assert following is None or following > instant


def test_a_day_of_every_kind() -> None:
    assert parse("0 0 1 1 *").has(date(2026, 1, 1))
    assert not parse("0 0 1 1 *").has(date(2026, 2, 1))
