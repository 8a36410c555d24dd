"""How the logs of a task are kept: when a file is complete, how its lines look, what a refusal means. Pure.

Guarantees: one value for everything that `logMaxSize`, `logKeep`, `logTimestamps`, `logFormat` and `onLogError` say;
a form gives whole lines for whole lines, one each, whatever bytes they hold.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Final, NamedTuple


class Form(Enum):
    """How a line stands in the file."""

    RAW = "raw"
    STAMPED = "stamped"
    JSON = "json"


class LogPolicy(NamedTuple):
    """`limit_bytes`: the size at which a file is complete, 0 for never; `keep`: how many that are complete are kept;
    `discards`: what a file does not take is lost, and counted, instead of making its writer wait.
    """

    limit_bytes: int = 0
    keep: int = 0
    form: Form = Form.RAW
    discards: bool = False


PLAIN: Final = LogPolicy()


class Source(NamedTuple):
    """Who says it."""

    task: str
    instance: str
    pid: int
    stream: str


def formed(form: Form, data: bytes, time: str, source: Source) -> bytes:
    """The lines of `data` in their form; the last one may lack its line end and gets it. `time`: of their arrival."""
    if form is Form.RAW:
        return data
    body = data.removesuffix(b"\n")
    if form is Form.STAMPED:
        stamp = time.encode() + b" "
        return stamp + body.replace(b"\n", b"\n" + stamp) + b"\n"
    known: dict[str, object] = {"time": time, **source._asdict()}
    return b"".join(_as_json(known, line) for line in body.split(b"\n"))


def _as_json(known: dict[str, object], line: bytes) -> bytes:
    text = line.decode("utf-8", "backslashreplace")
    return json.dumps({**known, "text": text}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
