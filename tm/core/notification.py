"""What somebody should know, as the command of `onEvent` is told: the event as its environment, and those that wait.

Guarantees: every value is bounded, and one line safe to show but for the lines of TASKMASTER_STDERR; every variable is
set for every kind of event, '' where it says nothing; no value of a task's environment is in one. `Waiting` holds
MOST_WAITING events at most and counts those that come beyond.
Leaves to others: what has happened, and running the command (`daemon.notification`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tm.core.errors import ConfigError
from tm.core.launch import Launch
from tm.core.lines import plain
from tm.core.process import Process
from tm.core.report import end_of
from tm.core.settings import Settings

MOST_WAITING: Final = 100
STDERR_BYTES: Final = 4096
STDERR_LINES: Final = 50
TEXT_CHARACTERS: Final = 1000

_UMASK: Final = 0o022


class Kind(Enum):
    """What can happen. `value` is the word of TASKMASTER_EVENT."""

    FATAL = "fatal"
    RELOAD_REFUSED = "reload-refused"
    LOG_REFUSED = "log-refused"
    LOG_RECOVERED = "log-recovered"


@dataclass(frozen=True, slots=True)
class Notification:
    """One event. `when`: ISO 8601 text; `who`: a process, `taskmaster`, or the path of a log; the rest is of a process.

    `exit`: the exit code, or minus the signal; '' where it could not be started.
    """

    kind: Kind
    who: str
    text: str
    when: str
    task: str = ""
    instance: str = ""
    exit: str = ""
    stderr: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.kind.value} of {self.who}"


@dataclass(frozen=True, slots=True)
class Sender:
    """What every run of the command has in common. `environ`: what a task would inherit; paths are absolute."""

    environ: Mapping[str, str] = field(repr=False)
    directory: str
    config: str
    pid: int


def gave_up(row: Process, when: str, stderr: Sequence[str]) -> Notification:
    """A process became FATAL; `stderr`: the last lines of what it has said there."""
    number = row.exit_status.number if row.exit_status is not None else None
    return Notification(
        Kind.FATAL,
        row.name,
        _sentence(f"Process '{row.name}' failed: {end_of(row)}"),
        when,
        task=row.task.name,
        instance=row.name,
        exit="" if number is None else str(number),
        stderr=_last_words(stderr),
    )


def reload_refused(by: str, error: ConfigError, when: str) -> Notification:
    """A configuration was refused; `by`: who had asked for it."""
    first, *others = error.problems
    more = f" (and {len(others)} more)" if others else ""
    what = first.render().split("\n")[0]
    text = f"The reload was refused and nothing was changed, asked for by {by}: {what}{more}"
    return Notification(Kind.RELOAD_REFUSED, "taskmaster", _sentence(text), when)


def log_changed(path: str, sentence: str, refuses: bool, when: str) -> Notification:
    """A log takes nothing, or takes output again."""
    kind = Kind.LOG_REFUSED if refuses else Kind.LOG_RECOVERED
    return Notification(kind, path, _sentence(sentence), when)


def launch(what: Notification, settings: Settings, sender: Sender) -> Launch:
    """The run of the command that `settings` has for events."""
    environment = dict(sender.environ) if settings.inherit_environment else {}
    environment.update(
        TASKMASTER_EVENT=what.kind.value,
        TASKMASTER_WHO=what.who,
        TASKMASTER_TEXT=what.text,
        TASKMASTER_TIME=what.when,
        TASKMASTER_CONFIG=sender.config,
        TASKMASTER_PID=str(sender.pid),
        TASKMASTER_TASK=what.task,
        TASKMASTER_INSTANCE=what.instance,
        TASKMASTER_EXIT=what.exit,
        TASKMASTER_STDERR=what.stderr,
    )
    return Launch(
        argv=settings.on_event or (),
        environment=environment,
        directory=sender.directory,
        umask=_UMASK,
        stdout=None,
        stderr=None,
        merges_stderr=True,
        user=None,
        group=None,
        limits=(),
        nice=None,
    )


class Waiting:
    """Events in their order. `dropped`: how many have found no place."""

    def __init__(self) -> None:
        self._waiting: deque[Notification] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, make: Callable[[], Notification]) -> bool:
        """Add what `make` gives; False when there is no place: it is not called then."""
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return False
        self._waiting.append(make())
        return True

    def take(self) -> Notification | None:
        """The oldest, or None."""
        return self._waiting.popleft() if self._waiting else None

    def clear(self) -> None:
        """Forget them."""
        self._waiting.clear()


def _sentence(text: str) -> str:
    line = plain(text)
    return line if len(line) <= TEXT_CHARACTERS else line[: TEXT_CHARACTERS - 3] + "..."


def _last_words(lines: Sequence[str]) -> str:
    """The last lines: whole ones, where one fits; whole characters in any case."""
    text = "\n".join(plain(line[-STDERR_BYTES:]) for line in lines[-STDERR_LINES:])
    data = text.encode()
    if len(data) <= STDERR_BYTES:
        return text
    end = data[-STDERR_BYTES - 1 :]
    whole = end.partition(b"\n")[2] or end[1:]
    return whole.decode(errors="ignore")
