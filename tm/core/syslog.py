"""A line as a message to syslog, as RFC 5424 has it: what goes into one, and how it looks. Pure.

Guarantees: nothing of a line is lost, and no byte of it is changed, but that an empty line is no message and that an
object of JSON has its own spelling; one message holds one line or a part of one, cut between characters where it is
UTF-8; the words before it are printable ASCII of the length that the standard allows, whatever they come from.
Leaves to others: the socket (`edge.syslog`).

There is no host in a message, which the receiver knows, and no structured data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tm.core.lines import LONGEST_CHARACTER, head, plain
from tm.core.log_policy import Form, Source, formed
from tm.core.records import Level, Record

SYSLOG: Final = "syslog"
"""The word that stands where the path of a log could stand. No path is equal to it, since paths are absolute."""

TEXT_BYTES: Final = 8000
"""The longest part of a line that is one message."""
MESSAGE_BYTES: Final = 8192
"""What receivers take at least, by their own defaults; an object of JSON is made to fit."""

_FACILITY: Final = 3 * 8
_SEVERITIES: Final = {Level.ERROR: 3, Level.WARNING: 4, Level.INFO: 6, Level.DEBUG: 7}
_LEVELS: Final = {"stdout": Level.INFO, "stderr": Level.ERROR}
_NAME_BYTES, _WORD_BYTES = 48, 32
_UNPRINTABLE = re.compile(r"[^!-~]")


class Part(NamedTuple):
    """A message, b'' for none, and how many bytes of the output it stands for."""

    message: bytes
    size: int


def messenger(form: Form, time: str, source: Source) -> Callable[[bytes], bytes]:
    """What makes a line of output, or a part of one, into its message. `time`: of their arrival."""
    header = _header(_LEVELS[source.stream], time, source.instance, source.pid, source.stream)
    if form is Form.JSON:
        return lambda line: header + formed(form, line, time, source)[:-1]
    return lambda line: header + line


def record_message(record: Record, as_json: bool, pid: int) -> bytes:
    """One record of the event log. `pid`: of the daemon."""
    text = record.as_json() if as_json else f"{plain(record.who)}: {record.on_one_line}"
    return _header(record.level, record.when, "taskmaster", pid, record.event) + text.encode(
        "utf-8", "backslashreplace"
    )


def parts(data: bytes, form: Callable[[bytes], bytes]) -> Iterator[Part]:
    """What `data`, some lines, becomes. `form`: a line, or a part of one, into its message."""
    *lines, rest = data.split(b"\n")
    for line in lines:
        yield from _parts_of(line, form, 1)
    if rest:
        yield from _parts_of(rest, form, 0)


def _parts_of(line: bytes, form: Callable[[bytes], bytes], end: int) -> Iterator[Part]:
    """The parts of one line; `end`: the length of its line end."""
    if not line:
        yield Part(b"", end)
    while line:
        part = _part(line, form)
        line = line[part.size :]
        yield part if line else Part(part.message, part.size + end)


def _part(line: bytes, form: Callable[[bytes], bytes]) -> Part:
    """The beginning of a line, as much as fits."""
    size = head(line, TEXT_BYTES)
    made = form(line[:size])
    while len(made) > MESSAGE_BYTES and size > 2 * LONGEST_CHARACTER:
        size = head(line, size // 2)
        made = form(line[:size])
    return Part(made, size)


def _header(level: Level, time: str, name: str, pid: int, kind: str) -> bytes:
    priority = _FACILITY + _SEVERITIES[level]
    words = f"<{priority}>1 {time} - {_word(name, _NAME_BYTES)} {pid} {_word(kind, _WORD_BYTES)} - "
    return words.encode()


def _word(text: str, most: int) -> str:
    return _UNPRINTABLE.sub("?", text[:most]) or "-"
