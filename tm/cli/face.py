"""The control socket of a daemon: where it is, what is done when it cannot be had, and who serves it.

Guarantees: a socket that somebody named is had or refused. A default that another configuration holds is done without
where there is a shell, and refused where the socket is the only way to the daemon; one that cannot be made is done
without in the foreground. One that a service manager hands over is taken in any form, and no other made beside it.
"""

from __future__ import annotations

import os
from functools import partial

from tm.cli import places
from tm.cli.desk import Desk
from tm.cli.forms import NOT_STARTED, RUNNING_ALREADY, USAGE, Form, Refusal, reason, say
from tm.core.config import Config
from tm.core.records import Level
from tm.daemon.service import Parts, Service
from tm.edge import activation, spawn
from tm.edge.sockets import Held, Listener, Unusable
from tm.faces.hub import Hub


def listen(config: Config, form: Form) -> Listener | None:
    """The socket, listening; None: go on without. Raises Refusal."""
    if (given := _handed_over(config)) is not None:
        return given
    named = config.settings.socket
    path = named or places.socket_path(config.path, os.environ)
    try:
        places.make_runtime_directory(path, os.environ)
        return Listener(path, group(config))
    except Held as held:
        why, code, needed = str(held), RUNNING_ALREADY, form is not Form.SHELL
    except Unusable as unusable:
        why, code, needed = str(unusable), NOT_STARTED, form is Form.DAEMON
    except OSError as error:
        why, code, needed = f"{path} cannot be made: {reason(error)}.", NOT_STARTED, form is Form.DAEMON
    if named or needed:
        raise Refusal(why, code)
    say(f"{why} Going on without a control socket.")
    return None


def _handed_over(config: Config) -> Listener | None:
    """The socket that a service manager has made for us. Raises Refusal."""
    try:
        given = activation.take(os.environ, os.getpid())
    except activation.Unfit as unfit:
        raise Refusal(str(unfit), USAGE) from None
    if given is None:
        return None
    named = config.settings.socket
    if named and os.path.realpath(named) != os.path.realpath(given.path):
        where = f"the service manager hands over the control socket {given.path}, and {named} is named"
        raise Refusal(f"{where}. Name the same with --socket and taskmaster.socket, or none.", USAGE)
    return Listener.over(given.fd, given.path, group(config), owned=False)


def group(config: Config) -> int | None:
    """Whose members may use the socket. Raises Refusal."""
    name = config.settings.socket_group
    try:
        return None if name is None else spawn.group_id(name)
    except KeyError:
        raise Refusal(f"there is no group '{name}' on this machine.", USAGE) from None


def serve(service: Service, listener: Listener, parts: Parts) -> Hub:
    """Let clients in from now on; the listener is the hub's, which is to be closed before the service."""
    say_so = partial(parts.log.write, Level.WARNING, "taskmaster", "socket")
    hub = Hub(service.loop, listener, Desk(service, parts.reloading, parts.log), say_so)
    service.on_renew = hub.renew
    hub.open()
    return hub
