"""What a daemon that does not answer has left running: asked of its journal, and of the kernel.

Guarantees: a process is named only when it is the very one that is on record, so that the next daemon takes it over;
nothing is named while a daemon holds the state directory; nothing is made, changed or waited for. A journal that cannot
be read is told where the configuration was named.
Leaves to others: taking over (`daemon.adoption`). A daemon whose state directory was named on its command line is not
found, since nothing else knows of it.
"""

from __future__ import annotations

import os

from tm.cli import places
from tm.cli.finding import settings_of, with_packages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tm.core.journal import Ledger

_NAMED_MOST = 10


class About:
    """Which journals are asked. `config`: the configuration that they have to be about, or None; `socket`: the one that
    their daemon has by default, or None.
    """

    def __init__(self, paths: Iterable[str], config: str | None, socket: str | None = None) -> None:
        self.paths = [path for path in paths if os.path.lexists(path)]
        self._config = config
        self._socket = socket

    @property
    def named(self) -> bool:
        """Whether somebody has named the configuration."""
        return self._config is not None

    def has(self, configuration: str) -> bool:
        """Whether a journal about this configuration is meant."""
        if self._config is not None:
            return os.path.realpath(configuration) == os.path.realpath(self._config)
        return self._socket in (None, places.socket_path(configuration, os.environ))


class Left:
    """What was found: sentences for people, and the processes for programs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.processes: list[dict[str, object]] = []


def journals(config: str | None, socket: str | None, environ: Mapping[str, str]) -> About:
    """The journals of the daemon that is meant. May begin this program anew, as one that can read the configuration."""
    config = config or (None if socket else environ.get("TASKMASTER_CONFIG"))
    if config is None:
        return About(_all(environ), None, None if socket is None else os.path.abspath(socket))
    named = _state_directory(config)
    default = (places.state_directory, places.own_state_directory)
    paths = (config, os.path.realpath(config))
    directories = [named] if named else [where(path, environ) for path in paths for where in default]
    return About([os.path.join(each, "journal") for each in dict.fromkeys(directories)], config)


def survivors(about: About) -> Left:
    """Who of those on record lives."""
    left = Left()
    for path in about.paths:
        _look(path, about, left)
    return left


def _look(path: str, about: About, left: Left) -> None:
    from tm.edge import procfs
    from tm.edge.journal import look
    from tm.edge.pidfile import is_held

    try:
        ledger = look(path)
    except OSError as error:
        if about.named:
            why = os.strerror(error.errno or 0)
            left.lines.append(f"what it may have left running is not known: {path} cannot be read ({why}).")
        return
    head = ledger.head
    if head is None or not about.has(head.configuration) or is_held(os.path.join(os.path.dirname(path), "lock")):
        return
    if (head.boot, head.pid_namespace) != (procfs.boot_id(), procfs.pid_namespace()):
        return
    found = _living(ledger)
    if found:
        names = ", ".join(f"{name} (pid {pid})" for name, pid in found[:_NAMED_MOST])
        more = f" and {len(found) - _NAMED_MOST} more" if len(found) > _NAMED_MOST else ""
        whose = head.configuration
        takes = f"The next 'taskmaster -d {whose}' takes over what lives."
        left.lines.append(f"left running by the daemon of {whose}: {names}{more}. {takes}")
        left.processes += [{"name": name, "pid": pid, "config": whose} for name, pid in found]


def _living(ledger: Ledger) -> list[tuple[str, int]]:
    """Names and pids."""
    from tm.edge import pidfd

    found = []
    counts = dict(sorted(ledger.rows))  # the highest number of each task
    for row in ledger.rows.values():
        if row.pid is None:
            continue
        try:
            fd = pidfd.recognized(row.pid, row.start, row.identity)
        except OSError:
            continue
        if fd is not None:
            if not pidfd.ended(fd):
                found.append((row.task if counts[row.task] == 1 else f"{row.task}_{row.n}", row.pid))
            os.close(fd)
    return found


def _all(environ: Mapping[str, str]) -> list[str]:
    """Those of every daemon of ours that was given no state directory."""
    base = places.state_base(environ)
    try:
        return [os.path.join(base, name, "journal") for name in sorted(os.listdir(base))]
    except OSError:
        return []


def _state_directory(config: str) -> str | None:
    """`taskmaster.stateDir` as the file has it; None where it has none, or is wrong by now."""
    try:
        with open(config, "rb") as file:
            text = file.read()
    except OSError:
        return None
    if b"stateDir" not in text and b"include" not in text:
        return None
    with_packages()
    from tm.core.errors import ConfigError

    try:
        return settings_of(config).state_dir
    except ConfigError:
        return None
