"""Where things are: the configuration when none is named, the daemon's state, socket, pidfile and log.

Guarantees: a configuration that was not named on the command line is not taken from a directory that others can write,
and no example is written into one; an example that is there already is used and never overwritten. Daemon and client
ask here, so that they agree; asking makes nothing.
Leaves to others: paths that somebody named, which are taken as they are (`cli.opening`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from tm.core.trust import described, others_can_write, remedy

EXAMPLE = "config-example.yaml"
SYSTEM_RUNTIME = "/run/taskmaster"


class NoConfiguration(Exception):
    """None was found; the text says where it was looked for."""


def here() -> str:
    """The current directory, where relative paths begin for good. Raises NoConfiguration when it was removed."""
    try:
        return os.getcwd()
    except OSError as error:
        raise NoConfiguration(
            f"the current directory is gone ({os.strerror(error.errno or 0)}). Change to one that exists."
        ) from None


def searched(environ: Mapping[str, str]) -> list[str]:
    """Where a configuration is looked for, in order."""
    named = environ.get("TASKMASTER_CONFIG")
    return [*([named] if named else []), "taskmaster.yaml", "/etc/taskmaster.yaml"]


def find(environ: Mapping[str, str]) -> str | None:
    """The first place that has one. Raises NoConfiguration when it lies where others can write."""
    for path in searched(environ):
        if os.path.lexists(path):
            _refuse_if_open(path)
            return path
    return None


def write_example() -> tuple[str, bool]:
    """The example in the current directory and whether it is new. Raises OSError or NoConfiguration."""
    why, command = _open_to_others(os.getcwd())
    if why and not os.path.lexists(EXAMPLE):
        raise NoConfiguration(
            f"no configuration in {', '.join(searched(os.environ))}, and no example is written to {os.getcwd()}: "
            f"others can write there ({why}). Change to a directory of your own, or name a configuration, or type: "
            f"{command}"
        )
    try:
        fd = os.open(EXAMPLE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        _refuse_if_open(EXAMPLE)
        return EXAMPLE, False
    from tm.core.example import example

    with open(fd, "w", encoding="utf-8") as file:
        file.write(example())
    return EXAMPLE, True


def name_of(config: str) -> str:
    """What the daemon of this configuration is called by: the file's name without its suffix."""
    return os.path.splitext(os.path.basename(os.path.abspath(config)))[0]


def state_directory(config: str, environ: Mapping[str, str]) -> str:
    """Where the daemon of this configuration keeps what outlives it."""
    if os.geteuid() == 0:
        return os.path.join(state_base(environ), name_of(config))
    return own_state_directory(config, environ)


def own_state_directory(config: str, environ: Mapping[str, str]) -> str:
    """The same, with a name that no other configuration has."""
    path = os.path.abspath(config)
    return os.path.join(state_base(environ), f"{name_of(config)}-{_digest(path)}")


def identity_lock(config: str, environ: Mapping[str, str]) -> str:
    """The file that is locked for this configuration by whatever name it goes: links are followed to its end."""
    return os.path.join(state_base(environ), f".{_digest(os.path.realpath(config))}.lock")


def state_base(environ: Mapping[str, str]) -> str:
    """The directory of all state directories."""
    if os.geteuid() == 0:
        return "/var/lib/taskmaster"
    base = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "taskmaster")


def history_path(environ: Mapping[str, str]) -> str:
    """What a person has typed at the client's prompt: his own, root's too."""
    base = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "taskmaster", "taskmasterctl.history")


def runtime_directory(environ: Mapping[str, str]) -> str:
    """Where sockets and pidfiles are."""
    if os.geteuid() == 0:
        return SYSTEM_RUNTIME
    base = environ.get("XDG_RUNTIME_DIR")
    return os.path.join(base, "taskmaster") if base else f"/tmp/taskmaster-{os.geteuid()}"


def runtime_directories(environ: Mapping[str, str]) -> list[str]:
    """Where a client looks for sockets: where ours are, then where root's are. A directory that a stranger has made
    in the place of one is none.
    """
    return [each for each in dict.fromkeys((runtime_directory(environ), SYSTEM_RUNTIME)) if is_trusted(each)]


def socket_path(config: str, environ: Mapping[str, str]) -> str:
    """The control socket, when none is named."""
    return os.path.join(runtime_directory(environ), f"{name_of(config)}.sock")


def pidfile_path(config: str, environ: Mapping[str, str]) -> str:
    """The pidfile of the daemon, when none is named."""
    return os.path.join(runtime_directory(environ), f"{name_of(config)}.pid")


def log_path(config: str, state: str) -> str:
    """The event log of the daemon, when none is named; `state` is its state directory."""
    return os.path.join("/var/log/taskmaster" if os.geteuid() == 0 else state, f"{name_of(config)}.log")


def make_runtime_directory(path: str, environ: Mapping[str, str]) -> None:
    """Make the directory of sockets and pidfiles, where `path` lies in it: an init script names the default as well.
    Raises OSError.
    """
    if os.path.dirname(path) == runtime_directory(environ):
        make_private(runtime_directory(environ))


def make_private(directory: str) -> None:
    """Make it if it is not there; nobody else can write to it, or OSError. Root's may be read by others."""
    mode = 0o755 if os.geteuid() == 0 else 0o700
    try:
        os.mkdir(directory)
        os.chmod(directory, mode)
    except FileExistsError:
        pass
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.ENOTDIR, "it is no directory", directory)
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, f"the directory belongs to uid {status.st_uid}", directory)
    if status.st_mode & 0o777 & ~mode:
        others = f"others can use the directory; type: chmod {mode:o} {directory}"
        raise OSError(errno.EPERM, others, directory)


def is_trusted(directory: str) -> bool:
    """Whether it is root's or ours."""
    try:
        return os.lstat(directory).st_uid in (0, os.geteuid())
    except OSError:
        return False


def _digest(path: str) -> str:
    import hashlib

    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _refuse_if_open(path: str) -> None:
    directory = os.path.dirname(os.path.abspath(path))
    why, command = _open_to_others(directory)
    if why:
        raise NoConfiguration(
            f"{path} is not used: others can write to {directory} ({why}). "
            f"Name it on the command line to use it all the same, or type: {command}"
        )


def _open_to_others(directory: str) -> tuple[str, str]:
    """Whose the directory is and what to type about it; both empty where only we and root can write."""
    status, euid, egid = os.stat(directory), os.geteuid(), os.getegid()
    if not others_can_write(status, euid, egid):
        return "", ""
    return described(status), remedy(directory, status, euid, egid)
