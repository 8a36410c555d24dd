"""What one start of an instance is made of: the value that `edge.spawn` carries out.

Guarantees: everything is settled here (words, environment, directory, ids, limits), so that the edge expands nothing;
values of the environment stay out of `repr`.
Leaves to others: whether the program, directory, user or log exists (found out by the kernel at the start).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tm.core.listening import Socket
from tm.core.log_policy import PLAIN, Form, LogPolicy
from tm.core.probe import NOTIFY
from tm.core.syslog import SYSLOG
from tm.core.task import DISCARD, MERGED, SENT, KillMode, Task

_PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "TASKMASTER_")
"""Beginnings of names that are meant for the daemon alone."""
OPEN_FILES = "TASKMASTER_OPEN_FILES"
"""In the environment of a daemon that has raised its own limit of open files: the soft limit that its children get."""
_OF_ANOTHER = frozenset({"TERM", "COLUMNS", "LINES"})
"""What says something of the terminal that the daemon was started at."""
_NONE: Final[frozenset[str]] = frozenset()
"""One for all: an empty set of its own would be 216 bytes of each process."""
TERM = "xterm-256color"
"""What terminals that people attach with understand, nearly all."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One start. `stdout` and `stderr` are absolute paths, None for a tail in memory; `limits` hold (name, soft, hard).

    `given`: the names in `environment` that the task itself sets; `sent`: the streams that go to syslog beside their
    tail in memory; `common`: the streams with a file that another instance has too, now or soon; `tree`: its
    descendants are to be found again; `weighed`: its memory has a limit; `cgroup`: the directory of the cgroup that
    it begins in, or ''; `sockets`: those that it is given, from descriptor 3 on; `speaks`: it is to have a
    NOTIFY_SOCKET; `pid_variables`: the names of variables that hold its pid, whatever it is; `tty`: its descriptors 0
    to 2 are a terminal of its own.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    directory: str
    umask: int
    stdout: str | None
    stderr: str | None
    merges_stderr: bool
    user: str | None
    group: str | None
    limits: tuple[tuple[str, int, int], ...]
    nice: int | None
    cpus: tuple[int, ...] | None = None
    oom_score: int | None = None
    given: frozenset[str] = frozenset()
    logs: LogPolicy = PLAIN
    sent: frozenset[str] = frozenset()
    common: frozenset[str] = frozenset()
    tree: bool = False
    weighed: bool = False
    cgroup: str = ""
    sockets: tuple[Socket, ...] = ()
    speaks: bool = False
    pid_variables: tuple[str, ...] = ()
    tty: bool = False

    @property
    def needs_fork(self) -> bool:
        """Whether the child has to do more than vfork(2) allows before it runs its program."""
        asked = (self.user, self.group, self.nice, self.cpus, self.oom_score)
        steps = self.limits or self.cgroup or self.sockets or self.pid_variables or self.tty
        return bool(steps) or any(each is not None for each in asked)

    @property
    def targets(self) -> dict[str, str | None]:
        """Each stream that has a pipe of its own, and where it goes: a path, SYSLOG, or None."""
        found = {"stdout": self.stdout} if self.merges_stderr else {"stdout": self.stdout, "stderr": self.stderr}
        return found | {stream: SYSLOG for stream in found if stream in self.sent}


@dataclass(frozen=True, slots=True)
class SpawnFailure:
    """A start that did not happen. `stage`: what failed (`exec`, `workingDirectory`, `user`, `stdout`, ...).

    `reason` is a sentence without a full stop; `hint`, from facts only, what to do about it, or ''. `shortage`: the
    machine had no descriptor, process or memory left to give; the program was not even tried.
    """

    stage: str
    reason: str
    hint: str = ""
    shortage: bool = False


class Words(NamedTuple):
    """What a program is handed, as the kernel takes it: its words, and its variables as `NAME=value`."""

    argv: Sequence[bytes]
    environment: Sequence[bytes]


class Failed(NamedTuple):
    """The step that failed (`stage` as in `SpawnFailure`), its errno, and what exactly: a limit, a sentence, or ''."""

    stage: str
    number: int
    detail: str = ""


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of the daemon's own environment that a child may see."""
    return {name: value for name, value in environ.items() if not name.startswith(_PRIVATE)}


def log_policy(task: Task) -> LogPolicy:
    """How its logs are kept. An object of JSON has its time anyway."""
    form = Form.JSON if task.log_format == Form.JSON.value else Form.STAMPED if task.log_timestamps else Form.RAW
    return LogPolicy(task.log_max_size_bytes, task.log_keep, form, task.on_log_error == DISCARD)


def launch(task: Task, n: int, base: Mapping[str, str]) -> Launch:
    """Settle the start of instance `n` of `task` on top of the environment `base`."""
    instance = task.instance(n)
    fill = (task.name, instance, n)
    logs, files = {"stdout": task.stdout, "stderr": task.stderr}, task.log_files
    paths = {name: log.fill(*fill) for name, log in files.items()}
    environment = dict(base)
    if task.tty:
        environment = {name: value for name, value in base.items() if name not in _OF_ANOTHER} | {"TERM": TERM}
    environment.update((key, value.fill(*fill)) for key, value in task.environment)
    if task.watchdog_s is not None:
        environment["WATCHDOG_USEC"] = str(max(1, int(task.watchdog_s * 1e6)))
    environment.update(TASKMASTER_TASK=task.name, TASKMASTER_INSTANCE=instance, TASKMASTER_N=str(n))
    if task.sockets:
        names = ":".join(each.name for each in task.sockets)
        environment.update(LISTEN_FDS=str(len(task.sockets)), LISTEN_FDNAMES=names)
    return Launch(
        argv=tuple(word.fill(*fill) for word in task.argv),
        environment=environment,
        directory=task.working_directory.fill(*fill),
        umask=task.umask,
        stdout=paths.get("stdout"),
        stderr=paths.get("stderr"),
        merges_stderr=task.stderr == MERGED,
        tty=task.tty,
        user=task.user,
        group=task.group,
        limits=task.limits,
        nice=task.nice,
        cpus=task.cpu_affinity,
        oom_score=task.oom_score_adjust,
        given=frozenset(key for key, _ in task.environment),
        logs=log_policy(task),
        sent=frozenset(name for name, log in logs.items() if log == SENT) or _NONE,
        common=frozenset(name for name, log in files.items() if log.is_common and task.instances > 1) or _NONE,
        tree=task.kill_mode is KillMode.TREE,
        weighed=task.memory_max_bytes is not None,
        sockets=task.sockets,
        speaks=speaks(task),
        pid_variables=_pid_variables(task),
    )


def speaks(task: Task) -> bool:
    """Whether it says something of itself that is to be heard."""
    return task.watchdog_s is not None or waits_for_word(task)


def waits_for_word(task: Task) -> bool:
    """Whether it is ready when it says so itself."""
    return task.readiness is not None and task.readiness.kind == NOTIFY


def _pid_variables(task: Task) -> tuple[str, ...]:
    listens = ("LISTEN_PID",) if task.sockets else ()
    return (*listens, "WATCHDOG_PID") if task.watchdog_s is not None else listens
