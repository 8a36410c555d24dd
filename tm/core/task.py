"""A task: what the configuration says of one program.

Guarantees: a `Task` is settled (paths absolute, variables expanded) but for the three slots that differ between
instances; two tasks are equal when they ask for the same, wherever that was written.
Leaves to others: the keys (`core.task_keys`), how a file becomes tasks (`core.loading`), and what is done with one
(`core.process`, `core.launch`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from tm.core.errors import Place
from tm.core.listening import Socket
from tm.core.probe import Probe
from tm.core.syslog import SYSLOG
from tm.core.template import Template

DISCARD: Final = "discard"
"""The value of `onLogError` that prefers a program that goes on."""

INSTANCES_MOST: Final = 10_000
UNLIMITED: Final = -1
MERGED: Final = Template(("stdout",))
SENT: Final = Template((SYSLOG,))
"""The values of `stderr: stdout` and `stdout: syslog`. No path is equal to them, since paths are absolute."""


class Restart(Enum):
    """When a process that ended is started again."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class KillMode(Enum):
    """Who gets the signals."""

    GROUP = "group"
    PROCESS = "process"
    TREE = "tree"


class Awaited(Enum):
    """What a task waits for before it is started: how far another one has come."""

    STARTED = "started"
    READY = "ready"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Need:
    """Another task that a task waits for; `awaited` None: ready where that one can tell, else started."""

    task: str
    awaited: Awaited | None
    place: Place = field(compare=False, repr=False)
    """Where its name stands."""


HOOK_TIMEOUT_S: Final = 30.0


class Hook(NamedTuple):
    """A command for a moment of a process's life (`core.hook`): as written, its words, and how long it may take."""

    command: str | tuple[str, ...]
    argv: tuple[Template, ...]
    timeout_s: float = HOOK_TIMEOUT_S


DEBOUNCE_S: Final = 0.5


class Watch(NamedTuple):
    """Files whose changes count: absolute globs, how long a change waits for further ones, and the signal for it; None:
    a restart.
    """

    paths: tuple[Template, ...]
    debounce_s: float = DEBOUNCE_S
    signal: int | None = None


class Overlap(Enum):
    """What a tick of a schedule does while the last run goes on."""

    SKIP = "skip"
    QUEUE = "queue"
    KILL = "kill"


class OnReload(Enum):
    """What a changed key does to a process that runs."""

    RESPAWN = "respawn"
    LIVE = "live"
    SCALE = "scale only"
    START = "at the next start of taskmaster"


def instance_name(task: str, n: int, count: int) -> str:
    """The name of instance `n` (from 1) of `count`: a single one is named as its task."""
    return task if count == 1 else f"{task}_{n}"


@dataclass(frozen=True, slots=True)
class Task:
    """One task, settled. The names are those of the keys, with the unit."""

    name: str
    command: str | tuple[str, ...]
    argv: tuple[Template, ...]
    """What is executed; derived from `command` and `shell`."""
    shell: bool | None
    instances: int
    auto_launch: bool
    restart: Restart
    expected_exit_codes: frozenset[int]
    """0 to 255; a signal is its negative number."""
    successful_start_timeout_s: float
    restarts_attempts: int
    restart_delay_s: float
    restart_delay_max_s: float
    stop_signal: int
    graceful_stop_timeout_s: float
    kill_mode: KillMode
    stdout: Template | None
    stderr: Template | None
    """As `stdout` an absolute path, SENT for syslog, or None for a tail in memory; MERGED for the place of `stdout`."""
    log_max_size_bytes: int
    log_keep: int
    log_timestamps: bool
    log_format: str
    on_log_error: str
    environment: tuple[tuple[str, Template], ...] = field(repr=False)
    """What the env files hold is in it already."""
    env_file: tuple[str, ...]
    working_directory: Template
    umask: int
    user: str | None
    group: str | None
    limits: tuple[tuple[str, int, int], ...]
    """Name, soft, hard; UNLIMITED for no limit."""
    nice: int | None
    readiness: Probe | None
    liveness: Probe | None
    cpu_affinity: tuple[int, ...] | None
    """Rising numbers of CPUs."""
    oom_score_adjust: int | None
    memory_max_bytes: int | None
    max_age_s: float | None
    sockets: tuple[Socket, ...]
    """In the order in which they are given."""
    depends_on: tuple[Need, ...]
    watchdog_s: float | None
    critical: bool
    hooks: tuple[tuple[str, Hook], ...]
    """By the word of the moment, no more than one for each."""
    watch: Watch | None
    tty: bool
    description: str
    labels: tuple[str, ...]
    priority: int
    places: Mapping[str, Place] = field(compare=False, repr=False)
    """Where each key that was given stands, by the key's first spelling."""
    oneshot: bool = False
    schedule: str | None = None
    """A text that `core.cron` understands."""
    time_zone: str | None = None
    overlap: Overlap = Overlap.SKIP
    deadline_s: float | None = None

    @property
    def log_files(self) -> dict[str, Template]:
        """The streams that go to files, by name, each with its path."""
        logs = {"stdout": self.stdout, "stderr": self.stderr}
        return {name: log for name, log in logs.items() if log is not None and log not in (MERGED, SENT)}

    @property
    def start_limit_s(self) -> float | None:
        """When, after its spawn, its start has come true, or with `readiness` has not; None: never."""
        return None if self.readiness and not self.successful_start_timeout_s else self.successful_start_timeout_s

    @property
    def pre_stop_s(self) -> float:
        """How long the stop signal may be held back by what has to come before it; 0 where nothing has."""
        hook = dict(self.hooks).get("preStop")
        return 0.0 if hook is None else hook.timeout_s

    def instance(self, n: int) -> str:
        """The name of instance `n`, from 1."""
        return instance_name(self.name, n, self.instances)
