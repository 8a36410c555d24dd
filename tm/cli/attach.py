"""`attach`: the terminal of a process, as if one sat at it.

Guarantees: the terminal is left as it was found; Ctrl-] and a hang-up leave, and the process goes on; its end is told,
and ends this as well; a change of size is followed. A daemon that goes away is waited for; what the process has shown
meanwhile comes then, unless it was drawn over.
"""

from __future__ import annotations

import os
import select
import signal
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from tm.cli import raw
from tm.cli.client import Client, Failed, Gone, NoDaemon
from tm.cli.codes import DONE, USAGE
from tm.cli.screen import complain, put
from tm.core.commands import UsageError, parse_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tm.cli.client import Message
    from tm.cli.screen import Screen
    from tm.cli.wish import Wish

AWAY_S = 30.0
_KNOCK_S = 0.1
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)


def attach(client: Client, wish: Wish, screen: Screen) -> int:
    """Stay until one of both leaves; the exit code. Raises Failed, Gone."""
    try:
        name = parse_words(wish.words).words[0]
    except UsageError as error:
        complain(str(error))
        return USAGE
    if not (screen.terminal and os.isatty(0)):
        complain(f"attach needs a terminal. Type: taskmasterctl logs -f {name}")
        return USAGE
    answer = client.call("attach", {"words": [name]})
    if answer.get("outcome"):
        screen.err("\n".join(answer["lines"]))
        return int(answer["outcome"])
    visit = _Visit(client, answer["data"]["name"], AWAY_S if wish.timeout_s is None else wish.timeout_s)
    screen.out(f"Attached to '{visit.name}'. Ctrl-] leaves it.")
    with _signals() as signals:
        left = visit.stay(answer, signals)
    if isinstance(left, int):
        signal.raise_signal(left)
    else:
        screen.out(left)
    return DONE


class _Visit:
    """One stay, perhaps over the lives of daemons."""

    def __init__(self, client: Client, name: str, away_s: float) -> None:
        self.name = name
        self._client, self._given = client, client
        self._away_s = away_s
        self._raw = raw.Raw()
        self._number = 0

    def stay(self, answer: Message, signals: int) -> str | int:
        """Until it is over: a sentence why, or the signal that has ended it."""
        self._raw.enter()
        try:
            self._begin(answer)
            while True:
                try:
                    return self._talk(signals)
                except Gone as error:
                    if over := self._return(str(error)):
                        return over
        finally:
            put(1, self._raw.leave())
            if self._client is not self._given:
                self._client.close()

    def _begin(self, answer: Message) -> None:
        self._number = answer["subscription"]
        self._show(answer["data"]["base64"])
        self._resize()

    def _talk(self, signals: int) -> str | int:
        """Raises Gone."""
        poll = select.poll()
        for fd in (0, self._client.fileno(), signals):
            poll.register(fd, select.POLLIN)
        ready = {self._client.fileno()}
        while True:
            over: str | int = ""
            if self._client.fileno() in ready:
                over = self._listen()
            if 0 in ready:
                over = over or self._type()
            if signals in ready:
                over = over or self._note(signals)
            if over:
                return over
            ready = {fd for fd, _ in poll.poll()}

    def _type(self) -> str:
        """Send what is typed; why it is over, or ''."""
        typed, last = raw.keys()
        if typed:
            told = {"subscription": self._number, "base64": b2a_base64(typed, newline=False).decode()}
            self._client.send(("attach.type", told))
        return self._left() if last else ""

    def _note(self, signals: int) -> int:
        """Another size, or the signal that ends it."""
        ending = [signum for signum in os.read(signals, 4096) if signum in _ENDING]
        if not ending:
            self._resize()
        return ending[0] if ending else 0

    def _listen(self) -> str:
        """What has come; why it is over, or ''. Raises Gone."""
        for message in self._client.arrived():
            if over := self._hear(message):
                return over
        return ""

    def _hear(self, message: Message) -> str:
        """Show it; why it is over, or ''."""
        params = message.get("params", {})
        match message.get("method"):
            case "terminal":
                self._show(params["base64"])
            case "detached":
                return str(params["text"])
            case "lost":
                put(1, b"\r\n[output lost: this terminal was too slow]\r\n")
                self._resize()
            case None if "error" in message:
                put(1, raw.BELL)
            case _:
                pass
        return ""

    def _show(self, base64: str) -> None:
        put(1, self._raw.shown(a2b_base64(base64)))

    def _resize(self) -> None:
        rows, columns = raw.size()
        self._client.send(("attach.resize", {"subscription": self._number, "rows": rows, "columns": columns}))

    def _left(self) -> str:
        return f"Detached from '{self.name}', which goes on."

    def _return(self, why: str) -> str:
        """Wait for the daemon, and attach again; why it is over, or ''."""
        put(1, f"\r\n[{why}; waiting for it]\r\n".encode())
        poll = select.poll()
        poll.register(0, select.POLLIN)
        until = monotonic() + self._away_s
        while monotonic() < until:
            if poll.poll(_KNOCK_S * 1000) and raw.keys()[1]:
                return self._left()
            try:
                client = Client(self._client.path)
                answer = client.call("attach", {"words": [self.name], "last": 0})
            except (NoDaemon, Gone, Failed):
                continue
            if self._client is not self._given:
                self._client.close()
            self._client = client
            if answer.get("outcome"):
                return "\n".join(answer["lines"])
            self._begin(answer)
            return ""
        return f"{why[:1].upper()}{why[1:]}."


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor from which the numbers of signals can be read: of a change of size, and of those that end us."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {signum: signal.signal(signum, lambda signum, stack: None) for signum in (signal.SIGWINCH, *_ENDING)}
    woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(woken)
        for signum, disposition in before.items():
            signal.signal(signum, disposition)
        os.close(reader)
        os.close(writer)
