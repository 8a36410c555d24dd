"""What processes wrote, as `logs` shows it: lines with names before them, JSON, or the bytes themselves.

Guarantees: control sequences other than colours do not get through, unless the bytes themselves were asked for; what
was found in several logs comes in the order of time, where lines carry one.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from tm.core.commands import Command
from tm.core.lines import LINE_BYTES, cut, decoded, printable
from tm.core.log_query import Sieve
from tm.core.log_times import merged, stamp_of
from tm.daemon.answers import Answer
from tm.daemon.log_sources import Source, carrier
from tm.daemon.outputs import Outputs
from tm.daemon.selection import Selection
from tm.daemon.wiring import Key
from tm.edge.patience import TooLong, within

PATIENCE_S = 0.1
"""How long a regular expression may take on one block of lines."""
_SHADES = (36, 34, 32, 35, 33, 96, 94, 92, 95, 93)


class Told(NamedTuple):
    """What a follower is told. `raw`: the bytes, where they were asked for; `marks`: how far logs have been told."""

    text: str
    raw: bytes | None
    marks: Mapping[str, str]


@dataclass(slots=True)
class Found:
    """What was found in one source. `mark`: where its file ended then; '' where there is none."""

    source: Source
    lines: list[bytes] = field(default_factory=list)
    ends_open: bool = False
    cut_short: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """How lines are shown. `several`: they come from several, and whose they are is said."""

    streams: tuple[str, ...]
    as_json: bool
    raw: bool
    colour: bool
    several: bool = False

    def prefix(self, name: str, stream: str) -> str:
        """What stands before a line: whose it is where that is to be said, `!` before stderr beside stdout. A name has
        one colour wherever it appears, none that means something elsewhere: no red, no grey.
        """
        mark = "! " if len(self.streams) > 1 and stream == "stderr" else ""
        if not name:
            return mark
        shade = _SHADES[crc32(name.encode()) % len(_SHADES)]
        return f"\x1b[{shade}m{name} |\x1b[0m {mark}" if self.colour else f"{name} | {mark}"


def style(command: Command, colour: bool) -> Style:
    """What a `logs` command asks for."""
    return Style(streams(command), "--json" in command.options, "--raw" in command.options, colour)


def streams(command: Command) -> tuple[str, ...]:
    """The streams that a `logs` command is about."""
    asked = {"--all", "--stdout", "--stderr"} & command.options
    if "--all" in asked or len(asked) == 2:
        return "stdout", "stderr"
    return ("stderr",) if "--stderr" in asked else ("stdout",)


def shown(found: Sequence[Found], how: Style) -> Answer:
    """The answer that shows what was found."""
    lines: list[str] = []
    data: list[dict[str, str]] = []
    raw = bytearray()
    ordered = merged([each.lines for each in found]) if len(found) > 1 else ((0, line) for line in _only(found))
    for number, line in ordered:
        source = found[number].source
        text = decoded(line)
        if how.raw:
            raw += line + b"\n"
            lines.append(text)
            continue
        lines.append(how.prefix(source.name if how.several else "", source.stream) + printable(text))
        data.append(as_data(source.name, source.through, line))
    if how.raw and len(found) == 1 and found[0].ends_open:
        del raw[-1:]
    note = "Earlier lines are left out: an answer has room for 1 MiB." if any(each.cut_short for each in found) else ""
    return Answer(lines, {"base64": b64encode(raw).decode()} if how.raw else data, note=note)


def _only(found: Sequence[Found]) -> Sequence[bytes]:
    return found[0].lines if found else ()


def as_data(name: str, stream: str, line: bytes) -> dict[str, str]:
    """A line for programs."""
    stamp = stamp_of(line)
    timed = {} if stamp is None else {"time": stamp}
    return {"name": name, "stream": stream, **timed, "line": printable(decoded(line))}


class Follower:
    """Turns output as it comes into lines. One for each `logs -f`."""

    def __init__(self, selection: Selection, how: Style, sieve: Sieve | None, tell: Callable[[Told], None]) -> None:
        self._selection = selection
        self._how = how
        self._sieve = sieve
        self._tell = tell
        self._through: dict[Key, frozenset[str]] = {}
        self._carried: dict[tuple[Key, str], bytes] = {}

    def hear(self, outputs: Outputs, key: Key, stream: str, data: bytes) -> None:
        """A listener of `Outputs`. A line that is unfinished at the end is told as it is."""
        if not self._selection.has(key) or stream not in self._carriers(key):
            return
        whole, rest = cut(self._carried.pop((key, stream), b"") + data)
        if not data:
            whole, rest = whole + rest, b""
        if rest:
            self._carried[key, stream] = rest[-LINE_BYTES:]
        lines = [line for line in whole.removesuffix(b"\n").split(b"\n") if self._passes(line)] if whole else []
        if lines:
            raw = b"\n".join(lines) + b"\n" * whole.endswith(b"\n") if self._how.raw else None
            file = outputs.wiring(key).files.get(stream)
            marks = {} if file is None else {file.path: file.mark(len(rest))}
            self._tell(Told("\n".join(self._lines(key, stream, lines)), raw, marks))

    def _passes(self, line: bytes) -> bool:
        """Whether it is asked for; one that the expression takes too long for is not."""
        if self._sieve is None:
            return True
        with suppress(TooLong), within(PATIENCE_S):
            return self._sieve.passes(line)
        return False

    def _carriers(self, key: Key) -> frozenset[str]:
        """Which of its streams carry what is followed."""
        if key not in self._through:
            row = self._selection.row(key)
            self._through[key] = frozenset(carrier(row, stream) for stream in self._how.streams)
        return self._through[key]

    def _lines(self, key: Key, stream: str, lines: Iterable[bytes]) -> list[str]:
        name = self._selection.row(key).name
        if self._how.raw:
            return [decoded(line) for line in lines]
        if self._how.as_json:
            return [json.dumps(as_data(name, stream, line)) for line in lines]
        before = self._how.prefix(name if self._selection.several else "", stream)
        return [before + printable(decoded(line)) for line in lines]
