"""Exit statuses, backoff, records: small values and their words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.backoff import delay_s
from tm.core.exitstatus import UNKNOWN, ExitStatus
from tm.core.records import Level, Record
from tm.core.signal_names import signal_name


@pytest.mark.parametrize(
    ("word", "number", "text"),
    [
        (0, 0, "exit code 0"),
        (3 << 8, 3, "exit code 3"),
        (255 << 8, 255, "exit code 255"),
        (15, -15, "signal SIGTERM"),
        (9, -9, "signal SIGKILL"),
        (11 | 0x80, -11, "signal SIGSEGV, core dumped"),
    ],
)
def test_status_words_of_the_kernel(word: int, number: int, text: str) -> None:
    status = ExitStatus.from_wait(word)
    assert (status.number, str(status)) == (number, text)
    assert status.signum == (-number if number < 0 else None)


def test_unknown_status_says_so() -> None:
    assert str(UNKNOWN) == "unknown exit status"
    assert UNKNOWN.signum is None


def test_signals_without_a_name_have_a_word() -> None:
    assert signal_name(15) == "SIGTERM"
    assert signal_name(36) == "SIGRTMIN+2"
    assert signal_name(33) == "signal 33"


@given(st.text(), st.integers(1, 10_000), st.floats(0, 1e9), st.floats(0.001, 100), st.floats(0.001, 1000))
def test_delays_double_within_jitter_and_cap(name: str, attempt: int, at: float, first: float, most: float) -> None:
    delay = delay_s(name, attempt, at, first, most)
    plain = min(first * 2 ** min(attempt - 1, 62), most)
    assert 0.9 * plain * 0.999 <= delay <= min(1.1 * plain * 1.001, most)


def test_those_that_died_together_come_back_apart() -> None:
    assert len({delay_s(f"web_{n}", 1, 5.0, 0.5, 60) for n in range(100)}) > 90


def test_a_record_is_one_line_whatever_it_holds() -> None:
    record = Record("2026-01-31T12:00:00.123+01:00", Level.ERROR, "we\nb", "bug", "first\nsecond\x1b[2Jthird")
    assert record.as_text() == "2026-01-31T12:00:00.123+01:00 ERROR we b bug: first\\nsecondthird"
    assert json.loads(record.as_json()) == {
        "time": "2026-01-31T12:00:00.123+01:00",
        "level": "error",
        "who": "we\nb",
        "event": "bug",
        "text": "first\nsecond\x1b[2Jthird",
    }
    assert "\n" not in record.as_json()
