"""The control socket as a whole: who is let in, how many, and the socket's file kept in its place.

Guarantees: only the daemon's own user, root and the socket's group, where it has one, are let in; `CLIENTS_MOST` at
most, fewer where descriptors are few, and whoever is one too many is told so; the requests of one turn of the loop take
a slice of it, shared by all clients, of which each gets one request at least; what all clients together leave unread is
bounded. A socket file that is gone is made again as soon as the kernel tells; where that fails, again and again, ever
more rarely.
Leaves to others: a client's bytes (`edge.connection`) and words (`faces.session`), and what they bring about (`Desk`).
"""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from tm.core.ports import Watcher
from tm.core.timers import Instant
from tm.edge.connection import Calls, Connection, Left, Room
from tm.edge.door import Door, Peer, turn_away
from tm.edge.presence import Presence
from tm.edge.sockets import Listener, Unusable
from tm.faces import jsonrpc
from tm.faces.counter import Desk, Going
from tm.faces.jsonrpc import Failure
from tm.faces.session import Session, lost

CLIENTS_MOST: Final = 1000
HELD_BYTES: Final = 64 * 1024 * 1024
SLICE_S: Final = 0.005
LAST_CHANCE_S: Final = 1.0
SILENT_S: Final = 10.0
_ACCEPTS: Final = 64
_AGAIN_S, _AGAIN_MOST_S = 1.0, 60.0

_FULL: Final = jsonrpc.error(Failure(jsonrpc.BUSY, "too many clients are connected", "Try again soon."))


class Client(NamedTuple):
    """A client between two daemons."""

    by: str
    owner: bool
    left: Left
    going: Going


class Hub:
    """All clients of one daemon. Owns the listener. `say` hears, in sentences, what an operator should know."""

    def __init__(self, watcher: Watcher, listener: Listener, desk: Desk, say: Callable[[str], None]) -> None:
        self._watcher = watcher
        self._listener = listener
        self._door = Door(listener.accept)
        self._desk = desk
        self._say = say
        self._presence = Presence()
        self._clients: dict[Connection, Session] = {}
        self._most = _most_clients()
        self._room = Room(HELD_BYTES)
        self._turn, self._until = Instant(-1.0), 0.0
        self._trouble = ""
        self._again_s = 0.0
        self._due = False
        self._closed = False

    def open(self) -> None:
        """Let clients in."""
        self._listener.adopt()
        if self._presence.fd is not None:
            self._watcher.watch(self._presence.fd, self._stirred)
        else:
            self._say("the kernel does not tell here when the control socket's file goes; SIGHUP makes it again")
        self._watch()

    def renew(self) -> None:
        """Make the socket's file again, where it is gone."""
        if self._closed or self._listener.named:
            return
        self._watcher.unwatch(self._listener.fileno())
        self._let_in_all()
        try:
            self._listener.renew()
        except Unusable as error:
            self._fail(str(error))
        else:
            self._trouble, self._again_s = "", 0.0
            self._say(f"the control socket {self._listener.path} was gone, and has been made again")
        self._watch()

    def close(self) -> None:
        """Listen no more; give the clients a last, short chance to read what they have asked for. They stay connected
        until `hang_up`.
        """
        if self._closed:
            return
        self._closed = True
        self._watcher.unwatch(self._listener.fileno())
        if self._presence.fd is not None:
            self._watcher.unwatch(self._presence.fd)
        self._presence.close()
        self._listener.close()
        self._door.close()
        until = time.monotonic() + LAST_CHANCE_S
        for client in list(self._clients):
            client.finish(until)

    def hang_up(self) -> None:
        """The clients hear that this is the end."""
        for client in list(self._clients):
            client.close()

    # ---- the file

    def _stirred(self) -> None:
        self._presence.drain()
        self.renew()

    def _watch(self) -> None:
        """Listen, and hear of it when the file goes; it may have gone before that was arranged."""
        self._watcher.watch(self._listener.fileno(), self._knocked)
        self._presence.look_at(self._listener.path)
        if not self._trouble and not self._listener.named:
            self._renew_in(0.0)

    def _fail(self, why: str) -> None:
        """Say it once, and try again later."""
        if why != self._trouble:
            self._say(why)
        self._trouble = why
        self._again_s = min(2 * self._again_s or _AGAIN_S, _AGAIN_MOST_S)
        self._renew_in(self._again_s)

    def _renew_in(self, wait_s: float) -> None:
        if not self._due:
            self._due = True
            self._watcher.call_in(wait_s, self._renew_again)

    def _renew_again(self) -> None:
        self._due = False
        self.renew()

    # ---- who comes

    def _knocked(self) -> None:
        for _ in range(_ACCEPTS):
            if not self._accept():
                return

    def _let_in_all(self) -> None:
        """Whoever has reached the socket that is about to be given up."""
        for _ in range(CLIENTS_MOST):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Let the next one in; whether there may be another."""
        try:
            knocking = self._door.let_in(_FULL)
        except OSError as error:
            self._say(f"no client can be let in: {os.strerror(error.errno or 0)}; trying again")
            self._watcher.unwatch(self._listener.fileno())
            self._watcher.call_in(_AGAIN_S, self._listen_again)
            return False
        if knocking is None:
            return False
        self._let_in(*knocking)
        return True

    def _listen_again(self) -> None:
        if not self._closed:
            self._watcher.watch(self._listener.fileno(), self._knocked)

    def _let_in(self, client: socket.socket, peer: Peer) -> None:
        if peer.uid not in (0, os.geteuid()) and self._listener.gid not in peer.groups:
            text = f"uid {peer.uid} is not allowed here: the daemon belongs to uid {os.geteuid()}"
            turn_away(client, jsonrpc.error(Failure(jsonrpc.NOT_ALLOWED, text)))
            self._say(f"uid {peer.uid} (pid {peer.pid}) was refused at the control socket")
            return
        if len(self._clients) >= self._most and not self._give_way():
            turn_away(client, _FULL)
            return
        who = f"uid {peer.uid}" + (f" (pid {peer.pid})" if peer.pid else "")
        self._begin(client, who, peer.uid in (0, os.geteuid()), None)

    def _begin(self, client: socket.socket, who: str, owner: bool, left: Left | None) -> Session:
        connection = Connection(self._watcher, client, self._room)
        session = self._clients[connection] = Session(self._desk, connection, who, owner)
        heard, forgotten = partial(self._line, session), partial(self._forget, connection)
        asks = lambda: session.works, lambda: session.holds
        connection.open(Calls(heard, session.end, *asks, forgotten, self._spent, lost), left)
        return session

    # ---- between two daemons

    def leave(self) -> list[Client]:
        """The clients, for the next daemon; their descriptors stay open."""
        return [
            Client(session.by, session.owner, each.leave(), session.leave()) for each, session in self._clients.items()
        ]

    def go_on(self, clients: list[Client]) -> None:
        """Go on with the clients of an earlier daemon."""
        for each in clients:
            client = socket.socket(fileno=each.left.fd)
            client.setblocking(False)
            self._begin(client, each.by, each.owner, each.left).go_on(each.going)

    def _forget(self, connection: Connection) -> None:
        del self._clients[connection]
        self._door.refill()

    def _line(self, session: Session, line: bytes | None) -> None:
        session.line(line, self._room.full)

    def _spent(self) -> bool:
        """Whether the requests of this turn have had their share of it."""
        if self._turn != self._watcher.now:
            self._turn, self._until = self._watcher.now, time.monotonic() + SLICE_S
        return time.monotonic() > self._until

    def _give_way(self) -> bool:
        """Hang up on who has been silent longest, and waits for nothing; whether there is such a one."""
        silent = [each for each, session in self._clients.items() if not session.waits and not each.backlog]
        longest = min(silent, key=lambda each: each.active_at, default=None)
        if longest is None or self._watcher.now - longest.active_at < SILENT_S:
            return False
        longest.close()
        return True


def _most_clients() -> int:
    """As many as leave room for what the processes need."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CLIENTS_MOST if soft == resource.RLIM_INFINITY else max(8, min(CLIENTS_MOST, soft // 4))
