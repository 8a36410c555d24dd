"""Where things are: the configuration when none is named, the daemon's state, its log.

Guarantees: a configuration that was not named on the command line is not taken from a directory that others can write,
and no example is written into one; an example that is there already is used and never overwritten.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from tm.core.example import example
from tm.core.trust import described, others_can_write, remedy

EXAMPLE = "config-example.yaml"


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
    with open(fd, "w", encoding="utf-8") as file:
        file.write(example())
    return EXAMPLE, True


def state_directory(config: str, environ: Mapping[str, str]) -> str:
    """Where the daemon of this configuration keeps what outlives it."""
    path = os.path.abspath(config)
    stem = os.path.splitext(os.path.basename(path))[0]
    if os.geteuid() == 0:
        return f"/var/lib/taskmaster/{stem}"
    base = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "taskmaster", f"{stem}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}")


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
