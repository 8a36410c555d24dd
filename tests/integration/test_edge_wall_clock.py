"""The alarm of the wall clock, and the zones, by the real kernel."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.waiting import until
from tm.edge import wall_clock
from tm.edge.loop import Loop
from tm.edge.wall_clock import WallClock
from tm.edge.zones import zone

_BOTH = "settime flags: 03"
"""TFD_TIMER_ABSTIME and TFD_TIMER_CANCEL_ON_SET, in octal."""


class Place:
    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.loop = Loop(self.errors.append)
        self.clock = WallClock(self.loop)
        self.rung: list[float] = []
        self.clock.rings = lambda: self.rung.append(time.time())

    def wait(self) -> float:
        def rung() -> float | None:
            self.loop.turn(0.01)
            return self.rung[-1] if self.rung else None

        at = until(rung, "the alarm")
        assert not self.errors
        return at


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.clock.close()
    place.loop.close()


def timers() -> list[str]:
    """What the kernel says of our timerfds."""
    found = []
    for fd in os.listdir("/proc/self/fdinfo"):
        try:
            content = Path(f"/proc/self/fdinfo/{fd}").read_text()
        except OSError:
            continue
        found += [content] if "settime flags" in content else []
    return found


def test_it_rings_at_its_time_and_the_kernel_is_asked_to_tell_of_a_clock_that_is_set(place: Place) -> None:
    due = time.time() + 0.2
    place.clock.set_alarm(due)
    (timer,) = timers()
    assert "clockid: 0" in timer
    assert _BOTH in timer
    assert place.wait() >= due
    assert len(place.rung) == 1


def test_a_time_that_has_passed_rings_at_once_and_none_gives_the_descriptor_back(place: Place) -> None:
    place.clock.set_alarm(0.0)
    place.wait()
    place.clock.set_alarm(None)
    assert timers() == []
    place.clock.set_alarm(None)
    place.loop.turn(0)
    assert len(place.rung) == 1


def test_another_alarm_takes_the_place_of_the_first(place: Place) -> None:
    place.clock.set_alarm(time.time() + 3600)
    place.clock.set_alarm(time.time() + 0.05)
    place.wait()
    assert len(timers()) == 1


def test_without_timerfd_it_looks_now_and_then(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wall_clock.sys, "platform", "other")
    due = time.time() + 0.1
    place.clock.set_alarm(due)
    place.clock.set_alarm(due)
    assert timers() == []
    assert place.wait() >= due - 0.01
    assert len(place.rung) == 1
    place.clock.set_alarm(time.time() + 0.05)
    place.clock.set_alarm(None)
    later = time.monotonic() + 0.1

    def over() -> bool:
        place.loop.turn(0.01)
        return time.monotonic() > later

    until(over, "when it would have looked")
    assert len(place.rung) == 1


@pytest.mark.parametrize(
    ("name", "variable", "offset"),
    [
        ("Europe/Berlin", "Asia/Tokyo", "+0200"),
        (None, "Asia/Tokyo", "+0900"),
        (None, ":Asia/Tokyo", "+0900"),
        (None, "/usr/share/zoneinfo/Asia/Tokyo", "+0900"),
        (None, "CET-1CEST,M3.5.0,M10.5.0/3", "+0200"),
        (None, "/no/such/file", "+0000"),
        (None, "no such zone", "+0000"),
        ("../etc/passwd", "", "+0000"),
        ("Europe", "", "+0000"),
    ],
)
def test_a_zone_is_found_by_name_by_variable_or_is_utc(name: str | None, variable: str, offset: str) -> None:
    assert datetime(2026, 7, 1, tzinfo=zone(name, {"TZ": variable})).strftime("%z") == offset


def test_without_any_word_it_is_the_machines() -> None:
    noon = datetime(2026, 7, 1, 12)
    assert noon.replace(tzinfo=zone(None, {})).timestamp() == noon.timestamp()
