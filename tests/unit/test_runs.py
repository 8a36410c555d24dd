"""The runs of jobs: what is kept of them, and how it is told."""

from __future__ import annotations

import json
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm.core.exitstatus import ExitStatus
from tm.core.runs import (
    RUNS_MOST,
    Begun,
    Mark,
    Run,
    Runs,
    about,
    as_data,
    last_text,
    next_text,
    run_line,
)

WEB = ("web", 1)
NOON = 1_780_000_000
DONE = Run(Begun(NOON, "its schedule"), 12.5, ExitStatus(0))


def again(runs: Runs) -> Runs:
    """What another daemon makes of its lines."""
    other = Runs()
    for line in runs.lines():
        other.take(line)
    return other


def test_what_was_put_on_record_is_read_again() -> None:
    runs = Runs()
    runs.mark("web", Mark("@daily", NOON, (2, 1)))
    runs.begin(WEB, Begun(NOON, "uid 0"))
    runs.end(WEB, DONE)
    runs.end(WEB, Run(Begun(NOON + 60.0, ""), None, None, "no such program"))
    runs.end(WEB, Run(Begun(NOON + 90.0, ""), 3600.0, ExitStatus(-9), "its deadline of 1h is over"))
    runs.begin(WEB, Begun(NOON + 99.0, "uid 0"))
    assert again(runs) == runs
    assert runs.latest(WEB) == NOON + 99.0
    assert runs.latest(("web", 2)) == 0


def test_the_lines_as_they_are_written_are_read_too() -> None:
    runs, other = Runs(), Runs()
    written = [runs.begin(WEB, DONE.begun), runs.end(WEB, DONE), runs.mark("web", Mark("@daily", NOON))]
    for line in written:
        other.take(line)
    assert other == runs


def test_an_end_that_is_told_twice_is_one() -> None:
    runs = Runs()
    runs.begin(WEB, DONE.begun)
    assert runs.end(WEB, DONE)
    assert runs.end(WEB, Run(Begun(NOON + 0.3, ""), 12.4, ExitStatus(0))) == ""
    assert list(runs.ended[WEB]) == [DONE]


def test_runs_that_never_were_are_many() -> None:
    runs, failed = Runs(), Run(Begun(NOON, ""), None, None, "no such program")
    assert runs.end(WEB, failed)
    assert runs.end(WEB, failed)


def test_only_the_last_are_kept() -> None:
    runs = Runs()
    for n in range(RUNS_MOST + 5):
        runs.end(WEB, Run(Begun(NOON + 60.0 * n), 1.0, ExitStatus(n)))
    kept = [run.status.number for run in runs.ended[WEB] if run.status]
    assert kept == list(range(5, RUNS_MOST + 5))


def test_what_is_not_wanted_is_forgotten() -> None:
    runs = Runs()
    for task in ("web", "gone"):
        runs.mark(task, Mark("@daily", NOON))
        runs.begin((task, 1), DONE.begun)
        runs.end((task, 2), DONE)
    runs.keep(lambda task: task == "web")
    assert (set(runs.marks), set(runs.begun), set(runs.ended)) == ({"web"}, {WEB}, {("web", 2)})


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists)


@given(
    st.text()
    | JSON.map(json.dumps)
    | st.builds(
        lambda kind, what: json.dumps({kind: what}),
        st.sampled_from(["begun", "ended", "mark"]),
        st.lists(JSON, max_size=7),
    )
)
def test_any_text_is_a_line_or_refused(text: str) -> None:
    runs = Runs()
    try:
        runs.take(text)
    except ValueError:
        assert runs == Runs()


@pytest.mark.parametrize(
    "line",
    [
        '{"mark": ["web", "@daily", true, []]}',
        '{"mark": ["web", "@daily", 1, [null]]}',
        '{"begun": ["web", 1, -1, ""]}',
        '{"begun": ["web", 1, 1e99, ""]}',
        '{"ended": ["web", 1, 1, "", 1, [999, false], ""]}',
        '{"ended": ["web", 1, 1, "", "x", [0, false], ""]}',
        "[" * 100_000,
    ],
)
def test_nonsense_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        Runs().take(line)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (172799, "47h"), (172800, "2d")],
)
def test_spans_are_told_in_their_largest_unit(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_the_next_time_is_told_by_its_day_or_by_its_date() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert next_text(NOON + 5 * 3600, NOON, UTC, None) == "next Fri 01:26 (in 5h)"
    assert next_text(NOON + 5 * 3600, NOON, berlin, "Europe/Berlin") == "next Fri 03:26 Europe/Berlin (in 5h)"
    assert next_text(NOON + 20 * 86400, NOON, UTC, None) == "next 2026-06-17 20:26 (in 20d)"


def test_the_last_run_is_told_by_its_end() -> None:
    assert last_text(None, NOON) == "last: never"
    assert last_text(DONE, NOON + 12.5 + 19 * 3600) == "last: exit code 0 after 12.5s, 19h ago"
    failed = Run(Begun(NOON, ""), None, None, "there is no such program")
    assert last_text(failed, NOON + 60) == "last: there is no such program, 1m ago"
    ended = Run(Begun(NOON, "uid 0"), 300.0, ExitStatus(-15), "its deadline of 5m0s is over")
    assert run_line(ended, UTC) == (
        "2026-05-28 20:26:40  signal SIGTERM after 5m0s; its deadline of 5m0s is over, by uid 0"
    )
    assert run_line(failed, UTC) == "2026-05-28 20:26:40  there is no such program"
    assert as_data(DONE, UTC) == {
        "began": "2026-05-28T20:26:40+00:00",
        "lived": 12.5,
        "exit": 0,
        "result": "exit code 0 after 12.5s",
        "by": "its schedule",
    }
    assert as_data(failed, UTC)["exit"] is None
