"""The guardian: the daemon's parent, which outlives it, keeps what it must not lose, and starts the next one.

The process that was started as taskmaster becomes it and keeps its pid, the one in the pidfile, which init scripts and
service managers signal. The daemon is its child.

* It keeps descriptors: the pipes' read ends, the listening socket, the locks, the configuration as it was loaded. What
  is in a pipe when the daemon dies is there for the next one, and a client that knocks meanwhile waits.
* It is the parent of whatever the daemon leaves (child subreaper), and a mailbox: how a child ended is noted before it
  is reaped, and kept until the daemon has put it on record.
* It starts the daemon again when that has died: at once where it had been up for a second, else after 50 ms, doubling
  to 5 s. The next one is a fork of it. While nothing happens it makes itself ready for that.
* It forwards signals. They are blocked in the daemon until that can take them, so that none is lost.
* An order to stop outlives the daemon too: the next one is told, and goes on with it.

An orderly end of the daemon, or one by its own exit code before it was ever up, is also the guardian's, with that code.
Where the guardian dies, the daemon reads the end of the hall and makes another one (`cli.guarding`); under a service
manager it leaves. SIGABRT is how that ends a service whose loop does not turn any more: both die of it.

What the two say is in `edge.hall.Word`. Unknown words are ignored, so that either side may be the older one.

Traps: a signal between the look and the wait is not missed, since it writes into the bell. The daemon gets a process
group of its own: Ctrl-C reaches it once, through here.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

from tm.daemon.role import FORWARDED, LEAVE, become
from tm.edge.descriptors import close_but
from tm.edge.ends import look, release, signal_of, start_of_leader
from tm.edge.hall import Hall, Word
from tm.edge.signals import Signals

_FIRST_S, _MOST_S = 0.05, 5.0
_UP_S = 1.0


class Guardian:
    """One guardian, from a state as `become` takes it. `daemon` is called in a fork, with what the daemon inherits, and
    gives the exit code; `preparations` are taken one by one while nothing else is to be done.
    """

    def __init__(
        self, state: dict[str, Any], daemon: Callable[[dict[str, Any]], int], preparations: Iterator[None]
    ) -> None:
        self._state = state
        self._run_daemon = daemon
        self._preparations: Iterator[None] | None = preparations
        self._kept: dict[str, int] = state["kept"]
        self._exits: dict[str, list[int]] = state.get("exits", {})
        self._ready: bool = state.get("ready", False)
        self._stopping: str = state.get("stopping", "")
        self._trying: bool = state.get("trying", False)
        self._daemon: int | None = state["daemon"]
        self._why = "took the place of its guardian, which has died"
        self._failures = 0
        self._look_due = True
        self._noted: set[int] = set()
        self._began = time.monotonic()
        self._again: float | None = None if self._daemon else self._began
        self._unsent: list[int] = []
        self._untaken: list[int] = []
        self._poll = select.poll()
        self._hall: Hall | None = None
        for fd in (*self._kept.values(), state["hall"]):
            if fd is not None:
                os.set_inheritable(fd, False)
        if state["hall"] is not None:
            self._open(socket.socket(fileno=state["hall"]))
        self._signals = Signals(self._heard)
        signal.signal(signal.SIGABRT, self._abort)
        self._poll.register(self._signals.fd, select.POLLIN)

    def run(self) -> int:
        """Keep, forward, start again, until the daemon has ended in order; the exit code."""
        if self._hall is not None:
            self._hall.say(Word.HERE)
        while True:
            ready = dict(self._poll.poll(self._wait_ms()))
            if not ready:
                self._prepare()
            if self._hall is not None and self._hall.fileno() in ready:
                self._tell()
                self._listen()
                self._look_due = True
            if self._signals.fd in ready:
                self._signals.receive()
            if self._look_due and (code := self._reap()) is not None:
                return code
            self._forward()
            if self._again is not None and time.monotonic() >= self._again:
                self._start()

    def _wait_ms(self) -> int | None:
        """Until the next daemon is due; not at all where there is time to get ready for that."""
        if self._again is not None:
            return max(0, int((self._again - time.monotonic()) * 1000) + 1)
        if self._preparations is None or not self._ready:
            return None
        return max(0, int((self._began + _UP_S - time.monotonic()) * 1000) + 1)

    def _prepare(self) -> None:
        for _ in self._preparations or ():
            return
        self._preparations = None

    # ---- signals and deaths

    def _heard(self, signum: int) -> None:
        """A signal: what it brings about is done when all were heard, the death of the daemon first."""
        if signum == signal.SIGCHLD:
            self._look_due = True
        elif signum in FORWARDED:
            self._unsent.append(signum)

    def _forward(self) -> None:
        """Send the daemon what is its own. An order to leave that it has not taken before it dies is for the next."""
        while self._unsent and self._daemon is not None:
            signum = self._unsent.pop(0)
            os.kill(self._daemon, signum)
            if signum in LEAVE:
                self._untaken.append(signum)

    def _abort(self, signum: int, _frame: object) -> None:
        """The daemon hangs, and would hold what the next one needs."""
        if self._daemon is not None:
            os.kill(self._daemon, signal.SIGKILL)
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    def _reap(self) -> int | None:
        """Note how children have ended, and let go of whom the daemon has heard; the exit code where it is over."""
        self._look_due = False
        while (found := look()) is not None:
            pid, how = found
            if pid != self._daemon and not self._note(pid, how):
                return None
            release(pid)
            self._noted.discard(pid)
            if pid == self._daemon and (code := self._daemon_ended(how)) is not None:
                return code
        return None

    def _note(self, pid: int, status: int) -> bool:
        """Who led a session may be an instance, and stays in the mailbox; whether the daemon has heard of him."""
        if pid not in self._noted:
            self._noted.add(pid)
            told = [status]
            if (start := start_of_leader(pid)) is not None:
                told = self._exits[str(pid)] = [status, start]
            if self._hall is not None:
                self._hall.say(Word.EXITED, str(pid), *map(str, told))
                self._tell()
        return not (self._hall and self._hall.owes)

    def _daemon_ended(self, status: int) -> int | None:
        """The exit code where that is the end; else the next one is due."""
        self._listen()
        self._close()
        self._daemon = None
        self._unsent, self._untaken = self._untaken + self._unsent, []
        code, signum = status >> 8, signal_of(status)
        how = f"was killed by {signal.Signals(signum).name}" if signum else f"ended with exit code {code}"
        if self._trying:
            self._trying = False
            self._wait(f"was a new version and {how} before it was up: the version before it goes on")
            return None
        if not signum and (self._stopping or not self._ready or code == 0):
            return code
        now = time.monotonic()
        self._failures = 0 if self._ready and now - self._began >= _UP_S else self._failures + 1
        self._wait(how)
        return None

    def _wait(self, why: str) -> None:
        """Start the daemon soon."""
        self._why = why
        wait_s = min(_MOST_S, _FIRST_S * 2 ** min(self._failures - 1, 20)) if self._failures else 0.0
        self._again = time.monotonic() + wait_s

    # ---- the daemon

    def _start(self) -> None:
        """Start it, with all that is kept; where the machine cannot, later."""
        self._again, self._began = None, time.monotonic()
        try:
            self._spawn()
        except OSError:
            self._daemon = None
            self._close()
            self._failures += 1
            self._wait(self._why)

    def _spawn(self) -> None:
        """Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._open(ours)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, FORWARDED)
            self._daemon = os.fork()
            if self._daemon == 0:
                self._be_daemon(theirs.detach())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            theirs.close()

    def _be_daemon(self, hall: int) -> NoReturn:
        """In the child. Signals stay blocked until it can take them."""
        code: int | None = None
        try:
            os.setpgid(0, 0)
            self._signals.close()
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
            close_but({hall, *self._kept.values()})
            about = {name: self._state[name] for name in ("where", "called", "path")}
            words = {"stopping": self._stopping, "why": self._why}
            code = self._run_daemon(
                {**about, **words, "hall": hall, "kept": self._kept, "exits": self._exits, "guardian": os.getppid()}
            )
        finally:
            if code is None:
                sys.excepthook(*sys.exc_info())
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(1 if code is None else code)

    def _open(self, hall: socket.socket) -> None:
        self._hall = Hall(hall, self._kept)
        self._poll.register(self._hall, select.POLLIN)

    def _close(self) -> None:
        if self._hall is not None:
            self._poll.unregister(self._hall)
            self._hall.close()
            self._hall = None

    def _tell(self) -> None:
        """Send what is owed, now or when the daemon has read what there is. What it never gets is in the mailbox."""
        if self._hall is not None:
            self._hall.send()
            self._poll.modify(self._hall, select.POLLIN | (select.POLLOUT if self._hall.owes else 0))

    def _listen(self) -> None:
        """Do all that the daemon has said. The end of the hall means that it has died, which SIGCHLD tells."""
        while self._hall is not None:
            try:
                message = self._hall.hear()
            except EOFError:
                self._close()
                return
            if message is None:
                return
            self._do(*message)

    def _do(self, word: str, rest: str, fds: list[int]) -> None:
        names = rest.split()
        match word:
            case Word.KEEP:
                self._drop(names)
                self._kept.update(zip(names, fds, strict=False))
            case Word.DROP:
                self._drop(names)
            case Word.NOTED:
                for pid in names:
                    self._exits.pop(pid, None)
            case Word.READY | Word.TRYING:
                self._trying = word == Word.TRYING
                self._ready |= not self._trying
            case Word.STOPPING:
                self._stopping, self._untaken = rest, []
            case Word.RENEW:
                self._renew()
            case _:  # of another version
                pass

    def _drop(self, names: list[str]) -> None:
        for name in names:
            if (fd := self._kept.pop(name, None)) is not None:
                os.close(fd)

    def _renew(self) -> None:
        """Run the version that is kept, which may be another one. What has been noted of signals goes on before."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*FORWARDED, signal.SIGCHLD))
        self._signals.receive()
        self._forward()
        hall = self._hall.fileno() if self._hall is not None else None
        about = {"exits": self._exits, "ready": self._ready, "stopping": self._stopping, "daemon": self._daemon}
        with suppress(OSError):
            become({**self._state, **about, "hall": hall}, self._kept)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
