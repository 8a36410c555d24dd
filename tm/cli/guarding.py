"""Giving a daemon its guardian: the fork in two, what the next daemon is to know, and the daemon that takes the role.

Guarantees: the process that was started becomes the guardian and the daemon goes on as its child; a daemon that comes
after another one has the configuration as that had loaded it, whatever is in the file by now, and reads the file only
where that cannot be had, as after an upgrade; nothing that outlives a daemon, such as processes, is there without what
is on record, so that where there is no journal there is no guardian.
Leaves to others: the guardian (`daemon.guardian`) and the way to it (`daemon.ward`).
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from dataclasses import asdict, replace
from typing import Any, NoReturn, TypeVar

from tm.cli.forms import Form, Refusal, reason
from tm.cli.opening import Opened, Where
from tm.core.records import Level
from tm.daemon import role
from tm.daemon.reloading import Reading
from tm.daemon.service import Service
from tm.daemon.ward import Inheritance, Ward
from tm.edge import hall, ps, reap, version
from tm.edge.descriptors import close_but

T = TypeVar("T")
LOADED = "configuration"
NEXT = "next"
"""The code of a version that is just becoming the present one."""


class Loaded:
    """The configuration as it was loaded, kept for the next daemon."""

    def __init__(self, opened: Opened) -> None:
        """Keep it from now on, where there is a guardian."""
        self._ward, reloading = opened.parts.estate.ward, opened.parts.reloading
        if self._ward.guarded:
            reloading.on_loaded = self.put
            if LOADED not in self._ward.kept:
                self.put(reloading.reading)

    def put(self, reading: Reading) -> None:
        """It is this one from now on; where there is no room for it, the next daemon reads the file."""
        content = pickle.dumps(reading, pickle.HIGHEST_PROTOCOL)
        try:
            fresh = hall.in_memory(content)
        except OSError:
            self._ward.discard(LOADED)
        else:
            self._ward.exchange(LOADED, fresh)


def loaded(left: Inheritance) -> Reading | None:
    """The configuration that was kept; None where that cannot be had."""
    return unpickled(left.kept.get(LOADED), Reading)


def unpickled(fd: int | None, kind: type[T]) -> T | None:
    """What an earlier daemon has put into a file in memory, which stays open; None where there is no file, or it makes
    no sense here, as what another version has put there.
    """
    if fd is None:
        return None
    try:
        with open(fd, "rb", closefd=False) as file:
            file.seek(0)
            found = pickle.load(file)
    except (OSError, pickle.UnpicklingError, EOFError, ImportError, AttributeError, TypeError, ValueError, LookupError):
        return None
    return found if isinstance(found, kind) else None


def renew(ward: Ward) -> None:
    """This is another version than the one before, and has begun: let the guardian be of it, and fall back to it."""
    if NEXT not in ward.kept:
        return
    ward.exchange(role.VERSION, os.dup(ward.kept[NEXT]))
    ward.discard(NEXT)
    ward.exchange(role.CODE, role.code())
    ward.tell(hall.Word.RENEW)


def code(opened: Opened) -> dict[str, int]:
    """What a guardian is made of, from before rights are given up, which may be needed to read it; nothing where there
    is one already, or can be none.
    """
    estate = opened.parts.estate
    needless = opened.form is Form.SHELL or estate.ward.guarded
    if needless or estate.journal is None or not sys.platform.startswith("linux"):
        return {}
    try:
        return {role.CODE: role.code(), role.VERSION: hall.in_memory(b"")}
    except OSError as error:
        opened.parts.log.write(Level.WARNING, "taskmaster", "guardian", f"there can be none: {reason(error)}")
        return {}


def guard(opened: Opened, code: dict[str, int]) -> Opened:
    """Fork: the calling process becomes the guardian, and the daemon goes on in the child, into which this returns;
    where there is no `code` for that, in the calling process. Raises Refusal.
    """
    if not code:
        return opened
    guardian = os.getpid()
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
    except OSError as error:
        raise Refusal(f"the daemon cannot be made a child of its guardian: {reason(error)}.") from None
    kept = {**opened.lasting(), **code}
    if pid:
        theirs.close()
        _be_guardian(opened, {"hall": ours.fileno(), "daemon": pid}, kept)
    os.setpgid(0, 0)
    ours.close()
    estate = replace(opened.parts.estate, ward=Ward(theirs, kept, guardian))
    return replace(opened, parts=replace(opened.parts, estate=estate))


def _be_guardian(opened: Opened, about: dict[str, Any], kept: dict[str, int]) -> NoReturn:
    """In the parent."""
    if opened.form is Form.DAEMON:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 2)
    reap.adopt_orphans()
    state = {**_standing(opened), **about}
    try:
        version.write(kept[role.VERSION])
        role.become(state, kept)
    except OSError:  # whom it has become may not read or run this Python
        from tm.daemon.guardian import Guardian  # which is elsewhere at all other times

        close_but({about["hall"], *kept.values()})
        os._exit(Guardian({**state, "kept": kept}).run())


def take_role(opened: Opened, service: Service) -> None:
    """The guardian has died: become it, and start the next daemon, which takes everything over. Where that cannot be,
    go on without. Where a service manager knew the guardian it starts the next one itself: make room.
    """
    ward, log = opened.parts.estate.ward, opened.parts.log
    if opened.parts.notify is not None and not service.leave_children("the death of the guardian").outcome:
        return
    log.write(Level.WARNING, "taskmaster", "guardian", "the guardian has died; taking its place")
    try:
        opened.sign(os.getpid())
        about = {"hall": None, "daemon": None, "ready": True, "stopping": service.succession.by}
        role.become({**_standing(opened), **about}, ward.kept)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        log.write(Level.ERROR, "taskmaster", "guardian", f"its place cannot be taken ({why}): going on without")


def _standing(opened: Opened) -> dict[str, Any]:
    """How the next daemon is started, and what it is to know."""
    return {
        "argv": argv(opened.where),
        "kept_argv": _kept_argv(opened.where),
        "title": f"taskmaster: guardian of {os.path.basename(opened.where.configuration)}",
        "path": ps.where(),
        "where": asdict(opened.where),
    }


def argv(place: Where) -> list[str]:
    """How the version that is installed is started."""
    return [sys.executable, *place.flags, place.script, *place.arguments]


def _kept_argv(place: Where) -> list[str]:
    """How the version is started that is kept; the current directory has nothing that it imports."""
    return [sys.executable, *place.flags, "-P", "-c", version.BEGIN, role.VERSION, place.script, *place.arguments]


def where(left: Inheritance) -> Where:
    """Where everything is. Raises TypeError."""
    return Where(**left.where)
