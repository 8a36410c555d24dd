"""Times in lines and in words, and the order of several logs."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.log_times import merged, moment, stamp_of, time_of

NOON = datetime(2026, 1, 31, 12, 0, 0)
NOW = NOON.timestamp()


@pytest.mark.parametrize(
    ("line", "stamp", "seconds"),
    [
        (b"2026-01-31T12:00:00.250+00:00 up", "2026-01-31T12:00:00.250+00:00", 1769860800.25),
        (b"2026-01-31T14:00:00+02:00", "2026-01-31T14:00:00+02:00", 1769860800),
        (b"2026-01-31 12:00:00,250 +0000 INFO", "2026-01-31 12:00:00,250 +0000", 1769860800.25),
        (b"[2026-01-31 12:00:00Z] x", "2026-01-31 12:00:00Z", 1769860800),
        (b'{"time":"2026-01-31T12:00:00.000+00:00","task":"web"}', "2026-01-31T12:00:00.000+00:00", 1769860800),
        (b'{"time": "2026-01-31T12:00:00Z"}', "2026-01-31T12:00:00Z", 1769860800),
        (b"2026-01-31 12:00:00 local", "2026-01-31 12:00:00", NOW),
        (b"2026-01-31 12:00:00,123: local", "2026-01-31 12:00:00,123", NOW + 0.123),
    ],
)
def test_lines_with_a_time(line: bytes, stamp: str, seconds: float) -> None:
    assert stamp_of(line) == stamp
    assert time_of(line) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "line",
    [b"", b"up", b" 2026-01-31T12:00:00Z", b"2026-01-31", b"2026-13-41T12:00:00Z", b"0000-00-00 00:00:00", b"\xff\x00"],
)
def test_lines_without_one(line: bytes) -> None:
    assert time_of(line) is None


@given(st.binary())
def test_any_line_has_a_time_or_none(line: bytes) -> None:
    assert time_of(line) is None or stamp_of(line) is not None


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("10m", NOON - timedelta(minutes=10)),
        ("1.5h ago", NOON - timedelta(minutes=90)),
        ("1h30m", NOON - timedelta(minutes=90)),
        ("1d2h3m4s", NOON - timedelta(days=1, hours=2, minutes=3, seconds=4)),
        (f"{NOON.timestamp() - 5:.0f}", NOON - timedelta(seconds=5)),
        (f"@{NOON.timestamp() - 5:.0f}", NOON - timedelta(seconds=5)),
        ("500ms", NOON - timedelta(milliseconds=500)),
        ("2d", NOON - timedelta(days=2)),
        ("now", NOON),
        ("today", NOON.replace(hour=0)),
        ("yesterday", NOON.replace(hour=0) - timedelta(days=1)),
        ("8:30", NOON.replace(hour=8, minute=30)),
        ("08:30:15", NOON.replace(hour=8, minute=30, second=15)),
        ("2026-01-30", NOON.replace(day=30, hour=0)),
        ("2026-01-30 10:00", NOON.replace(day=30, hour=10)),
        ("2026-01-30T10:00:00", NOON.replace(day=30, hour=10)),
    ],
)
def test_what_an_operator_means_by_a_time(word: str, meant: datetime) -> None:
    assert moment(word, NOW) == pytest.approx(meant.timestamp())


@pytest.mark.parametrize(
    "word", ["", "soon", "90", "-10m", "1h30", "25:00", "12:60", "12:00:61", "-5m", "2026-02-30", "9999999999999-01-01"]
)
def test_what_is_no_time(word: str) -> None:
    assert moment(word, NOW) is None


def test_logs_are_merged_by_time_and_what_has_none_stays_behind_what_it_follows() -> None:
    web = [b"no time yet", b"2026-01-31T12:00:01Z web", b"Traceback", b"  at 1", b"2026-01-31T12:00:04Z web"]
    db = [b"2026-01-31T12:00:00Z db", b"2026-01-31T12:00:02Z db", b"2026-01-31T12:00:04Z db"]
    assert list(merged([web, [b"plain"], db, []])) == [
        (1, b"plain"),
        (2, db[0]),
        *((0, line) for line in web[:4]),
        (2, db[1]),
        (0, web[4]),
        (2, db[2]),
    ]


@given(
    st.lists(
        st.lists(st.sampled_from([b"x", b"2026-01-31T12:00:00Z", b"2026-01-31T11:00:00Z", b"2026-02-01 00:00:00"]))
    )
)
def test_merging_loses_and_reorders_nothing_of_one_log(logs: list[list[bytes]]) -> None:
    found = list(merged(logs))
    for number, lines in enumerate(logs):
        assert [line for each, line in found if each == number] == lines
