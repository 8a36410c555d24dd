"""Which socket the client is to use, and what it says when nobody answers there.

Guarantees: a configuration is read for its `taskmaster.socket` only when its text can have one, since reading takes
longer than asking; a dead socket is no candidate; the operator is told where was looked and how to start a daemon.
"""

from __future__ import annotations

import os
import sys

from tm.cli.client import Client, Failed, Gone, NoDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tm.core.settings import Settings

SUFFIX = ".sock"


class Several(Exception):
    """More than one daemon answers and none was chosen; the text lists them."""


class BadConfiguration(Exception):
    """The configuration that was named cannot be read; the text says why."""


def connect(socket: str | None, config: str | None, environ: Mapping[str, str]) -> Client:
    """The daemon that is meant. Raises NoDaemon, Several, BadConfiguration."""
    if socket is not None:
        return Client(socket)
    config = config or environ.get("TASKMASTER_CONFIG")
    if config:
        return _running(config, Client(socket_of(config, environ)))
    return _the_one(environ)


def socket_of(config: str, environ: Mapping[str, str]) -> str:
    """The socket of the daemon of this configuration. Raises BadConfiguration."""
    try:
        with open(config, "rb") as file:
            text = file.read()
    except OSError as error:
        raise BadConfiguration(f"{config} cannot be read: {os.strerror(error.errno or 0)}.") from None
    named = _configured(config) if b"socket" in text or b"include" in text else None
    return named or _default(config, environ)


def _running(config: str, client: Client) -> Client:
    """The daemon that answers, if it runs this configuration: two of one name have one default socket."""
    try:
        theirs = client.call("system.identity", {})["data"]["config"]
    except (Failed, Gone, KeyError, TypeError):
        return client  # whatever it is, it is to say so itself
    if os.path.realpath(theirs) == os.path.realpath(config):
        return client
    client.close()
    raise NoDaemon(client.path, f"the daemon there runs {theirs}, not {config}")


def advice(config: str | None) -> str:
    """How to start a daemon."""
    return f"Start one: taskmaster -d {config or 'CONFIG'}"


def _the_one(environ: Mapping[str, str]) -> Client:
    """The only daemon that answers, of our own or else of root."""
    from tm.cli.places import runtime_directories, runtime_directory

    dead = NoDaemon(os.path.join(runtime_directory(environ), "*" + SUFFIX), "there is no such socket")
    found: list[Client] = []
    for directory in runtime_directories(environ):
        for path in [] if found else _sockets(directory):
            try:
                found.append(Client(path))
            except NoDaemon as error:
                dead = error
    if len(found) > 1:
        listed = "".join(f"\n  taskmasterctl -s {each.path}" for each in found)
        raise Several(f"{len(found)} daemons run here. Say which one is meant:{listed}")
    if not found:
        raise dead
    return found[0]


def _sockets(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(os.path.join(directory, name) for name in names if name.endswith(SUFFIX))


def _default(config: str, environ: Mapping[str, str]) -> str:
    """Where it is when none is named: ours, or else root's; ours when there is neither."""
    from tm.cli.places import is_trusted, runtime_directories, socket_path

    ours = socket_path(config, environ)
    directory = os.path.dirname(ours)
    if os.path.lexists(directory) and not is_trusted(directory):
        raise NoDaemon(ours, f"{directory} belongs to somebody else")
    paths = [os.path.join(directory, os.path.basename(ours)) for directory in runtime_directories(environ)]
    return next(filter(os.path.exists, paths), ours)


def _configured(config: str) -> str | None:
    """`taskmaster.socket` as the file has it. A file that is wrong by now steers nobody away from its daemon."""
    with_packages()
    from tm.core.errors import ConfigError

    try:
        return settings_of(config).socket
    except ConfigError as error:
        ours = _default(config, os.environ)
        if os.path.exists(ours):
            return None
        raise BadConfiguration(
            f"{config} has {len(error.problems)} problem(s), so that the socket it names is not known. "
            "Name it: taskmasterctl -s SOCKET; what is wrong: taskmaster -t"
        ) from None


def settings_of(config: str) -> Settings:
    """What the file has under `taskmaster:`. Raises ConfigError; needs a Python that has PyYAML."""
    from tm.core.loading import load
    from tm.edge.world import Machine

    return load(config, Machine(os.environ, os.getcwd())).settings


def with_packages() -> None:
    """Be a Python that has PyYAML: the one of the checkout's environment, or the same one with its site-packages."""
    if not sys.flags.no_site:
        return
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    python = os.path.join(root, ".venv", "bin", "python3")
    program = python if os.access(python, os.X_OK) else sys.executable
    os.execv(program, [program, *sys.argv])
