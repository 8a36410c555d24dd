"""Time zones: those of the machine's data, by name, and the machine's own.

Guarantees: there is always a zone; what cannot be read or is not known any more is UTC.
Leaves to others: whether a name is one, when the configuration is read (`edge.world`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from datetime import tzinfo
from io import BytesIO
from typing import Final
from zoneinfo import ZoneInfo

_LOCALTIME: Final = "/etc/localtime"


def zone(name: str | None, environ: Mapping[str, str]) -> tzinfo:
    """A zone by its name; without one the machine's: that of the variable TZ, else of /etc/localtime, else UTC. UTC too
    where a name is not known any more.
    """
    with suppress(OSError, ValueError, KeyError):
        if name is not None:
            return ZoneInfo(name)
        given = environ.get("TZ", "").removeprefix(":")
        if given:
            return _by_variable(given)
        with open(_LOCALTIME, "rb") as file:
            return ZoneInfo.from_file(file, key=None)
    return ZoneInfo.from_file(BytesIO(_rule("UTC0")))


def _by_variable(given: str) -> tzinfo:
    """What TZ says: the name of a zone, a path, or a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`."""
    if given.startswith("/"):
        with open(given, "rb") as file:
            return ZoneInfo.from_file(file)
    with suppress(OSError, ValueError, KeyError):
        return ZoneInfo(given)
    return ZoneInfo.from_file(BytesIO(_rule(given)))


def _rule(rule: str) -> bytes:
    """A file of tzfile(5) that holds nothing but a rule."""
    header = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    body = struct.pack(">lBB4s", 0, 0, 0, b"UTC\0")
    return header + body + header + body + b"\n" + rule.encode() + b"\n"
