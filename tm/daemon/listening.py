"""The sockets that tasks are given: who has them, from when, how long.

Guarantees: a socket is opened before the first process of its task is spawned, and is open until the last one is at
rest: stopped, ended or given up, so that nobody knocks where nobody will ever answer; until the configuration has
another one in its place; until the daemon has left in order. All restarts in between find it as it was, with who waits
to be let in; so does the next daemon, from the guardian, or else from a process that has it, where the kernel allows.
A socket that cannot be had is a failed start that says why, and who has it.
Leaves to others: how one is opened (`edge.listeners`), and giving it to the child (`edge.spawn`).

A socket goes by its address: whoever is given one that is there already has it from now on, as a task under a new name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from tm.core.effects import Send
from tm.core.launch import Launch, SpawnFailure
from tm.core.lines import plain
from tm.core.listening import MODE, PATH_BYTES, Socket
from tm.core.process import Occurrence, Process
from tm.daemon.supervisor import Supervisor
from tm.daemon.ward import Ward
from tm.daemon.wiring import Key

_KIND: Final = "listen"
_NOBODY: Final = -1


@dataclass(slots=True)
class Held:
    """One that is open. `file`: what tells its file from all others, (0, 0) where it has none; `about`: its mode, user
    and group; `task`: whose it is, '' as long as that is not known.
    """

    fd: int
    file: tuple[int, int]
    about: tuple[int, int, int] | None = None
    task: str = ""


class Unowned(Exception):
    """Its file cannot be given to whom it is for: why not."""


class Listening:
    """All of them. Owns their descriptors and files."""

    def __init__(self, supervisor: Supervisor, ward: Ward, kept: Mapping[str, int]) -> None:
        """`kept`: what an earlier daemon has left, among it those that are open."""
        self._supervisor = supervisor
        self._ward = ward
        self._held: dict[str, Held] = {}
        for word, fd in kept.items():
            kind, *rest = word.split(":")
            if kind == _KIND:
                address, device, inode = rest
                os.set_inheritable(fd, False)
                self._held[bytes.fromhex(address).decode()] = Held(fd, (int(device), int(inode)))

    def open(self, key: Key, launch: Launch) -> Sequence[int] | SpawnFailure:
        """The descriptors that a start of an instance is to have, in their order; they stay ours."""
        task = key[0]
        wanted = {each.address(task): each for each in launch.sockets}
        for address in [each for each, held in self._held.items() if held.task == task and each not in wanted]:
            self._close(address)
        for address, each in wanted.items():
            try:
                self._have(task, address, each, launch)
            except (OSError, Unowned) as error:
                return _failure(task, each, error)
        return [self._held[address].fd for address in wanted]

    def observe(self, before: Process, _what: Occurrence, after: Process, _sent: Sequence[Send]) -> None:
        """An observer of the rows. What is asked for already, such as the start of a task under its new name, may need
        what this one has had.
        """
        if self._held and after.at_rest and not before.at_rest:
            self._supervisor.then(partial(self._rest, after.task.name))

    def end(self) -> None:
        """The daemon leaves in order, with nobody left."""
        for address in list(self._held):
            self._end(address)

    def settle(self) -> None:
        """Everything that an earlier daemon has left is known: close what nobody has any more, and have again what only
        its processes have.
        """
        tasks = self._supervisor.config.tasks.values()
        owners = {each.address(task.name): (task.name, each) for task in tasks for each in task.sockets}
        for address, held in list(self._held.items()):
            held.task = held.task or owners.get(address, ("", None))[0]
            if held.task and self._rests(held.task):
                self._end(address)
            elif not held.task:
                self._close(address)
        for address, (name, each) in owners.items():
            if address not in self._held and (taken := self._taken_back(name, each)) is not None:
                self._keep(address, taken)

    def _rest(self, task: str) -> None:
        """Close what this task has had, if it is at rest."""
        if self._rests(task):
            for address in [each for each, held in self._held.items() if held.task == task]:
                self._end(address)

    def _rests(self, task: str) -> bool:
        """Whether no instance of it lives, and none is due."""
        return all(row.at_rest for (name, _), row in self._supervisor.rows.items() if name == task)

    def _have(self, task: str, address: str, each: Socket, launch: Launch) -> None:
        """Have it open, and its file with whom it is for. Raises OSError, Unowned."""
        from tm.edge import listeners  # which a daemon without sockets does without

        path, about = each.file(task), _about(each, launch)
        if path and address in self._held and listeners.file_of(path) != self._held[address].file:
            self._close(address)  # whoever has removed the file has taken it from everybody
        held = self._held.get(address)
        if held is None and path:
            held = Held(*listeners.unix(path, *about), about)
        elif held is None:
            held = Held(listeners.tcp(each.host, each.port), listeners.File())
        elif path and held.about != about:
            listeners.give(path, listeners.File(*held.file), *about)
        held.about, held.task = about, task
        if address not in self._held:
            self._keep(address, held)

    def _keep(self, address: str, held: Held) -> None:
        self._held[address] = held
        if self._ward.lasting:
            device, inode = held.file
            self._ward.keep({f"{_KIND}:{address.encode().hex()}:{device}:{inode}": held.fd})

    def _taken_back(self, task: str, each: Socket) -> Held | None:
        """From a process of the task that was given it by an earlier daemon, of which nothing else is left."""
        from tm.edge import listeners

        path = each.file(task)
        for (name, _), row in self._supervisor.rows.items():
            if name != task or row.pid is None:
                continue
            place = (each.host, each.port, path)
            fd = listeners.taken_back(row.pid, len(row.task.sockets), *place)
            if fd is not None:
                return Held(fd, listeners.file_of(path) if path else listeners.File(), task=name)
        return None

    def _end(self, address: str) -> None:
        """Nobody listens there any more, whoever else may have it."""
        from tm.edge import listeners

        listeners.end(self._held[address].fd)
        self._close(address)

    def _close(self, address: str) -> None:
        """Who has it may go on with it."""
        from tm.edge import listeners

        held = self._held.pop(address)
        if held.file != listeners.File():
            listeners.remove(address.removeprefix("unix://"), listeners.File(*held.file))
        self._ward.drop(held.fd)
        os.close(held.fd)


def _about(each: Socket, launch: Launch) -> tuple[int, int, int]:
    """Mode, user and group of its file: those of the task where it has none of its own. Raises Unowned."""
    from tm.edge import spawn

    mode, uid, gid = MODE if each.mode is None else each.mode, _NOBODY, _NOBODY
    if each.host:
        return mode, uid, gid
    user, group = each.user or launch.user, each.group or (launch.group if each.user is None else None)
    try:
        if user is not None:
            uid, gid, _ = spawn.identity(user)
    except KeyError:
        raise Unowned(f"there is no user '{user}'") from None
    try:
        return mode, uid, gid if group is None else spawn.group_id(group)
    except KeyError:
        raise Unowned(f"there is no group '{group}'") from None


# ---- why not


def _failure(task: str, each: Socket, error: OSError | Unowned) -> SpawnFailure:
    address = each.address(task)
    if isinstance(error, Unowned):
        return SpawnFailure("sockets", f"socket '{each.name}' at {address} cannot be given away: {error}")
    number = error.errno or 0
    reason = os.strerror(number) if number else str(error)
    shortage = number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
    hint = _hint(each, each.file(task), error)
    return SpawnFailure("sockets", f"socket '{each.name}' at {address} cannot be opened: {reason}", hint, shortage)


def _hint(each: Socket, path: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return _occupied(each, error)
    if each.host:
        return {
            errno.EADDRNOTAVAIL: f"no interface of this machine has the address {each.host}",
            errno.EACCES: f"port {each.port} is root's; start taskmaster as root, or give it CAP_NET_BIND_SERVICE",
        }.get(error.errno or 0, "")
    directory, size = os.path.dirname(path), len(os.fsencode(path))
    if size > PATH_BYTES:
        return f"the path has {size} bytes, {PATH_BYTES} is the most"
    return {
        errno.EACCES: f"uid {os.geteuid()} may not write to {directory}",
        errno.EPERM: "only root can replace what belongs to others, or give them a file",
        errno.ENOENT: f"mkdir -p {directory}",
        errno.EEXIST: f"{path} is no socket: remove it, or choose another path",
    }.get(error.errno or 0, "")


def _occupied(each: Socket, error: OSError) -> str:
    """Who listens there."""
    from tm.edge import listeners, procfs

    found = [error.pid] if isinstance(error, listeners.Occupied) and error.pid else []
    if each.host:
        found = listeners.occupants(each.host, each.port)
    if not found:
        return "another process listens there"
    known = [(pid, procfs.stat(pid)) for pid in found[:3]]
    named = ", ".join(f"pid {pid}" + (f" ({plain(process.name)})" if process else "") for pid, process in known)
    return f"{named} listens there" if len(found) == 1 else f"{named} listen there"
