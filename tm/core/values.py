"""Single values: what the text of a scalar means for a key.

Guarantees: a text means what was written. Where YAML 1.1 would silently make something else of it (`022` is 18, `yes`
is true, `1:30` is 90) a key that wants a number or a switch refuses it, and says that reading; quotes around a number
are no mistake. Every number has a range, so that nothing downstream overflows.
Leaves to others: lists and mappings (`core.blocks`), and which key takes which (`core.kinds`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import yaml

from tm.core import cron
from tm.core.context import Context
from tm.core.errors import did_you_mean, quoted
from tm.core.nodes import Node, Rejected, Scalar, scalar
from tm.core.signal_names import signal_names, signal_number

T = TypeVar("T")
DURATION_MOST_S: Final = 3650 * 86400
BYTES_MOST: Final = 2**62

_SWITCHES: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WOULD_BE: Final = {"yes": True, "on": True, "y": True, "1": True, "no": False, "off": False, "n": False, "0": False}
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,9})?")
_UNITS = re.compile(
    r"(?=.)" + "".join(rf"(?:([0-9]{{1,12}}(?:\.[0-9]{{1,9}})?){unit})?" for unit in ("d", "h", "m(?!s)", "s", "ms"))
)
_UNIT_SECONDS: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_SIZE = re.compile(r"((?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?) ?(?:B|([KMGT])(I?)B)?", re.IGNORECASE)
_OCTAL = re.compile(r"(?:0[oO])?[0-7]{1,4}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ID = re.compile(r"[0-9]{1,10}")


def yaml_reading(node: Scalar) -> str:
    """What YAML 1.1 would have made of an unquoted text, as a sentence; '' when that is no surprise."""
    if not node.plain or len(node.text) > 64:
        return ""
    resolver: Any = yaml.resolver.Resolver()
    tag = resolver.resolve(yaml.ScalarNode, node.text, (True, False))
    if tag.endswith(":str"):
        return ""
    try:
        value = yaml.constructor.SafeConstructor().construct_object(yaml.ScalarNode(tag, node.text))
    except (yaml.YAMLError, ValueError, OverflowError):
        return ""
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return "" if shown == node.text else f"YAML would read {node.text} as {shown}"


def text(node: Node, _context: Context) -> str:
    """Text as written, on one line."""
    written = scalar(node, "text").text
    if _CONTROL.search(written.strip()):
        raise Rejected(node, "bad-text", "this holds a line break or a control character")
    return written.strip()


def switch(node: Node, _context: Context) -> bool:
    """`true` or `false`."""
    written = scalar(node, "true or false")
    if written.text in _SWITCHES:
        return _SWITCHES[written.text]
    meant = _WOULD_BE.get(written.text.lower())
    hint = "" if meant is None else f"write {str(meant).lower()}"
    if meant is not None and written.plain and written.text.isalpha():
        hint = f"YAML reads {written.text} as {str(meant).lower()}, others as text; {hint}"
    raise Rejected(node, "bad-switch", f"{quoted(written.text)} is neither true nor false", "", hint)


def whole(least: int, most: int) -> Callable[[Node, Context], int]:
    """A whole number of a range."""

    def convert(node: Node, _context: Context) -> int:
        written = scalar(node, "a whole number")
        if not _WHOLE.fullmatch(written.text):
            why = f"{quoted(written.text)} is not a plain whole number"
            raise Rejected(node, "bad-number", why, "", yaml_reading(written))
        number = int(written.text)
        if not least <= number <= most:
            raise Rejected(node, "out-of-range", f"{number} is not from {least} to {most}")
        return number

    return convert


def duration(node: Node, _context: Context) -> float:
    """Seconds."""
    written = scalar(node, "a duration")
    if _DECIMAL.fullmatch(written.text):
        seconds = float(written.text)
    elif units := _UNITS.fullmatch(written.text):
        seconds = sum(float(each) * unit for each, unit in zip(units.groups("0"), _UNIT_SECONDS, strict=True))
    else:
        why = f"{quoted(written.text)} is not a duration"
        raise Rejected(node, "bad-duration", why, "", yaml_reading(written))
    if seconds > DURATION_MOST_S:
        raise Rejected(node, "out-of-range", f"{quoted(written.text)} is longer than ten years")
    return seconds


def some_time(node: Node, context: Context) -> float:
    """Seconds, more than none."""
    seconds = duration(node, context)
    if not seconds:
        raise Rejected(node, "out-of-range", "this is no time at all")
    return seconds


def schedule(node: Node, _context: Context) -> str:
    """A schedule, with one space between its fields."""
    written = " ".join(scalar(node, "a schedule").text.split())
    try:
        cron.parse(written)
    except cron.BadCron as error:
        raise Rejected(node, "bad-schedule", error.why, "", error.hint) from None
    return written


def zone(node: Node, context: Context) -> str:
    """The name of a time zone that the machine knows."""
    written = scalar(node, "a time zone").text
    if not context.world.has_zone(written):
        hint = "its name is that of a file below /usr/share/zoneinfo, which the package tzdata brings"
        raise Rejected(node, "unknown-zone", f"this machine knows no time zone {quoted(written)}", "", hint)
    return written


def size(node: Node, _context: Context) -> int:
    """Bytes."""
    written = scalar(node, "a size")
    return size_of(written, written.text)


def some_size(node: Node, context: Context) -> int:
    """Bytes, more than none."""
    in_bytes = size(node, context)
    if not in_bytes:
        raise Rejected(node, "out-of-range", "this is no size at all")
    return in_bytes


def size_of(node: Scalar, written: str) -> int:
    """Bytes, of a part of a node's text."""
    found = _SIZE.fullmatch(written)
    if not found or ("." in found[1] and not found[2]):
        unit = written[-1:].upper()
        hint = f"write {written}iB for powers of 1024" if unit in ("K", "M", "G", "T") else yaml_reading(node)
        raise Rejected(node, "bad-size", f"{quoted(written)} is not a size", "", hint)
    number, unit, binary = found.groups()
    factor = (1024 if binary else 1000) ** ("KMGT".index(unit.upper()) + 1) if unit else 1
    in_bytes = int(float(number) * factor) if "." in number else int(number) * factor
    if in_bytes > BYTES_MOST:
        raise Rejected(node, "out-of-range", f"{quoted(written)} is more than a file can hold")
    return in_bytes


def a_signal(node: Node, _context: Context) -> int:
    """A signal, by name or number."""
    written = scalar(node, "a signal").text
    number = signal_number(written)
    if number is None:
        known = [*signal_names(), *(name.removeprefix("SIG") for name in signal_names())]
        why = f"there is no signal {quoted(written)}"
        raise Rejected(node, "unknown-signal", why, "", did_you_mean(written, known))
    return number


def octal(node: Node, _context: Context) -> int:
    """A mask of permissions: octal however it is written."""
    written = scalar(node, "an octal number").text
    if not _OCTAL.fullmatch(written) or int(written, 8) > 0o777:
        raise Rejected(node, "bad-umask", f"{quoted(written)} is not an octal number from 0 to 777")
    return int(written, 8)


def choice(words: Mapping[str, T]) -> Callable[[Node, Context], T]:
    """One of some words. The first spelling of each value is the one to suggest."""
    proper: dict[T, str] = {}
    for word, value in words.items():
        proper.setdefault(value, word)

    def convert(node: Node, _context: Context) -> T:
        written = scalar(node, "one word")
        if written.text in words:
            return words[written.text]
        hint = did_you_mean(written.text, words)
        meant = words.get(str(_WOULD_BE.get(written.text.lower(), "")).lower())
        if meant is not None:
            hint = f"write {proper[meant]}"
        hint = "; ".join(each for each in (yaml_reading(written), hint) if each)
        raise Rejected(node, "bad-choice", f"{quoted(written.text)} is none of its words", "", hint)

    return convert


def user(node: Node, context: Context) -> str:
    """A user that exists, or the number of one."""
    return _account(node, "user", context.world.has_user)


def group(node: Node, context: Context) -> str:
    """A group that exists, or the number of one."""
    return _account(node, "group", context.world.has_group)


def _account(node: Node, what: str, exists: Callable[[str], bool]) -> str:
    written = scalar(node, f"a {what}").text
    if not _ID.fullmatch(written) and (not written or _CONTROL.search(written) or not exists(written)):
        raise Rejected(node, f"unknown-{what}", f"there is no {what} {quoted(written)} on this machine")
    return written
