"""Bytes of output as lines: cutting at line ends, and making lines safe to show.

Guarantees: `cut` never drops, doubles or reorders a byte; what `printable` returns cannot move the cursor, ring,
retitle or otherwise steer a terminal: colours pass, and end with the line, everything else is shown as an escape or
dropped.
"""

from __future__ import annotations

import re

LINE_BYTES = 64 * 1024
"""A line that is longer is treated as if it ended here: the capacity of a pipe."""

LONGEST_CHARACTER = 4

_COLOUR = r"\x1b\[[0-9;]*m"
_RESET = "\x1b[0m"
_COLOURED = re.compile(rf"{_COLOUR}(?<!\x1b\[m)(?<!\x1b\[0m)(?!.*\x1b\[0?m)", re.DOTALL)
"""A colour that nothing after it ends."""
_ESCAPE = re.compile(rf"({_COLOUR})|\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|\x1b")
_STRAYS = {
    code: f"\\x{code:02x}"
    for codes in (
        range(0x09), range(0x0B, 0x1B), range(0x1C, 0x20), range(0x7F, 0xA0), (0x200E, 0x200F), range(0x2028, 0x202F),
        range(0x2066, 0x206A),
    )
    for code in codes
}  # fmt: skip
"""What control characters become, but for ESC, tabs and line ends."""
_STRAY = re.compile(f"[{re.escape(''.join(map(chr, _STRAYS)))}]")


def whole(data: bytes, most: int = LINE_BYTES) -> int:
    """How many bytes at the beginning are whole lines; an unfinished rest of `most` bytes or more counts as whole."""
    end = data.rfind(b"\n") + 1
    return len(data) if len(data) - end >= most else end


def cut(data: bytes) -> tuple[bytes, bytes]:
    """Split into whole lines and the unfinished rest."""
    end = whole(data)
    return data[:end], data[end:]


def head(line: bytes, most: int) -> int:
    """How much of `line` is at most `most` bytes, and not half a character."""
    if len(line) <= most:
        return len(line)
    for size in range(most, most - LONGEST_CHARACTER, -1):
        if line[size] & 0xC0 != 0x80:
            return size
    return most


def printable(text: str) -> str:
    """One line made safe for a terminal: colour sequences stay, other control sequences go, strays become escapes."""
    text = text.rstrip("\r")
    if "\x1b" in text:
        text = _ESCAPE.sub(_shown, text)
        text += _RESET if _COLOURED.search(text) else ""
    if text.isascii():  # else it would cost more than what follows
        return text.translate(_STRAYS)
    return _STRAY.sub(lambda match: _STRAYS[ord(match[0])], text)


def without_colours(text: str) -> str:
    """The same without colour sequences."""
    return re.sub(_COLOUR, "", text) if "\x1b" in text else text


def plain(text: str) -> str:
    """One line without any control character, for tables and messages; line ends become spaces."""
    if text.isascii() and text.isprintable():
        return text
    return without_colours(printable(" ".join(text.split("\n"))))


def _shown(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    return "" if len(match[0]) > 1 else "\\x1b"


def decoded(line: bytes) -> str:
    """Text of a line of output; what is not UTF-8 is shown as `\\xff`."""
    return line.decode("utf-8", "backslashreplace")
