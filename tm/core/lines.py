"""Bytes of output as lines: cutting at line ends, and making lines safe to show.

Guarantees: `cut` never drops, doubles or reorders a byte; what `printable` returns cannot move the cursor, ring,
retitle or otherwise steer a terminal: colours pass, everything else is shown as an escape or dropped.
"""

from __future__ import annotations

import re

LINE_BYTES = 64 * 1024
"""A line that is longer is treated as if it ended here: the capacity of a pipe."""

_COLOUR = r"\x1b\[[0-9;]*m"
_SEQUENCE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
_CONTROL = re.compile(rf"({_COLOUR})|{_SEQUENCE}|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def whole(data: bytes, most: int = LINE_BYTES) -> int:
    """How many bytes at the beginning are whole lines; an unfinished rest of `most` bytes or more counts as whole."""
    end = data.rfind(b"\n") + 1
    return len(data) if len(data) - end >= most else end


def cut(data: bytes) -> tuple[bytes, bytes]:
    """Split into whole lines and the unfinished rest."""
    end = whole(data)
    return data[:end], data[end:]


def printable(text: str) -> str:
    """One line made safe for a terminal: colour sequences stay, other control sequences go, strays become escapes."""
    return _CONTROL.sub(_shown, text.rstrip("\r"))


def plain(text: str) -> str:
    """One line without any control character, for tables and messages; line ends become spaces."""
    return re.sub(_COLOUR, "", printable(" ".join(text.split("\n"))))


def _shown(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    return "" if match[0][0] == "\x1b" and len(match[0]) > 1 else f"\\x{ord(match[0][0]):02x}"


def decoded(line: bytes) -> str:
    """Text of a line of output; what is not UTF-8 is shown as `\\xff`."""
    return line.decode("utf-8", "backslashreplace")
