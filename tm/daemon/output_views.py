"""What processes wrote, as `logs` shows it: lines with names before them, JSON, or the bytes themselves.

Guarantees: control sequences other than colours do not get through, unless the bytes themselves were asked for; what
was found in several logs comes in the order of time, where lines carry one.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from tm.core.commands import Command
from tm.core.lines import LINE_BYTES, cut, decoded, head, printable
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
LINE_S = 0.00001
"""How much longer for each line that comes to a follower: many short ones are no fault of the expression."""
_PIECE_BYTES = 16 * 1024
"""So much of a line is made safe to show at a time: 10 ms at the worst."""
_SHADES = (36, 34, 32, 35, 33, 96, 94, 92, 95, 93)


class Told(NamedTuple):
    """What a follower is told. `raw`: the bytes, where they were asked for; `marks`: how far logs have been told."""

    text: str
    raw: bytes | None
    marks: Mapping[str, str]


@dataclass(slots=True)
class Found:
    """What was found in one source. `mark`: where it ended then."""

    source: Source
    lines: list[bytes] = field(default_factory=list)
    ends_open: bool = False
    cut_short: bool = False
    mark: str = ""


class Style(NamedTuple):
    """How lines are shown. `several`: they come from several, and whose they are is said."""

    streams: tuple[str, ...]
    as_json: bool
    raw: bool
    colour: bool
    several: bool = False

    def prefix(self, name: str, task: str, stream: str) -> str:
        """What stands before a line: whose it is where that is to be said, `!` before stderr beside stdout. A task has
        one colour wherever it appears, none that means something elsewhere: no red, no grey.
        """
        mark = "! " if len(self.streams) > 1 and stream == "stderr" else ""
        if not name:
            return mark
        shade = _SHADES[crc32(task.encode()) % len(_SHADES)]
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


class Page:
    """What was found, put together bit by bit into the answer that shows it. `marks`: where the logs ended, by path."""

    def __init__(self, how: Style) -> None:
        self._how = how
        self._lines: list[str] = []
        self._data: list[dict[str, str]] = []
        self._raw = bytearray()
        self._cut_short = False
        self.marks: dict[str, str] = {}

    def add(self, found: Sequence[Found]) -> Generator[None]:
        """Show this as well, behind what is there. Yields between pieces of work."""
        ordered = merged([each.lines for each in found]) if len(found) > 1 else ((0, line) for line in _only(found))
        for number, line in ordered:
            yield
            if self._how.raw:
                self._raw += line + b"\n"
                self._lines.append((yield from _in_pieces(decoded, line)))
            else:
                yield from self._add(found[number].source, line)
        if len(found) == 1 and found[0].ends_open:
            del self._raw[-1:]
        self._cut_short = self._cut_short or any(each.cut_short for each in found)
        self.marks.update({each.source.path: each.mark for each in found if each.source.path is not None})

    def _add(self, source: Source, line: bytes) -> Generator[None]:
        text = yield from _in_pieces(_shown, line)
        name = source.name if self._how.several else ""
        self._lines.append(self._how.prefix(name, source.task, source.stream) + text)
        self._data.append(as_data(source.name, source.through, line, text))

    def answer(self, nothing: str, beside: str) -> Answer:
        """The answer. `nothing`: what is noted where there is none; `beside`: what is noted in any case."""
        cut = "Earlier lines are left out: an answer has room for 1 MiB. Ask for less of it." if self._cut_short else ""
        notes = [beside, cut, "" if self._lines else nothing]
        data = {"base64": b2a_base64(self._raw, newline=False).decode()} if self._how.raw else self._data
        return Answer(self._lines, data, note=" ".join(filter(None, notes)), marks=self.marks)


def _only(found: Sequence[Found]) -> Sequence[bytes]:
    return found[0].lines if found else ()


def _in_pieces(how: Callable[[bytes], str], line: bytes) -> Generator[None, None, str]:
    """What `how` makes of a line, of a long one piece by piece."""
    parts = []
    while len(line) > _PIECE_BYTES:
        size = head(line, _PIECE_BYTES)
        parts.append(how(line[:size]))
        line = line[size:]
        yield
    return "".join([*parts, how(line)])


def _shown(line: bytes) -> str:
    return printable(decoded(line))


def as_data(name: str, stream: str, line: bytes, text: str) -> dict[str, str]:
    """A line for programs; `text`: how it is shown."""
    stamp = stamp_of(line)
    timed = {} if stamp is None else {"time": stamp}
    return {"name": name, "stream": stream, **timed, "line": text}


class Follower:
    """Turns output as it comes into lines. One for each `logs -f`."""

    def __init__(self, selection: Selection, how: Style, sieve: Sieve | None, tell: Callable[[Told], None]) -> None:
        self._selection = selection
        self._how = how
        self._sieve = sieve
        self._tell = tell
        self._gave_up = False
        self._through: dict[Key, frozenset[str]] = {}
        self._carried: dict[tuple[Key, str], bytes] = {}

    def wants(self, key: Key, stream: str) -> bool:
        """Whether it is about that."""
        return self._selection.has(key) and stream in self._carriers(key)

    def hear(self, outputs: Outputs, key: Key, stream: str, data: bytes) -> None:
        """Of what it wants. A line that is unfinished at the end is told as it is."""
        whole, rest = cut(self._carried.pop((key, stream), b"") + data)
        if not data:
            whole, rest = whole + rest, b""
        if rest:
            self._carried[key, stream] = rest[-LINE_BYTES:]
        lines = self._wanted(whole.removesuffix(b"\n").split(b"\n")) if whole else []
        if lines:
            raw = b"\n".join(lines) + b"\n" * whole.endswith(b"\n") if self._how.raw else None
            file = outputs.wiring(key).files.get(stream)
            marks = {} if file is None else {file.path: file.mark(len(rest))}
            self._tell(Told("\n".join(self._lines(key, stream, lines)), raw, marks))

    def _wanted(self, lines: list[bytes]) -> list[bytes]:
        """Those that are asked for. Where the expression takes too long that is told, and none is from then on: else
        each further line could hold up everything.
        """
        if self._sieve is None:
            return lines
        if self._gave_up:
            return []
        try:
            with within(PATIENCE_S + LINE_S * len(lines)):
                return [line for line in lines if self._sieve.passes(line)]
        except TooLong:
            self._gave_up = True
            text = "--grep takes too long on these lines: no more of them is shown. Simplify the expression."
            raw = b"" if self._how.raw else None
            self._tell(Told(json.dumps({"note": text}) if self._how.as_json else f"[{text}]", raw, {}))
            return []

    def _carriers(self, key: Key) -> frozenset[str]:
        """Which of its streams carry what is followed."""
        if key not in self._through:
            row = self._selection.row(key)
            self._through[key] = frozenset(carrier(row, stream) for stream in self._how.streams)
        return self._through[key]

    def _lines(self, key: Key, stream: str, lines: Iterable[bytes]) -> list[str]:
        row = self._selection.row(key)
        if self._how.raw:
            return [decoded(line) for line in lines]
        if self._how.as_json:
            return [json.dumps(as_data(row.name, stream, line, _shown(line))) for line in lines]
        before = self._how.prefix(row.name if self._selection.several else "", row.task.name, stream)
        return [before + _shown(line) for line in lines]
