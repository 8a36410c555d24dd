"""The forms of a line in a log."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reading import task
from tm.core.flow import Found, nothing
from tm.core.launch import log_policy
from tm.core.log_policy import Form, LogPolicy, Source, formed

SOURCE = Source("web", "web_1", 7, "stdout")
NOW = "2026-01-02T03:04:05.678+01:00"


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), min_size=1), st.booleans())
def test_every_line_becomes_one_line(lines: list[bytes], ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended or not lines[-1] else b"")
    assert formed(Form.RAW, data, NOW, SOURCE) == data
    stamp = NOW.encode() + b" "
    assert formed(Form.STAMPED, data, NOW, SOURCE) == b"".join(stamp + line + b"\n" for line in lines)
    objects = [json.loads(line) for line in formed(Form.JSON, data, NOW, SOURCE).splitlines()]
    assert [each.pop("text") for each in objects] == [line.decode("utf-8", "backslashreplace") for line in lines]
    assert all(each == {"time": NOW, **SOURCE._asdict()} for each in objects)


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("", LogPolicy(10 * 1024 * 1024, 5)),
        ("logMaxSize: 0\nlogKeep: 1\nlogTimestamps: true", LogPolicy(0, 1, Form.STAMPED)),
        ("logTimestamps: true\nlogFormat: json\nonLogError: discard", LogPolicy(10485760, 5, Form.JSON, True)),
    ],
)
def test_the_keys_of_a_task(written: str, policy: LogPolicy) -> None:
    assert log_policy(task(f"command: run\n{written}")) == policy


def test_a_pipe_that_shows_nothing_is_empty_or_at_its_end() -> None:
    assert (nothing(None).found, nothing(b"").found) == (Found.NOTHING, Found.END)
