"""The sorts of values that keys have: for each its converter, what it expects in words, and its JSON Schema.

Guarantees: one declaration for the parser, the messages, the schema and the manual.
Leaves to others: which key has which (`core.task_keys`, `core.setting_keys`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tm.core import blocks, needs, socket_values, values
from tm.core.field import FREE_PREFIX, Kind

_TEXT: Final = {"type": "string"}
_SCALAR: Final = {"type": ["string", "number", "boolean"]}
_NUMBERED: Final = {"type": ["string", "integer"], "minimum": 0}
_TEXTS: Final = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}

DURATION: Final = Kind(
    values.duration,
    "seconds, or a duration such as 500ms 10s 5m 2h 1d 1m30s",
    {"type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9.]+(ms|s|m|h|d|$)"},
)
SOME_TIME: Final = Kind(
    values.some_time,
    "more than 0 seconds, or a duration such as 500ms 10s 5m",
    {**DURATION.schema, "exclusiveMinimum": 0},
)
SIZE: Final = Kind(
    values.size,
    "bytes, or a size such as 64KiB 10MiB 1GB",
    {"type": ["integer", "string"], "minimum": 0, "pattern": r"^[0-9.]+ ?([KkMmGgTt]?[Ii]?[Bb])?$"},
)
SOME_SIZE: Final = Kind(
    values.some_size,
    "more than 0 bytes, or a size such as 64KiB 10MiB 1GB",
    {**SIZE.schema, "exclusiveMinimum": 0},
)
SWITCH: Final = Kind(values.switch, "true or false", {"type": "boolean"})
TEXT: Final = Kind(values.text, "text on one line", _SCALAR)
SIGNAL: Final = Kind(values.a_signal, "a signal by name (TERM, SIGTERM) or number", {"type": ["string", "integer"]})
UMASK: Final = Kind(values.octal, "an octal number from 0 to 777", {"type": ["string", "integer"]})
USER: Final = Kind(values.user, "the name of a user, or a number", {"type": ["string", "integer"]})
GROUP: Final = Kind(values.group, "the name of a group, or a number", {"type": ["string", "integer"]})
SCHEDULE: Final = Kind(values.schedule, "minute hour day month weekday, as in '30 3 * * mon-fri', or @daily", _TEXT)
ZONE: Final = Kind(values.zone, "a time zone such as Europe/Berlin or UTC", _TEXT)
COMMAND: Final = Kind(
    blocks.command,
    "a command as text, or as a list of words",
    {"anyOf": [_TEXT, {"type": "array", "items": _SCALAR, "minItems": 1}]},
)
EVENT_COMMAND: Final = Kind(blocks.event_command, COMMAND.expected, COMMAND.schema)
EXIT_CODES: Final = Kind(blocks.exit_codes, "exit codes from 0 to 255 and names of signals", _TEXTS)
LABELS: Final = Kind(blocks.labels, "words of letters, digits and '_.-'", _TEXTS)
PATH: Final = Kind(blocks.path, "a path", _TEXT)
DAEMON_PATH: Final = Kind(blocks.daemon_path, "a path", _TEXT)
DAEMON_LOG: Final = Kind(blocks.daemon_log, "the path of a file, or syslog", _TEXT)
LOG: Final = Kind(blocks.log, "the path of a file, syslog, or none", _TEXT)
ERROR_LOG: Final = Kind(blocks.error_log, "the path of a file, stdout, syslog, or none", _TEXT)
ENV_FILES: Final = Kind(blocks.env_files, "paths of files, each perhaps with a final '?'", _TEXTS)
ENVIRONMENT: Final = Kind(
    blocks.environment,
    "a mapping of names to texts, or a list of 'NAME=value'",
    {"anyOf": [{"type": "object"}, {"type": "array", "items": _TEXT}]},
)
CPUS: Final = Kind(
    blocks.cpus,
    f"numbers of CPUs from 0 to {blocks.CPU_MOST}, and ranges of them such as 0-3",
    {"anyOf": [_NUMBERED, {"type": "array", "items": _NUMBERED, "minItems": 1}]},
)
NEEDS: Final = Kind(
    needs.needs,
    "names of tasks, or a mapping such as {db: ready}",
    {
        "anyOf": [
            _TEXT,
            {"type": "array", "items": _TEXT},
            {
                "type": "object",
                "patternProperties": {f"^{FREE_PREFIX}": {}},
                "additionalProperties": {"enum": [*needs.WORDS, None]},
            },
        ]
    },
)
LIMITS: Final = Kind(
    blocks.limits,
    "a number or size, 'soft:hard', or unlimited",
    {
        "type": "object",
        "patternProperties": {f"^{FREE_PREFIX}": {}},
        "additionalProperties": {"type": ["string", "integer"]},
    },
)
_URL: Final = {"type": "string", "pattern": r"^(tcp|unix)://|^\$"}
SOCKETS: Final = Kind(
    socket_values.sockets,
    "a mapping of names to addresses, as tcp://127.0.0.1:8080 or unix:///run/app.sock",
    {
        "type": "object",
        "patternProperties": {f"^{FREE_PREFIX}": {}},
        "additionalProperties": {
            "anyOf": [
                _URL,
                {
                    "type": "object",
                    "properties": {"url": _URL, "mode": UMASK.schema, "user": USER.schema, "group": GROUP.schema},
                    "patternProperties": {f"^{FREE_PREFIX}": {}},
                    "additionalProperties": False,
                    "required": ["url"],
                },
            ]
        },
    },
)


def number(least: int, most: int) -> Kind:
    """A whole number of a range."""
    schema = {"type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": "^-?[0-9]+$"}
    return Kind(values.whole(least, most), f"a whole number from {least} to {most}", schema)


def one_of(words: Mapping[str, Any], advertised: int) -> Kind:
    """One of some words, of which the first few are advertised and the others only understood."""
    shown = list(words)[:advertised]
    known: list[Any] = [True if word == "true" else False if word == "false" else word for word in words]
    return Kind(values.choice(words), "one of " + ", ".join(shown), {"enum": known})
