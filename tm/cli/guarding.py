"""Giving a daemon its guardian: the fork in two, what the next daemon is to know, and the daemon that takes the role.

Guarantees: the process that was started becomes the guardian and the daemon goes on as its child; a daemon that comes
after another one has the configuration as that had loaded it, whatever is in the file by now, and reads the file only
where that cannot be had, as after an upgrade; nothing that outlives a daemon, such as processes, is there without what
is on record, so that where there is no journal there is no guardian.
Leaves to others: the guardian (`daemon.guardian`) and the way to it (`daemon.ward`).
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, fields, replace
from functools import partial
from itertools import islice
from typing import Any, NoReturn, TypeVar

from tm.cli.forms import Form, Refusal, reason
from tm.cli.opening import Opened, Where
from tm.core.config import Config
from tm.core.records import Level
from tm.daemon import role
from tm.daemon.reading import Reading
from tm.daemon.service import Service
from tm.daemon.ward import Inheritance, Ward
from tm.edge import hall, pipes, ps, reap, version
from tm.edge.descriptors import close_but
from tm.edge.faults import disarm, point

T = TypeVar("T")
LOADED = "configuration"
NEXT = "next"
"""The code of a version that is just becoming the present one."""
_AT_ONCE = 2
"""So many guardians in a row that never began are followed by the next one at once."""
_AGAIN_S = 5.0


class Loaded:
    """The configuration as it was loaded, kept for the next daemon."""

    def __init__(self, opened: Opened) -> None:
        """Keep it from now on, where there is a guardian."""
        self._ward, reloading = opened.parts.estate.ward, opened.parts.reloading
        if self._ward.guarded:
            reloading.room, reloading.on_loaded = self.room, self.put
            if LOADED not in self._ward.kept:
                self.put(self.room(pickle.dumps(reloading.reading, pickle.HIGHEST_PROTOCOL)))

    def room(self, content: bytes = b"") -> int | None:
        """A file for what is loaded; None: there is no room for one."""
        try:
            return hall.in_memory(content)
        except OSError:
            return None

    def put(self, fresh: int | None) -> None:
        """It is what this file holds from now on; where there is none, or not all is in it, the next daemon reads the
        configuration's.
        """
        if fresh is None:
            self._ward.discard(LOADED)
        else:
            self._ward.exchange(LOADED, fresh)


def loaded(left: Inheritance) -> Reading | None:
    """The configuration that was kept; None where that cannot be had, or is of a version that knew fewer keys."""
    reading = unpickled(left.kept.get(LOADED), Reading)
    return reading if reading is not None and _is_whole(reading.config) else None


def _is_whole(config: Config) -> bool:
    """Whether nothing lacks that this version knows: what was pickled by another one has no defaults."""
    made: tuple[Any, ...] = (config.settings, *islice(config.tasks.values(), 1))
    return all(hasattr(each, member.name) for each in made for member in fields(each))


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
    ward.tell(hall.Word.RENEW)


def guard(opened: Opened) -> Opened:
    """Fork: the calling process becomes the guardian, and the daemon goes on in the child, into which this returns;
    where there is one already, or can be none, in the calling process. Raises Refusal.
    """
    room = _room(opened)
    if not room:
        return opened
    guardian = os.getpid()
    gc.freeze()  # what is never looked at is never copied
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
    except OSError as error:
        raise Refusal(f"the daemon cannot be made a child of its guardian: {reason(error)}.") from None
    kept = {**opened.lasting(), **room}
    if pid:
        theirs.close()
        _be_guardian(opened, {"hall": ours.fileno(), "daemon": pid}, kept)
    os.setpgid(0, 0)
    ours.close()
    estate = replace(opened.parts.estate, ward=Ward(theirs, kept, guardian))
    return replace(opened, parts=replace(opened.parts, estate=estate))


def _room(opened: Opened) -> dict[str, int]:
    """The file that is to take the version that is kept; nothing where there is a guardian, or can be none."""
    estate = opened.parts.estate
    needless = opened.form is Form.SHELL or estate.ward.guarded
    if needless or estate.journal is None or not sys.platform.startswith("linux"):
        return {}
    try:
        return {role.VERSION: hall.in_memory(b"")}
    except OSError as error:
        opened.parts.log.write(Level.WARNING, "taskmaster", "guardian", f"there can be none: {reason(error)}")
        return {}


def _be_guardian(opened: Opened, about: dict[str, Any], kept: dict[str, int]) -> NoReturn:
    """In the parent, as it is: what it has imported is the daemon's as well."""
    _say_nothing(opened.form)
    reap.adopt_orphans()
    point("before-guardian")
    _stay({**_standing(opened), **about}, kept)


def _say_nothing(form: Form) -> None:
    """In the background stderr is the way to who has typed the command, which is the daemon's until that is up."""
    if form is Form.DAEMON:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 2)
        os.close(null)


def take_role(opened: Opened, service: Service) -> None:
    """The guardian has died. Fork: the calling process, whose children they are, becomes the next one, and the daemon
    goes on in the child with all that it knows, as if nothing had been. Where that cannot be now, it is tried again.
    Where a service manager knew the guardian it starts the next one itself: make room.
    """
    log, ward = opened.parts.log, opened.parts.estate.ward
    if opened.parts.notify is not None and not service.leave_children("the death of the guardian").outcome:
        return
    log.write(Level.WARNING, "taskmaster", "guardian", "the guardian has died; another one takes its place")
    if ward.unmet < _AT_ONCE:
        _fork_from_guardian(opened, service)
    else:
        _take_role_later(opened, service)


def _take_role_later(opened: Opened, service: Service) -> None:
    service.loop.call_in(_AGAIN_S, partial(_fork_from_guardian, opened, service))


def _fork_from_guardian(opened: Opened, service: Service) -> None:
    """Returns in the child, with its children's parent as its guardian."""
    guardian, ward = os.getpid(), opened.parts.estate.ward
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*role.FORWARDED, signal.SIGCHLD))
    try:
        opened.sign(guardian)
        service.succession.become_orphans()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if pid := os.fork():
            theirs.close()
            about = {"hall": ours.fileno(), "daemon": pid, "ready": True, "stopping": service.succession.by}
            _say_nothing(opened.form)
            _take_place({**_standing(opened), **about}, ward)
        ours.close()
        os.setpgid(0, 0)
        reap.adopt_orphans()
        ward.meet(theirs, guardian)
        service.guarded_by(guardian)
    except OSError as error:
        sentence = f"nobody can take its place now ({os.strerror(error.errno or 0)}); going on without"
        opened.parts.log.write(Level.ERROR, "taskmaster", "guardian", sentence)
        _take_role_later(opened, service)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _take_place(state: dict[str, Any], ward: Ward) -> NoReturn:
    """In the parent. A guardian that ended before it had begun may be one that cannot: this process can, as it is. So
    it does where the version that is to be kept has not been put down whole.
    """
    if not ward.unmet and version.complete(ward.kept[role.VERSION]):
        with suppress(OSError):
            role.become(state, ward.kept)
    disarm()
    _stay(state, ward.kept)


def _stay(state: dict[str, Any], kept: dict[str, int]) -> NoReturn:
    """Be the guardian as this process, with all that it has."""
    from tm.cli.guardian import be_guardian  # which is elsewhere at all other times

    close_but({state["hall"], *kept.values()})
    pipes.forget()  # the next daemon is made of this process
    os._exit(be_guardian({**state, "kept": kept}, _keep_version(kept)))


def _keep_version(kept: dict[str, int]) -> Iterator[None]:
    """Put down this version, when there is time, and import from that."""
    point("before-version")
    with suppress(OSError):  # whom it has become may not read this Python
        if not version.complete(kept[role.VERSION]):
            version.write(kept[role.VERSION])
        version.use(kept[role.VERSION])
    yield


def _standing(opened: Opened) -> dict[str, Any]:
    """How the guardian begins, and what the next daemon is to know."""
    place = opened.where
    name = os.path.basename(place.configuration)
    return {
        "argv": [sys.executable, *place.flags, "-P", "-c", version.BEGIN, role.VERSION, place.script],
        "title": f"taskmaster: guardian of {name}",
        "called": f"taskmaster: {name}",
        "path": ps.where(),
        "where": asdict(place),
    }


def argv(place: Where) -> list[str]:
    """How the version that is installed is started."""
    return [sys.executable, *place.flags, place.script, *place.arguments]


def where(left: Inheritance) -> Where:
    """Where everything is. Raises TypeError."""
    return Where(**left.where)
