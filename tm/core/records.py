"""One line of the event log: a record and its two spellings.

Guarantees: one line a record whatever its words hold; ISO 8601 with milliseconds and zone; nothing that steers a
terminal.
"""

from __future__ import annotations

import json
from enum import IntEnum
from typing import NamedTuple

from tm.core.lines import plain


class Level(IntEnum):
    """How much it matters; the words are those of `logLevel`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Record(NamedTuple):
    """Something worth telling. `when`: ISO 8601 text; `who`: an instance or `taskmaster`; `event`: its kind."""

    when: str
    level: Level
    who: str
    event: str
    text: str

    @property
    def on_one_line(self) -> str:
        """Its text, safe to show."""
        return plain(self.text.replace("\n", "\\n"))

    def as_text(self) -> str:
        """`2026-01-31T12:00:00.123+01:00 INFO worker_1 state: ...`"""
        return f"{self.when} {self.level.name} {plain(self.who)} {self.event}: {self.on_one_line}"

    def as_dict(self) -> dict[str, str]:
        """The same for JSON."""
        return {
            "time": self.when,
            "level": self.level.name.lower(),
            "who": self.who,
            "event": self.event,
            "text": self.text,
        }

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=True)
