"""Lines and records as messages of RFC 5424."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reading import config, convert, task
from tm.core import kinds
from tm.core.launch import launch
from tm.core.log_policy import Form, Source
from tm.core.records import Level, Record
from tm.core.syslog import MESSAGE_BYTES, SYSLOG, TEXT_BYTES, messenger, parts, record_message

NOW = "2026-01-02T03:04:05.678+01:00"
OUT, ERR = (Source("web", "web_1", 7, stream) for stream in ("stdout", "stderr"))
FRAME = re.compile(rb"<(\d{1,3})>1 (\S+) - ([!-~]{1,48}) (\d{1,128}) ([!-~]{1,32}) - (.*)", re.DOTALL)
"""As the standard has it, without a host and without structured data."""


def raw(line: bytes) -> bytes:
    """Its own message, so that what becomes of it is seen."""
    return line


def test_a_line_has_severity_time_name_pid_and_stream_before_it() -> None:
    assert messenger(Form.RAW, NOW, OUT)(b"hello") == b"<30>1 2026-01-02T03:04:05.678+01:00 - web_1 7 stdout - hello"
    assert (
        messenger(Form.STAMPED, NOW, ERR)(b"hello") == b"<27>1 2026-01-02T03:04:05.678+01:00 - web_1 7 stderr - hello"
    )


@given(st.binary())
def test_no_byte_of_a_line_is_changed(line: bytes) -> None:
    found = FRAME.fullmatch(messenger(Form.RAW, NOW, OUT)(line))
    assert found
    assert found[6] == line


def test_an_object_is_the_text_of_its_message() -> None:
    found = FRAME.fullmatch(messenger(Form.JSON, NOW, ERR)(b"\0 \xff"))
    assert found
    assert json.loads(found[6]) == {"time": NOW, **ERR._asdict(), "text": "\0 \\xff"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("w" * 50, "w" * 48), ("two words", "two?words"), ("grün", "gr?n"), ("", "-"), ("line\nend\0", "line?end?")],
)
def test_a_name_is_printable_ascii_and_short(name: str, shown: str) -> None:
    found = FRAME.fullmatch(messenger(Form.RAW, NOW, OUT._replace(instance=name))(b""))
    assert found
    assert found[3].decode() == shown


# ---- what goes into one message


@given(st.lists(st.binary(max_size=30)), st.booleans())
def test_a_message_a_line_and_none_for_an_empty_one(lines: list[bytes], ended: bool) -> None:
    data = b"\n".join(lines) + b"\n" * ended
    found = list(parts(data, raw))
    assert [each.message for each in found if each.message] == [line for line in data.split(b"\n") if line]
    assert sum(each.size for each in found) == len(data)


@given(st.integers(1, 40_000), st.sampled_from(["a", "ä", "€", "🙂", "a€🙂"]))
def test_a_long_line_is_cut_between_characters_and_nothing_is_lost(length: int, character: str) -> None:
    line = (character * (length // len(character.encode()) + 1)).encode()
    found = list(parts(line + b"\n", raw))
    assert b"".join(each.message for each in found) == line
    assert all(len(each.message) <= TEXT_BYTES for each in found)
    assert "".join(each.message.decode() for each in found) == line.decode()
    assert len(found) <= len(line) // (TEXT_BYTES - 3) + 1


def test_what_is_not_utf_8_is_cut_where_it_is_full() -> None:
    assert [len(each.message) for each in parts(b"\x80" * 20_000, raw)] == [8000, 8000, 4000]


@pytest.mark.parametrize("line", [b'"' * 9000, b"\0" * 9000, b"\xff" * 9000, b"plain " * 1500, "é".encode() * 5000])
def test_an_object_is_made_to_fit_and_stays_one(line: bytes) -> None:
    found = list(parts(line + b"\n", messenger(Form.JSON, NOW, OUT)))
    assert all(len(each.message) <= MESSAGE_BYTES for each in found)
    texts = [json.loads(each.message.split(b" - ", 2)[2])["text"] for each in found]
    assert "".join(texts) == line.decode("utf-8", "backslashreplace")
    assert sum(each.size for each in found) == len(line) + 1


def test_a_name_that_leaves_no_room_for_an_object_loses_nothing() -> None:
    source = OUT._replace(task="t" * MESSAGE_BYTES)
    found = list(parts(b"x" * 40, messenger(Form.JSON, NOW, source)))
    assert sum(each.size for each in found) == 40


# ---- the event log


@pytest.mark.parametrize(("level", "priority"), list(zip(Level, (b"31", b"30", b"28", b"27"), strict=True)))
def test_a_record_has_the_severity_of_its_level(level: Level, priority: bytes) -> None:
    found = FRAME.fullmatch(record_message(Record(NOW, level, "web_1", "state", "text"), False, 9))
    assert found
    assert found.groups() == (priority, NOW.encode(), b"taskmaster", b"9", b"state", b"web_1: text")


def test_a_record_is_one_line_whatever_it_says() -> None:
    record = Record(NOW, Level.INFO, "web", "bug", "two\nlines \udcff \x1b[2J")
    assert record_message(record, False, 9).endswith(b" bug - web: two\\nlines \\udcff ")
    found = FRAME.fullmatch(record_message(record, True, 9))
    assert found
    assert b"\n" not in found[6]
    assert json.loads(found[6]) == record.as_dict()


# ---- the word in the configuration


def test_a_stream_to_syslog_has_no_file_and_one_that_is_called_so_has() -> None:
    start = launch(task("command: run\nstdout: syslog\nstderr: ./syslog"), 1, {})
    assert (start.stdout, start.sent) == (None, {"stdout"})
    assert start.targets == {"stdout": SYSLOG, "stderr": start.stderr}
    assert start.stderr is not None
    assert start.stderr.endswith("/syslog")


def test_what_is_merged_goes_where_stdout_goes() -> None:
    start = launch(task("command: run\nstdout: syslog\nstderr: stdout"), 1, {})
    assert start.targets == {"stdout": SYSLOG}
    assert launch(task("command: run\nstderr: stdout"), 1, {}).targets == {"stdout": None}
    assert launch(task("command: run\nstderr: syslog"), 1, {}).targets == {"stdout": None, "stderr": SYSLOG}


def test_tasks_that_go_to_syslog_share_no_rotation() -> None:
    text = "defaults: {stdout: syslog}\ntasks: {a: {cmd: x, logKeep: 1}, b: {cmd: x, stderr: syslog}}"
    assert len(config(text).tasks) == 2


def test_the_event_log_goes_to_syslog_or_into_a_file() -> None:
    assert convert(kinds.DAEMON_LOG, "syslog") == SYSLOG
    assert convert(kinds.DAEMON_LOG, "./syslog") == "/start/syslog"
    assert config("taskmaster: {logfile: syslog}\ntasks: {}").settings.syslog_socket == "/dev/log"
