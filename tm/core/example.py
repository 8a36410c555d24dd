"""Two configurations to begin with: a small one that runs anywhere, and the reference that holds every key.

`python -m tm.core.example example` and `... reference` print them.

Guarantees: both load without a problem, for any user, and start nothing that does harm; the reference is printed from
the tables, so that its words and defaults are those of the parser.
Leaves to others: writing them somewhere.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from tm.core import setting_keys, task_keys
from tm.core.field import Field

_WIDTH: Final = 100

_EXAMPLE: Final = """\
# taskmaster: an example that runs on any Unix. `man taskmaster.yaml` has all the keys.
# Try: status, logs clock, restart worker_1, stop all, start hello

tasks:
  clock:
    description: "tells the time every two seconds"
    command: while true; do date; sleep 2; done     # holds shell syntax, so /bin/sh runs it
    autoLaunch: true
    restart: always
    successfulStartTimeout: 1

  worker:
    description: "two processes that end now and then, and are started again"
    command: ["sh", "-c", "echo $GREETING from $TASKMASTER_INSTANCE; sleep 30; exit 1"]
    instances: 2
    autoLaunch: true
    restart: on-failure
    expectedExitCodes: [0]
    successfulStartTimeout: 1
    restartsAttempts: 3
    stopSignal: TERM
    gracefulStopTimeout: 5
    environment:
      GREETING: "hello"

  hello:
    description: "runs once, when you type: start hello"
    command: echo 'Hello from taskmaster'
    restart: never
    successfulStartTimeout: 0
"""

_HEAD: Final = """\
# Every key of taskmaster's configuration, with what it means and its default. `man taskmaster.yaml` says more.
# A key that is left out has its default; keys that begin with `x-` are free, for anchors and notes.
# This file can be used as it is: its one program sleeps, and is started by hand.
"""

_INCLUDE: Final = """\
# Further files, relative to this one; a glob that matches nothing is no mistake.
include: []
"""

_DEFAULTS: Final = """\
# Values of the keys below for every task that does not set them.
defaults: {}
"""

_VALUES: Final = {
    "command": "sleep 1000",
    "shell": "false",
    "stderr": "stdout",
    "environment": '{LANG: "C", GREETING: "${GREETING:-hello}"}',
    "envFile": '["{here}/sleeper.env?"]',
    "workingDirectory": "/",
    "limits": "{core: 0}",
    "nice": "0",
    "readiness": '{exec: "true"}',
    "watchdog": "30",
    "liveness": '{exec: "true", period: 60}',
    "cpuAffinity": "[0]",
    "oomScoreAdjust": "0",
    "memoryMax": "500MiB",
    "maxAge": "1d",
    "watch": '{paths: ["{here}/sleeper.*"], debounce: 500ms, signal: HUP}',
    "hooks": '{preStart: "true", postStop: {command: "exit 0", timeout: 5s}}',
    "schedule": '"30 3 * * mon-fri"',
    "timeZone": "UTC",
    "deadline": "2h",
    "description": '"sleeps"',
    "labels": "[example]",
    "stopTimeout": "60",
    "onEvent": 'logger -t taskmaster -- "$TASKMASTER_TEXT"',
    "user": "0",
    "group": "0",
    "logfile": "taskmaster.log",
    "stateDir": "/var/lib/taskmaster",
    "socket": "/run/taskmaster/taskmaster.sock",
    "socketGroup": "0",
    "pidfile": "/run/taskmaster/taskmaster.pid",
}
"""What the reference shows where the default would show nothing."""

_JOB: Final = ("schedule", "timeZone", "overlap", "deadline")
_COMMENTED_OUT: Final = frozenset(
    {
        "user",
        "group",
        "cpuAffinity",
        "oomScoreAdjust",
        "watchdog",
        "onEvent",
        "logfile",
        "stateDir",
        "socket",
        "socketGroup",
        "pidfile",
        *_JOB,
    }
)
"""Keys that not everybody can use as they are shown, or not every task."""


def example() -> str:
    """The small configuration."""
    return _EXAMPLE


def reference() -> str:
    """The configuration that holds every key."""
    sections = [
        _HEAD,
        _INCLUDE,
        "taskmaster:\n" + "\n".join(_keys(setting_keys.FIELDS, 2)),
        _DEFAULTS,
        "tasks:\n  sleeper:\n" + "\n".join(_keys(task_keys.FIELDS, 4)),
    ]
    return "\n".join(section.rstrip("\n") + "\n" for section in sections)


def _keys(fields: Iterable[Field], indentation: int) -> Iterator[str]:
    margin = " " * indentation
    for each in fields:
        facts = [each.doc]
        if each.aliases:
            facts.append("Also spelt " + ", ".join(each.aliases) + ".")
        if each.default:
            facts.append(f"Default: `{each.default}` {each.unit}".rstrip() + ".")
        yield from textwrap.wrap(" ".join(facts), _WIDTH, initial_indent=f"{margin}# ", subsequent_indent=f"{margin}# ")
        mark = "#" if each.key in _COMMENTED_OUT else ""
        yield f"{margin}{mark}{each.key}: {_VALUES.get(each.key, each.default)}\n"


if __name__ == "__main__":
    print(reference() if sys.argv[1:] == ["reference"] else example(), end="")
